"""The real server, started as a user does; quiet unless it fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.server import Launched as Server
from benchmarks.server import free_port, launch, stop
from benchmarks.server import running as started
from graph.preflight import ROOT

__all__ = ["ROOT", "Server", "free_port", "launch", "running", "stop", "wait_for_replicas"]


def _quiet(line: str) -> None:
    """The lines are kept and shown when the server does not start."""


@contextmanager
def running(profile: str | Path, **settings: str) -> Iterator[Server]:
    """A server that can answer, ended at the end."""
    with started(profile, say=_quiet, settings=settings) as server:
        yield server


def wait_for_replicas(server: Server, deployment: str, n: int) -> list[int]:
    """The pids of the deployment's replicas once ``n`` of them run."""
    return [replica.pid for replica in server.dashboard.wait_for_replicas(deployment, n)]
