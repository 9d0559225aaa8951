"""The faults: what each one strikes, how, and how long until all is as before."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from benchmarks.chaos_disk import SmallDisk
from benchmarks.chaos_figures import Strike
from benchmarks.chaos_striker import Striker, Target
from benchmarks.dashboard import APPLICATION, Dashboard, Replica, running_of

STAGES = ("asr", "llm", "tts", "avatar")

_PATIENCE_S = 10.0  # for a moment when there is something to lose
_POLL_S = 0.5
_HUNG_S = 3.0
_DISK_FULL_S = 4.0
_NODE_AWAY_S = 3.0
_FOUND_S = 10.0
_BACK_S = 90.0
_HEALTH_CHECK_S = 240.0  # Serve gives up a replica after three checks that time out
_DRAINED_S = 300.0  # the longest answer, and the start of what takes its place


class SkippedError(Exception):
    """This fault cannot be brought about here; the message says why."""


@dataclass
class Site:
    """A server that may be struck."""

    url: str
    dashboard: Dashboard
    striker: Striker
    disk: SmallDisk | None = None
    launcher_pid: int | None = None
    has_second_node: bool = False
    _revision: int = 0

    def replicas(self, deployment: str) -> list[Replica]:
        """The running ones.

        Raises:
            SkippedError: there is no such deployment.
        """
        try:  # Serve forgets its deployments for a moment when it is told another configuration
            return self.dashboard.wait_for_replicas(deployment, 1, timeout_s=_FOUND_S)
        except TimeoutError:
            raise SkippedError(f"this server has no running {deployment!r}") from None

    def revision(self) -> int:
        """A number that no deployment had before."""
        self._revision += 1
        return self._revision


@contextlib.contextmanager
def _woken(pid: int) -> Iterator[None]:
    """Whatever happens, a process that was stopped goes on at the end, if it still is there."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of trouble. ``strike`` returns when all is as before, or is given up.

    ``needs``: a server of our own with a small disk, or with a second node.
    """

    name: str
    about: str
    strike: Callable[[Site], Strike]
    question: Literal["typed", "spoken"] = "typed"
    needs: Literal["", "disk", "node"] = ""


def kill(deployment: str) -> Callable[[Site], Strike]:
    """SIGKILL to the busiest replica."""

    def strike(site: Site) -> Strike:
        before = site.replicas(deployment)
        struck = site.striker.strike(_targets(before), signal.SIGKILL, _PATIENCE_S)
        return _awaited(
            struck.at,
            f"{deployment} {struck.pid}",
            struck.n_in_flight,
            lambda: site.dashboard.wait_for_replicas(
                deployment, len(before), without={struck.pid}, timeout_s=_BACK_S
            ),
        )

    return strike


def hang(site: Site) -> Strike:
    """SIGSTOP to the busiest avatar replica, and SIGCONT a little later."""
    before = site.replicas("avatar")
    struck = site.striker.strike(_targets(before), signal.SIGSTOP, _PATIENCE_S)
    with _woken(struck.pid):
        time.sleep(_HUNG_S)
    return Strike(struck.at, f"avatar {struck.pid}", struck.n_in_flight, time.time() - struck.at)


def hang_for_good(site: Site) -> Strike:
    """SIGSTOP to the busiest avatar replica, which Serve's health check must find and replace."""
    before = site.replicas("avatar")
    struck = site.striker.strike(_targets(before), signal.SIGSTOP, _PATIENCE_S)
    with _woken(struck.pid):
        return _awaited(
            struck.at,
            f"avatar {struck.pid}",
            struck.n_in_flight,
            lambda: site.dashboard.wait_for_replicas(
                "avatar", len(before), without={struck.pid}, timeout_s=_HEALTH_CHECK_S
            ),
        )


def lose_node(site: Site) -> Strike:
    """The second node goes, with a replica of every stage, and comes back."""
    if not (site.has_second_node and site.launcher_pid):
        raise SkippedError("only with a server that this program starts")
    launcher_pid = site.launcher_pid
    head = {replica.node_id for replica in site.replicas("ingress")}
    before = {name: site.replicas(name) for name in STAGES}
    there = [replica for replica in before["avatar"] if replica.node_id not in head]
    if not there:
        raise SkippedError("no avatar replica on the second node")
    targets = [Target(replica.actor_name, launcher_pid) for replica in there]
    struck = site.striker.strike(targets, signal.SIGUSR1, _PATIENCE_S)
    lost = {r.pid for found in before.values() for r in found if r.node_id not in head}

    def back() -> None:
        time.sleep(_NODE_AWAY_S)
        os.kill(launcher_pid, signal.SIGUSR2)
        for name, found in before.items():
            site.dashboard.wait_for_replicas(name, len(found), without=lost, timeout_s=_BACK_S)

    return _awaited(struck.at, f"node with {len(lost)} replicas", struck.n_in_flight, back)


def fill_disk(site: Site) -> Strike:
    """No room left from one moment to the next, while turns write their videos."""
    if site.disk is None:
        raise SkippedError("only with a server that this program starts on a disk of its own")
    looked = site.striker.strike(_targets(site.replicas("avatar")), 0, _PATIENCE_S)
    site.disk.fill()
    filled_at = time.time()
    try:
        time.sleep(_DISK_FULL_S / 2)
        note = _asked_when_full(site.url)
        time.sleep(_DISK_FULL_S / 2)
    finally:
        site.disk.free()
    return Strike(filled_at, "disk", looked.n_in_all, time.time() - filled_at, note)


def _asked_when_full(url: str) -> str:
    """What somebody hears who asks now: status and code."""
    try:
        return heard_of(
            httpx.post(f"{url}/api/v1/conversation", data={"text": "Hello."}, timeout=30)
        )
    except httpx.HTTPError as error:  # no answer misses the target as well
        return type(error).__name__


def heard_of(answer: httpx.Response) -> str:
    """Whoever is let in after all gets a video, and a proxy's own words are no JSON either."""
    code = ""
    if answer.status_code != 200:
        with contextlib.suppress(ValueError):
            said = answer.json()
            code = said.get("code", "") if isinstance(said, dict) else ""
    return f"{answer.status_code} {code}".strip()


def redeploy(site: Site) -> Strike:
    """The same application as a new version: every replica is drained and replaced."""
    deployments = site.dashboard.deployments()
    before = {name: running_of(name, deployments) for name in deployments}
    config = _config(site.dashboard)
    (application,) = config["applications"]
    environment = {"env_vars": {"AVATAR_REVISION": str(site.revision())}}
    application["runtime_env"] = {**(application.get("runtime_env") or {}), **environment}
    looked = site.striker.strike(_targets(before["avatar"]), 0, _PATIENCE_S)
    site.dashboard.deploy(config)
    deployed_at = time.time()

    def back() -> None:
        for name, found in before.items():
            old = {replica.pid for replica in found}
            site.dashboard.wait_for_replicas(name, len(found), without=old, timeout_s=_DRAINED_S)

    return _awaited(deployed_at, "every deployment", looked.n_in_all, back)


def scale(site: Site) -> Strike:
    """The avatar stage down to one replica, and up again."""
    before = site.replicas("avatar")
    config = _config(site.dashboard)
    looked = site.striker.strike(_targets(before), 0, _PATIENCE_S)
    site.dashboard.deploy(_scaled(config, 1))
    scaled_at = time.time()

    def back() -> None:
        try:
            _wait_until_alone(site)
        finally:
            site.dashboard.deploy(config)
        site.dashboard.wait_for_replicas("avatar", len(before), timeout_s=_BACK_S)

    return _awaited(scaled_at, f"avatar {len(before)} -> 1", looked.n_in_all, back)


def _scaled(config: Mapping[str, Any], n: int) -> dict[str, Any]:
    """The same configuration with ``n`` avatar replicas, whatever the load.

    By the bounds of its scaling: without any, Serve takes it for another application, and builds
    and replaces everything.
    """
    (application,) = config["applications"]
    deployments = []
    for one in application["deployments"]:
        if one["name"] == "avatar":
            bounds = {"min_replicas": n, "max_replicas": n}
            one = {**one, "autoscaling_config": {**one["autoscaling_config"], **bounds}}
        deployments.append(one)
    return {**config, "applications": [{**application, "deployments": deployments}]}


def _wait_until_alone(site: Site) -> None:
    """Until one avatar replica is left, and those that drain have ended too."""
    until_s = time.monotonic() + _DRAINED_S
    while len(site.dashboard.deployments().get("avatar", {}).get("replicas", ())) != 1:
        if time.monotonic() > until_s:
            raise TimeoutError("the avatar stage did not scale down")
        time.sleep(_POLL_S)


def _config(dashboard: Dashboard) -> dict[str, Any]:
    """What Serve was last told, so that one thing in it can be changed."""
    said = dashboard.everything()
    return {
        "proxy_location": said["proxy_location"],
        "http_options": said["http_options"],
        "applications": [said["applications"][APPLICATION]["deployed_app_config"]],
    }


def _targets(replicas: Sequence[Replica]) -> list[Target]:
    return [Target(replica.actor_name, replica.pid) for replica in replicas]


def _awaited(at: float, target: str, n_in_flight: int, back: Callable[[], object]) -> Strike:
    try:
        back()
    except TimeoutError as error:
        return Strike(at, target, n_in_flight, None, str(error))
    return Strike(at, target, n_in_flight, time.time() - at)


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("kill-asr", "a recogniser dies", kill("asr"), "spoken"),
        Fault("kill-llm", "a language model dies", kill("llm")),
        Fault("kill-tts", "a voice dies", kill("tts")),
        Fault("kill-avatar", "a painter dies", kill("avatar")),
        Fault("hang-avatar", "a painter stops, raising nothing, for 3 s", hang),
        Fault("stop-avatar", "a painter stops until Serve replaces it", hang_for_good),
        Fault("kill-admission", "who lets turns in dies", kill("admission")),
        Fault("kill-ingress", "an HTTP process dies with its turns", kill("ingress")),
        Fault("redeploy", "a new version of everything", redeploy),
        Fault("scale", "the avatar stage to one replica and back", scale),
        Fault("fill-disk", "no room for what is kept, for 4 s", fill_disk, needs="disk"),
        Fault("kill-node", "a node dies with a replica of every stage", lose_node, needs="node"),
    )
}

STAGE_FAULTS = ("kill-asr", "kill-llm", "kill-tts", "kill-avatar", "hang-avatar", "stop-avatar")
"""Those over which the issue's 200 turns are counted."""

GAP_LIMITS_S: Mapping[str, float] = {"kill-avatar": 1.0, "hang-avatar": 1.2, "stop-avatar": 1.2}
"""How long a viewer may miss the face. Source: issue 3."""
