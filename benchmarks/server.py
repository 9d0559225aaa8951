"""Starts the server as a user does, for a benchmark, and ends it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.report import progress
from graph.preflight import ROOT

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 40.0


class ServerError(Exception):
    """The server did not start; the message holds what it printed."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; ``pid`` is its launcher's, ``None`` where somebody else started it."""

    url: str
    pid: int | None


@contextmanager
def running(profile: str, port: int | None = None) -> Iterator[Server]:
    """A server with its dashboard that can answer a turn; ended at the end.

    Raises:
        ServerError: it ended, or was not ready in time.
    """
    chosen = port or _free_port()
    with tempfile.TemporaryDirectory(prefix="avatar-bench-") as data_dir:
        settings = {
            "PROFILE": profile,
            "PORT": str(chosen),
            "DASHBOARD_PORT": str(_free_port()),
            "DATA_DIR": data_dir,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "graph.launch"],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a Ctrl-C here must not reach it twice
        )
        try:
            _wait_until_ready(process)
            yield Server(f"http://127.0.0.1:{chosen}", process.pid)
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: "subprocess.Popen[str]") -> None:
    ready, lines = threading.Event(), []

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            progress(f"  server: {line.rstrip()}")
            if line.startswith("Ready."):
                ready.set()
        ready.set()  # it ended

    threading.Thread(target=read, daemon=True).start()
    if not ready.wait(_START_TIMEOUT_S) or process.poll() is not None or "Ready." not in lines:
        raise ServerError("the server did not start:\n" + "\n".join(lines))


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
