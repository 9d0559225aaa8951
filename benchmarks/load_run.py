"""Runs the load test in processes of its own, so that its caller keeps plain sockets."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.client import User
from benchmarks.incoming import AnswerError
from benchmarks.load_record import TurnRecord, read_records
from benchmarks.load_report import show_summary
from benchmarks.load_settings import LoadSettings, add_arguments, add_file_arguments
from benchmarks.machine import Machine
from benchmarks.report import finish, progress
from benchmarks.server import Server, ServerError, free_port, running
from graph.preflight import ROOT

_LOCUST_FILE = ROOT / "benchmarks" / "load.py"
_N_WARM_UPS = 3


class LoadError(Exception):
    """The load test itself did not run; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class LoadRun:
    """Every turn, and the figures (with the facts of the machine under ``machine``)."""

    records: list[TurnRecord]
    figures: Mapping[str, Any]


def main() -> int:
    """The command."""
    parser = _parser()
    options = parser.parse_args()
    settings = {name: getattr(options, name) for name in LoadSettings.__dataclass_fields__}
    if not (options.turns or options.minutes):
        settings["turns"] = options.users * 5
    try:
        LoadSettings.of(options)
        with serving(options.url, options.profile, options.port) as server:
            done = run_load(
                server.url, options.users, settings, options.processes, options.turns_file
            )
    except (LoadError, ServerError, AnswerError, ValueError) as error:
        progress(f"error: {error}")
        return 1
    figures = dict(done.figures)
    machine = figures.pop("machine")
    show_summary(figures)
    print(f"\nMeasured on\n{Machine.describe(machine)}")
    finish(figures.pop("benchmark"), figures, machine)
    if options.report_file:
        with Path(options.report_file).open("w") as file:
            finish("load", figures, machine, file)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=(
            "Many people who talk to the face at once, without Locust's web page. Prints tables "
            "and, last on stdout, one line of JSON."
        ),
    )
    add_server_arguments(parser)
    add = parser.add_argument
    add("--users", type=int, default=3, help="people who talk at once (default: 3)")
    add("--processes", type=int, default=0, help="Locust's worker processes (default: one in all)")
    add_file_arguments(parser)
    add_arguments(parser)
    return parser


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Which server is put under load."""
    add = parser.add_argument
    add("--url", help="a running server; by default one is started and ended")
    add("--profile", default="embedded", help="of the server that is started")
    add("--port", type=int, help="of the server that is started (default: a free one)")


@contextmanager
def serving(url: str | None, profile: str, port: int | None, pid: int | None = None
            ) -> Iterator[Server]:  # fmt: skip
    """The server at ``url``, or one that is started, has answered a few turns, and is ended."""
    if url:
        yield Server(url, pid)
        return
    progress("starting the server ...")
    with running(profile, port) as server:
        with User(server.url) as user:
            for _ in range(_N_WARM_UPS):
                user.wait(text="Tell me a story.")
        yield server


def run_load(
    url: str,
    users: int,
    settings: Mapping[str, Any],
    processes: int = 0,
    turns_file: str = "",
) -> LoadRun:
    """Let ``users`` converse; ``settings`` by the names of ``LoadSettings``, as they are written.

    Raises:
        LoadError: Locust ended without a report.
    """
    with tempfile.TemporaryDirectory(prefix="avatar-load-") as folder:
        turns, report = Path(turns_file or Path(folder, "turns")), Path(folder, "report")
        command = [
            sys.executable, "-m", "locust", "-f", str(_LOCUST_FILE), "--headless",
            "--host", url, "--users", str(users), "--spawn-rate", str(users),
            "--loglevel", "WARNING", "--only-summary", "--exit-code-on-error", "0",
            "--json-file", str(Path(folder, "stats")),  # instead of tables of its own
            "--turns-file", str(turns), "--report-file", str(report), *_written(settings),
        ]  # fmt: skip
        if processes > 1:
            port = str(free_port())
            command += ["--processes", str(processes)]
            command += ["--master-bind-port", port, "--master-port", port]
        # Its own report goes to the file; what it says meanwhile is progress.
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        if not report.exists():
            raise LoadError(f"the load test ended with status {done.returncode}")
        return LoadRun(read_records(turns), json.loads(report.read_text()))


def _written(settings: Mapping[str, Any]) -> Sequence[str]:
    """As a command line has them; what is empty is the default."""
    written = []
    for name, value in settings.items():
        if value != "":
            written += ["--" + name.replace("_", "-"), str(value)]
    return written
