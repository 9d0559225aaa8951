"""The real server, started as a user does; quiet unless it fails."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.server import Launched as Server
from benchmarks.server import free_port, launch, stop
from benchmarks.server import running as started
from graph.preflight import ROOT

__all__ = [
    "ROOT",
    "Server",
    "free_port",
    "launch",
    "n_cancelled",
    "running",
    "stop",
    "until",
    "wait_for_replicas",
]


def _quiet(line: str) -> None:
    """The lines are kept and shown when the server does not start."""


@contextmanager
def running(profile: str | Path, **settings: str) -> Iterator[Server]:
    """A server that can answer, ended at the end."""
    with started(profile, say=_quiet, settings=settings) as server:
        yield server


def until(is_so: Callable[[], bool], what: str, patience_s: float = 40.0) -> None:
    """Return once it is; ``what`` is said if it never becomes so."""
    end_s = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end_s, what
        time.sleep(0.02)


def wait_for_replicas(server: Server, deployment: str, n: int) -> list[int]:
    """The pids of the deployment's replicas once ``n`` of them run."""
    return [replica.pid for replica in server.dashboard.wait_for_replicas(deployment, n)]


def n_cancelled(url: str, headers: Mapping[str, str] | None = None) -> float:
    """How many turns the server has counted whose client left; it says so seconds later."""
    lines = httpx.get(f"{url}/metrics", headers=headers, timeout=30).text.splitlines()
    counts = [x for x in lines if "avatar_turns_total{" in x and 'outcome="cancelled"' in x]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counts)
