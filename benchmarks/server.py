"""Starts the server as a user does, for benchmarks and tests, and ends it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dashboard import Dashboard
from benchmarks.report import progress
from graph.preflight import ROOT

LAUNCHER = "graph.launch"
_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 40.0


class ServerError(Exception):
    """The server did not start; the message holds what it printed."""


@dataclass(frozen=True)
class Server:
    """A running server; ``pid`` is its launcher's, ``None`` where somebody else started it."""

    url: str
    pid: int | None


@dataclass(frozen=True)
class Launched(Server):
    """A server of one's own; ``lines`` is what it printed so far."""

    dashboard: Dashboard
    data_dir: Path
    process: "subprocess.Popen[str]"
    lines: list[str]

    @property
    def run_folder(self) -> Path:
        """Where it keeps what ends with it."""
        (file,) = filter(None, map(_token_file, self.lines))
        return file.parent

    def replicas(self, deployment: str) -> list[int]:
        """The pids of the deployment's running replicas."""
        return [replica.pid for replica in self.dashboard.replicas(deployment)]


def _show(line: str) -> None:
    progress(f"  server: {line}")


@contextmanager
def running(
    profile: str | Path,
    port: int | None = None,
    *,
    data_dir: Path | None = None,
    module: str = LAUNCHER,
    say: Callable[[str], None] = _show,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Launched]:
    """A server with its dashboard that can answer a turn; ended at the end.

    Args:
        profile: a name in ``cluster/`` or a file.
        port: of the interface; a free one unless given.
        data_dir: where it keeps what it keeps; a temporary folder unless given.
        module: what is run: the launcher, or a program that takes and prints the same.
        say: told each line that the server prints.
        settings: more of the launcher's settings, by the names of their variables.

    Raises:
        ServerError: it ended, or was not ready in time.
    """
    with ExitStack() as stack:
        if data_dir is None:
            folder = tempfile.TemporaryDirectory(prefix="avatar-data-")
            data_dir = Path(stack.enter_context(folder))
        port, dashboard_port = port or free_port(), free_port()
        process = launch(
            module,
            PROFILE=str(profile),
            PORT=str(port),
            DASHBOARD_PORT=str(dashboard_port),
            DATA_DIR=str(data_dir),
            **(settings or {}),
        )
        output = _Output(process, say)
        stack.callback(output.join)
        stack.callback(stop, process)
        dashboard = Dashboard(f"http://127.0.0.1:{dashboard_port}", output.token())
        url = f"http://127.0.0.1:{port}"
        yield Launched(url, process.pid, dashboard, data_dir, process, output.lines)


def launch(module: str = LAUNCHER, **settings: str) -> "subprocess.Popen[str]":
    """``make serve`` without the installation, with settings such as ``PROFILE``."""
    return subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a Ctrl-C here must not reach it twice
    )


def stop(process: "subprocess.Popen[str]") -> int:
    """End the server as Ctrl-C does; its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def free_port() -> int:
    """A port of loopback that nobody has now."""
    """A port of this machine that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _token_file(line: str) -> Path | None:
    """The file that the launcher names, if this is the line that does."""
    _, found, path = line.partition("its token: cat ")
    return Path(path.strip(" )\n")) if found else None


class _Output:
    """Reads what the server prints until it ends."""

    def __init__(self, process: "subprocess.Popen[str]", say: Callable[[str], None]) -> None:
        self.lines: list[str] = []
        self._process, self._say = process, say
        self._ready = threading.Event()
        self._token = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def token(self) -> str:
        """The dashboard's token, once the server is ready."""
        is_up = self._ready.wait(_START_TIMEOUT_S) and self._process.poll() is None
        if not is_up or not self._token:
            raise ServerError("the server did not start:\n" + "\n".join(self.lines))
        return self._token

    def join(self) -> None:
        self._reader.join()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.lines.append(line.rstrip())
            self._say(line.rstrip())
            if (file := _token_file(line)) is not None:
                self._token = file.read_text()
            if line.startswith("  Stop with"):
                self._ready.set()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._ready.set()  # it ended
