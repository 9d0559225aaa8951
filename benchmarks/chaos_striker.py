"""Strikes a replica at a moment when it has work: sees how much, and sends the signal at once.

Ray's exported metrics are seconds old. So a process of its own joins the cluster as a driver, asks
the replicas themselves (2 ms for all of a deployment) and signals from there, by pid alone. It is a
process because a cluster's token is read once in a process's life.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.dashboard import Replica
from benchmarks.machine import PROC
from graph.preflight import ROOT

_POLL_S = 0.002  # recognising lasts 100 ms, many a call less
_ANSWER_S = 1.0  # a replica that does not answer for so long is left alone
_MARGIN_S = 30.0


class StrikerError(Exception):
    """The striker ended, or did not answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """A replica to watch, and the process to signal if it is chosen: mostly its own."""

    actor_name: str
    pid: int

    @classmethod
    def of(cls, replica: Replica) -> "Target":
        return cls(replica.actor_name, replica.pid)


@dataclass(frozen=True, slots=True)
class Struck:
    """What was hit, when (seconds since 1970), how many calls were in flight there a moment before,
    and how many on all that were watched."""

    pid: int
    at: float
    n_in_flight: int
    n_in_all: int


class Striker:
    """The process that strikes; for one caller at a time."""

    def __init__(self, gcs_address: str, token: str, folder: Path) -> None:
        """Returns when the process can strike.

        Args:
            gcs_address: of the cluster.
            token: that lets one in.
            folder: a private one, in which the token is handed over.

        Raises:
            StrikerError: the process could not join the cluster.
        """
        token_file = folder / "striker-token"
        token_file.touch(mode=0o600)
        token_file.write_text(token)
        auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file)}
        self._said = folder / "striker-said"
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.chaos_striker", gcs_address],
                cwd=ROOT,
                env={**os.environ, **auth, "RAY_USAGE_STATS_ENABLED": "0"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                start_new_session=True,
            )
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Striker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()  # it ends when nobody can ask any more
        try:
            self._process.wait(_MARGIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def strike(
        self, targets: Sequence[Target], number: int, patience_s: float, at_least: int = 1
    ) -> Struck:
        """Signal the busiest of ``targets`` as soon as one has ``at_least`` so many calls in
        flight, or after ``patience_s``. Number 0 only looks.

        Raises:
            StrikerError: none of them could be asked.
        """
        order = {
            "targets": [asdict(target) for target in targets],
            "signal": int(number),
            "patience_s": patience_s,
            "at_least": at_least,
        }
        answer = self._ask(order)
        if "error" in answer:
            raise StrikerError(answer["error"])
        return Struck(**answer)

    def _ask(self, order: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._process.stdin is None:
            raise StrikerError("the striker has no pipes")
        with contextlib.suppress(BrokenPipeError):  # no answer will say why
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Mapping[str, Any]:
        line = "" if self._process.stdout is None else self._process.stdout.readline()
        if not line:
            raise StrikerError(f"the striker ended: {self._said.read_text()[-2000:]}")
        answer: Mapping[str, Any] = json.loads(line)
        return answer


def gcs_address_of(replica_pid: int, proc: Path = PROC) -> str:
    """Where the cluster of a replica is reached: its raylet, an ancestor, was told.

    Raises:
        StrikerError: the process is no Ray worker of this machine.
    """
    pid = replica_pid
    while pid > 1:
        try:
            arguments = (proc / str(pid) / "cmdline").read_bytes().split(b"\0")
            stat = (proc / str(pid) / "stat").read_text()
        except OSError:
            break
        for argument in arguments:
            if argument.startswith(b"--gcs-address="):
                return argument.partition(b"=")[2].decode()
        pid = int(stat.rpartition(")")[2].split()[1])
    raise StrikerError(f"process {replica_pid} belongs to no Ray node of this machine")


def main() -> int:
    """The process: a line of JSON in, a line of JSON out."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints what it hears of nodes and workers
    import ray

    ray.init(address=sys.argv[1], namespace="serve", log_to_driver=False, configure_logging=False)
    print("{}", file=answers, flush=True)  # ready
    for line in sys.stdin:
        order = json.loads(line)
        targets = [Target(**target) for target in order["targets"]]
        try:
            answer = asdict(
                _struck(targets, order["signal"], order["patience_s"], order["at_least"])
            )
        except StrikerError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)
    ray.shutdown()
    return 0


def _struck(targets: Sequence[Target], number: int, patience_s: float, at_least: int) -> Struck:
    until_s = time.monotonic() + patience_s
    while True:
        counts = [_n_in_flight(target) for target in targets]
        n, chosen = max(zip(counts, range(len(counts)), strict=True), default=(-1, 0))
        if n < 0:
            raise StrikerError("no replica could be asked")
        if n >= at_least or time.monotonic() > until_s:
            pid = targets[chosen].pid
            _signal(pid, number)
            return Struck(pid, time.time(), n, sum(count for count in counts if count > 0))
        time.sleep(_POLL_S)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise StrikerError(f"process {pid} had ended") from None


def _n_in_flight(target: Target) -> int:
    """Calls in progress on the replica; -1 when it cannot be asked."""
    import ray
    from ray.exceptions import GetTimeoutError, RayError

    try:
        actor = ray.get_actor(target.actor_name, namespace="serve")
        n: Any = ray.get(actor.get_num_ongoing_requests.remote(), timeout=_ANSWER_S)
        return int(n)
    except (RayError, GetTimeoutError, ValueError):  # ValueError: no such actor any more
        return -1


if __name__ == "__main__":
    sys.exit(main())
