"""Starts the real server as a user does, for tests and nothing else."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 40


@dataclass
class Server:
    """A running server; ``lines`` is what it printed so far."""

    url: str
    dashboard_url: str
    data_dir: Path
    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)
    token: str = ""

    def replicas(self, deployment: str) -> list[int]:
        """The pids of the deployment's running replicas."""
        details = self.applications()["avatar"]["deployments"][deployment]["replicas"]
        return [r["pid"] for r in details if r["state"] == "RUNNING"]

    def applications(self) -> Mapping[str, Any]:
        answer = httpx.get(
            f"{self.dashboard_url}/api/serve/applications/",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=10,
        )
        applications: Mapping[str, Any] = answer.raise_for_status().json()["applications"]
        return applications


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def launch(**settings: str) -> "subprocess.Popen[str]":
    """``make serve`` without the installation, with settings such as ``PROFILE``."""
    return subprocess.Popen(
        [sys.executable, "-m", "graph.launch"],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a Ctrl-C at the test run must not reach it twice
    )


@contextmanager
def running(profile: str | Path, **settings: str) -> Iterator[Server]:
    """A server that can answer, ended at the end."""
    with tempfile.TemporaryDirectory(prefix="avatar-data-") as folder:
        port, dashboard_port = free_port(), free_port()
        process = launch(
            PROFILE=str(profile),
            PORT=str(port),
            DASHBOARD_PORT=str(dashboard_port),
            DATA_DIR=folder,
            **settings,
        )
        server = Server(
            f"http://127.0.0.1:{port}",
            f"http://127.0.0.1:{dashboard_port}",
            Path(folder),
            process,
        )
        ready = threading.Event()
        reader = threading.Thread(target=_read, args=(server, ready), daemon=True)
        reader.start()
        try:
            came_up = ready.wait(START_TIMEOUT_S) and process.poll() is None
            if not came_up or not server.token:
                raise RuntimeError("the server did not start:\n" + "\n".join(server.lines))
            yield server
        finally:
            stop(process)
            reader.join()


def _read(server: Server, ready: threading.Event) -> None:
    """Keep what the server prints until it ends; ``ready`` is also set when it ends early."""
    with server.process.stdout or open(os.devnull) as output:
        for line in output:
            server.lines.append(line.rstrip())
            if "its token: cat " in line:
                server.token = Path(line.rpartition("cat ")[2].strip(" )\n")).read_text()
            if line.startswith("  Stop with"):
                ready.set()
    ready.set()


def stop(process: "subprocess.Popen[str]") -> int:
    """End the server as Ctrl-C does; its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def wait_for_replicas(server: Server, deployment: str, n: int) -> list[int]:
    """The pids of the deployment's replicas once ``n`` of them run."""
    until = time.monotonic() + 60
    while len(pids := server.replicas(deployment)) < n:
        if time.monotonic() > until:
            raise TimeoutError(f"{deployment} did not come back")
        time.sleep(0.2)
    return pids
