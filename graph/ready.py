"""Hands the graph to Serve, and waits until it answers or can be seen to fail."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from graph.fit import Resources, Wish, words


class LaunchError(Exception):
    """The graph did not come up; the message says why."""


class ServeApi:
    """Serve's own HTTP interface, on Ray's dashboard.

    Args:
        dashboard: its address.
        token: lets one in.
    """

    def __init__(self, dashboard: str, token: str) -> None:
        self._url = f"{dashboard}/api/serve/applications/"
        self._headers = {"Authorization": f"Bearer {token}"}

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Serve takes it and begins; nothing is up yet.

        Raises:
            LaunchError: it refuses.
        """
        answer = httpx.put(self._url, json=config, headers=self._headers, timeout=60)
        if answer.is_error:
            raise LaunchError(f"Ray Serve refused the profile: {answer.text.strip()[-800:]}")

    def applications(self) -> Mapping[str, Any]:
        """What Serve says of each application; nothing while the dashboard is busy."""
        try:
            answer = httpx.get(self._url, headers=self._headers, timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return {}
        found: Mapping[str, Any] = answer.get("applications", {})
        return found


def wait_until_ready(
    address: str,
    serve: ServeApi,
    stop: threading.Event,
    *,
    timeout_s: float,
    wanted: list[Wish],
    free: Callable[[], Resources],
) -> None:
    """Until a turn can be answered, or ``stop`` is set; says what is still loading.

    Args:
        address: of the interface.
        serve: told of the graph before.
        stop: somebody gives up.
        timeout_s: for all of it.
        wanted: what the replicas ask of the cluster.
        free: what nobody uses in it, at the moment it is called.

    Raises:
        LaunchError: a stage failed, or nothing came up in time.
    """
    began, said = time.monotonic(), ""
    while not stop.wait(0.2):
        waiting = _loading(address)
        if waiting == "":
            return
        _raise_if_failed(serve.applications())
        if waiting != said:
            print(f"Loading: {waiting}", flush=True)
            said = waiting
        if time.monotonic() - began > timeout_s:
            why = _without_place(serve.applications(), wanted, free()) or "it may still be loading"
            raise LaunchError(f"not ready after {timeout_s:.0f} s: {waiting}; {why}")


def _loading(address: str) -> str:
    """What is not ready yet, in words; empty when a turn can be answered."""
    try:
        health = httpx.get(f"{address}/health", timeout=5, verify=False).json()
        stages = health["deployments"].items()
    except (httpx.HTTPError, ValueError, KeyError):
        return "the ingress"
    if health["status"] in ("ready", "degraded"):
        return ""
    return ", ".join(name for name, stage in stages if stage["status"] != "ready") or "the graph"


def _raise_if_failed(applications: Mapping[str, Any]) -> None:
    for name, application in applications.items():
        if application.get("status") in ("DEPLOY_FAILED", "UNHEALTHY"):
            raise LaunchError(f"{name} did not start: {_reason(application)}")


def _reason(application: Mapping[str, Any]) -> str:
    """The line that names the cause, out of Serve's long message."""
    parts = [application.get("message", "")]
    parts += [d.get("message", "") for d in application.get("deployments", {}).values()]
    lines = [line.strip() for part in parts for line in part.splitlines() if line.strip()]
    named = [line for line in lines if "Error" in line and not line.startswith("File")]
    return named[-1] if named else " ".join(lines)[-400:]


def _without_place(applications: Mapping[str, Any], wanted: list[Wish], free: Resources) -> str:
    """About the replicas that no node has taken; empty where all have a place."""
    each = {wish.deployment: wish.each for wish in wanted}
    parts = []
    for application in applications.values():
        for name, deployment in application.get("deployments", {}).items():
            n = sum(_is_placeless(replica) for replica in deployment.get("replicas", ()))
            if n and name in each:
                parts.append(f"{n} of {name} (each {words(each[name])})")
    if not parts:
        return ""
    left = words({kind: free.get(kind, 0.0) for kind in ("GPU", "CPU")})
    return f"no node has a place for {', '.join(parts)}; free in all: {left}"


def _is_placeless(replica: Mapping[str, Any]) -> bool:
    """A replica has a process from when a node has taken it."""
    return replica.get("state") == "STARTING" and replica.get("pid") is None
