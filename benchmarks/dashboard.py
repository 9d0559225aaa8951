"""What Ray's dashboard knows of the running graph, and how it is told another configuration."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

APPLICATION = "avatar"

_TIMEOUT = httpx.Timeout(60.0, connect=5.0)  # a dashboard beside a full load answers slowly
_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Replica:
    """One running replica of a deployment: its process, and its actor's name in Ray."""

    deployment: str
    pid: int
    actor_name: str
    node_id: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The dashboard of a server, with the token that lets one in."""

    url: str
    token: str

    def everything(self) -> Mapping[str, Any]:
        """All that Serve says of itself."""
        answer = httpx.get(
            f"{self.url}/api/serve/applications/", headers=self._headers(), timeout=_TIMEOUT
        )
        said: Mapping[str, Any] = answer.raise_for_status().json()
        return said

    def applications(self) -> Mapping[str, Any]:
        """All that Serve says of its applications, by name."""
        found: Mapping[str, Any] = self.everything()["applications"]
        return found

    def deployments(self) -> Mapping[str, Any]:
        """All that Serve says of the graph's deployments, by name."""
        found: Mapping[str, Any] = self.applications()[APPLICATION]["deployments"]
        return found

    def replicas(self, deployment: str) -> list[Replica]:
        """The running replicas of one deployment; none where there is no such deployment."""
        return running_of(deployment, self.deployments())

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Hand Serve a configuration; it answers at once and changes the graph afterwards.

        Raises:
            httpx.HTTPStatusError: Serve refused it.
        """
        httpx.put(
            f"{self.url}/api/serve/applications/",
            json=config,
            headers=self._headers(),
            timeout=_TIMEOUT,
        ).raise_for_status()

    def wait_for_replicas(
        self, deployment: str, n: int, *, without: Collection[int] = (), timeout_s: float = 60.0
    ) -> list[Replica]:
        """The deployment's replicas once ``n`` run that are none of the pids ``without``.

        Raises:
            TimeoutError: they do not.
        """
        until = time.monotonic() + timeout_s
        while True:
            found = [r for r in self.replicas(deployment) if r.pid not in without]
            if len(found) >= n:
                return found
            if time.monotonic() > until:
                raise TimeoutError(f"{deployment} has {len(found)} of {n} replicas")
            time.sleep(_POLL_S)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def running_of(deployment: str, deployments: Mapping[str, Any]) -> list[Replica]:
    """The running replicas in what ``Dashboard.deployments`` gave."""
    return [
        Replica(deployment, one["pid"], one["actor_name"], one["node_id"])
        for one in deployments.get(deployment, {}).get("replicas", ())
        if one["state"] == "RUNNING"
    ]
