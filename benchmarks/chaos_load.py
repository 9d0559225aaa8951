"""The load test as a process beside the strikes, ended with them."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load_record import TurnRecord, read_records
from graph.preflight import ROOT

_END_S = 20.0
_TURNS, _SAID = "turns", "said"


class LoadFailedError(Exception):
    """The load test ended with an error of its own; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Load:
    """Who asks what; the names are ``benchmarks.load``'s."""

    url: str
    users: int
    turns: int
    question: str
    answer_s: str
    pause_s: str
    check: str

    def options(self) -> list[str]:
        # Each turn is a session of its own: one that could not be kept must not fail the next.
        values = {
            "url": self.url,
            "users": self.users,
            "turns": self.turns,
            "question": self.question,
            "answer-s": self.answer_s,
            "pause-s": self.pause_s,
            "check": self.check,
            "session-turns": 1,
        }
        return [part for name, value in values.items() for part in (f"--{name}", str(value))]


class Conversations:
    """A load test in progress."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self._process, self._folder = process, folder

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within ``timeout_s``."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def records(self) -> list[TurnRecord]:
        """Every turn, once all have ended.

        Raises:
            LoadFailedError: there is none.
        """
        status, turns_file = self._process.wait(), self._folder / _TURNS
        if status or not turns_file.exists():
            said = (self._folder / _SAID).read_text()[-2000:]
            raise LoadFailedError(f"the load test ended with status {status}: {said}")
        return read_records(turns_file)


@contextmanager
def conversing(load: Load) -> Iterator[Conversations]:
    """Users who converse until their turns are done, or the block is left."""
    with tempfile.TemporaryDirectory(prefix="avatar-chaos-load-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "benchmarks.load", *load.options()]
        with (folder / _SAID).open("wb") as said:
            process = subprocess.Popen(
                [*command, "--turns-file", str(folder / _TURNS)],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,  # its report is not ours
                stderr=said,
                start_new_session=True,  # it starts processes too: they are ended as one group
            )
        try:
            yield Conversations(process, folder)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
