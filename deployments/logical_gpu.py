"""A GPU that is not there: the fakes of several processes share its time and its memory.

Work in progress at the same moment gets equal shares, as a time-sliced GPU gives them (processor
sharing): a step of t seconds beside one other takes 2t. What is known of a card is a small file.
"""

import atexit
import fcntl
import json
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from deployments.cost_model import StageCost
from deployments.errors import EngineLoadError

FOLDER = "LOGICAL_GPU_DIR"
"""Environment variable: where the cards' files lie, common to all processes of a run."""

_VISIBLE = "CUDA_VISIBLE_DEVICES"  # which cards Ray gave to a replica, logical ones too
_NODE = "RAY_RAYLET_PID"  # nodes number their cards from 0, and there may be several on a machine
_SAME_S = 1e-9
_SAME_GB = 1e-6

Now = Callable[[], float]
Sleep = Callable[[float], None]
Spend = Callable[[float], None]
"""Blocks for as long as so many seconds of undisturbed work take."""


@dataclass
class Sharing:
    """Who is at work on a card, and since when. Pure: time is given and never goes back.

    Virtual time is the work that each one in progress has been given: it passes at 1/n of real time
    while n are at work. So whoever begins with t to do ends when it has passed by t, whatever
    others do meanwhile; nobody has to be told, and nobody has to tell that they have ended or died.
    Source: the virtual time of fair queueing (Parekh and Gallager 1993).
    """

    at_s: float = 0.0
    virtual_s: float = 0.0
    busy_s: float = 0.0  # real seconds in which anybody was at work
    ends: list[float] = field(default_factory=list)  # in virtual time

    def advance(self, now_s: float) -> None:
        """Let time pass."""
        while self.ends and self._real_s(min(self.ends)) <= now_s:
            self._pass(self._real_s(min(self.ends)))
            self.virtual_s = min(self.ends)
            self.ends.remove(self.virtual_s)
        self._pass(max(now_s, self.at_s))

    def begin(self, work_s: float) -> float:
        """Somebody begins; the virtual time of their end."""
        self.ends.append(self.virtual_s + work_s)
        return self.ends[-1]

    def left_s(self, end: float) -> float:
        """Real seconds until ``end``, if nobody else begins before; 0 once it is over."""
        if end <= self.virtual_s + _SAME_S:
            return 0.0
        coming = Sharing(0.0, self.virtual_s, 0.0, list(self.ends))
        while (first := min(coming.ends)) < end:
            coming.advance(coming._real_s(first))
        return coming._real_s(end)

    def _real_s(self, virtual_s: float) -> float:
        """When ``virtual_s`` is reached by those who are at work now."""
        return self.at_s + (virtual_s - self.virtual_s) * len(self.ends)

    def _pass(self, until_s: float) -> None:
        if self.ends:
            self.virtual_s += (until_s - self.at_s) / len(self.ends)
            self.busy_s += until_s - self.at_s
        self.at_s = until_s


class LogicalGpu:
    """One card, as one process sees it; for any of its threads.

    Args:
        path: the card's file, the same for all processes.
        memory_gb: what it has.
        now: a clock that all processes share: on one machine ``time.monotonic`` is.
    """

    def __init__(
        self, path: Path, memory_gb: float, now: Now = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        self._path, self._memory_gb, self._now, self._sleep = path, memory_gb, now, sleep
        self._lock = threading.Lock()  # a file's lock does not part the threads of a process
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        weakref.finalize(self, os.close, self._file)

    def run(self, work_s: float) -> None:
        """Block until ``work_s`` of the card's time have been ours. It sleeps until the end that
        is foreseen, and longer only if others have begun meanwhile."""
        if work_s <= 0:
            return
        with self._shared() as sharing:
            end = sharing.begin(work_s)
            left_s = sharing.left_s(end)
        while left_s > 0:
            self._sleep(left_s)
            with self._shared() as sharing:
                left_s = sharing.left_s(end)

    def busy_s(self) -> float:
        """For how long anybody has been at work on it so far."""
        with self._shared() as sharing:
            return sharing.busy_s

    def claim(self, stage: str, memory_gb: float) -> None:
        """Take so much of its memory, for as long as this object and the process live.

        Raises:
            EngineLoadError: there is less.
        """
        with self._locked():
            taken = self._taken()
            free_gb = self._memory_gb - sum(gb for _, gb in taken)
            if memory_gb > free_gb + _SAME_GB:
                text = _too_little(stage, memory_gb, self._memory_gb, taken)
                raise EngineLoadError(text, stage=stage)
            self._hold(stage, memory_gb)

    def claims(self) -> list[tuple[str, float]]:
        """Stage and memory of everybody who has some of it now."""
        with self._locked():
            return self._taken()

    def _hold(self, stage: str, memory_gb: float) -> None:
        """A claim is a file whose lock is held, and a lock ends with its process at once."""
        file, name = tempfile.mkstemp(prefix=f"{self._path.name}.", dir=self._path.parent)
        fcntl.flock(file, fcntl.LOCK_EX)
        weakref.finalize(self, os.close, file)
        Path(name).write_text(json.dumps({"stage": stage, "memory_gb": memory_gb}))

    def _taken(self) -> list[tuple[str, float]]:
        """Stage and memory of every claim that is held; the files of others are removed."""
        found = []
        for path in self._path.parent.glob(f"{self._path.name}.*"):
            if _is_held(path):
                claim = json.loads(path.read_text())
                found.append((str(claim["stage"]), float(claim["memory_gb"])))
            else:
                path.unlink()
        return sorted(found)

    @contextmanager
    def _shared(self) -> Iterator[Sharing]:
        """The card's state as of now; what is changed is kept."""
        with self._locked():
            line = os.pread(self._file, 65_536, 0).partition(b"\n")[0]
            sharing = Sharing(**json.loads(line)) if line else Sharing(self._now())
            sharing.advance(self._now())
            yield sharing
            # One write, which a process that is killed makes whole or not at all. What a longer
            # state leaves behind the end of the line is never read.
            os.pwrite(self._file, json.dumps(asdict(sharing)).encode() + b"\n", 0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else reads or writes the card's files; who dies lets go."""
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)


def loaded(stage: str, cost: StageCost) -> Spend:
    """Load as the stage does, which takes its time and its memory; what comes back spends the time
    of its work, on the card that this replica was given or, without one, by waiting.

    Raises:
        EngineLoadError: the stage needs a card and was given none, or one without enough memory.
    """
    if not cost.uses_gpu:
        _wait(cost.load_s)
        return _wait
    gpu = card(stage, cost.gpu_memory_gb)
    gpu.claim(stage, cost.memory_gb)
    _wait(cost.load_s)
    return gpu.run


def card(stage: str, memory_gb: float) -> LogicalGpu:
    """The card that this process was given.

    Raises:
        EngineLoadError: none.
    """
    folder = os.environ.get(FOLDER)
    if folder is None:  # one process alone, which has a card of its own
        return LogicalGpu(_own_folder() / "gpu-0", memory_gb)
    visible = os.environ.get(_VISIBLE, "").partition(",")[0]
    if not visible:
        text = f"{stage} needs a GPU and was given none: set num_gpus for it in the profile"
        raise EngineLoadError(text, stage=stage)
    return LogicalGpu(Path(folder) / f"gpu-{os.environ.get(_NODE, '')}-{visible}", memory_gb)


def cards(folder: Path) -> dict[str, LogicalGpu]:
    """All cards that were used so far, by name."""
    # Claims have a suffix, and of a card that is only looked at the memory does not matter.
    paths = sorted(path for path in folder.glob("gpu-*") if not path.suffix)
    return {path.name: LogicalGpu(path, 0.0) for path in paths}


@cache
def _own_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="logical-gpu-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _wait(seconds: float) -> None:
    if seconds > 0:
        time.sleep(seconds)


def _is_held(path: Path) -> bool:
    file = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _too_little(
    stage: str, wanted_gb: float, memory_gb: float, taken: list[tuple[str, float]]
) -> str:
    free_gb = memory_gb - sum(gb for _, gb in taken)
    by_whom = ", ".join(f"{name} {gb:g}" for name, gb in taken) or "nothing"
    return (
        f"{stage} needs {wanted_gb:g} GB of the GPU, and {max(0.0, free_gb):g} of its "
        f"{memory_gb:g} GB are free (taken: {by_whom})"
    )
