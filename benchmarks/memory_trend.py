"""Whether the memory of every process of a server stays where it is while the server works."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.machine import tree_pss_bytes

Sample = tuple[float, Mapping[str, int]]
"""When, in seconds, and bytes by process."""

_ALL = "all together"
_N_BLOCKS = 6
_T_95 = 2.776
"""Student's t for 95 % and the four degrees of freedom that six block means leave a line."""

GRAIN_MB = 2.0
"""Growth below this says nothing: it is what an allocator takes from the system at a time."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How one process's memory went over the time that was measured.

    ``growth_mb`` is the slope of a line through it times that time; ``noise_mb`` half the width of
    its 95 % interval. Block means make the line, because neighbouring readings are alike.
    """

    process: str
    mean_mb: float
    growth_mb: float
    noise_mb: float

    @classmethod
    def of(cls, process: str, at_s: Sequence[float], size_bytes: Sequence[float]) -> "Trend":
        """Needs a dozen readings at least."""
        blocks = np.array_split(np.arange(len(at_s)), _N_BLOCKS)
        t = np.array([np.mean(np.take(at_s, block)) for block in blocks])
        mb = np.array([np.mean(np.take(size_bytes, block)) for block in blocks]) / 1e6
        from_mean = t - t.mean()
        slope = float(from_mean @ mb / (from_mean @ from_mean))
        rest = mb - mb.mean() - slope * from_mean
        error = float(np.sqrt(rest @ rest / (_N_BLOCKS - 2) / (from_mean @ from_mean)))
        span_s = at_s[-1] - at_s[0]
        return cls(process, float(mb.mean()), slope * span_s, _T_95 * error * span_s)

    @property
    def beyond_noise_mb(self) -> float:
        """Growth that noise does not explain."""
        return max(0.0, self.growth_mb - self.noise_mb)

    def json(self) -> dict[str, Any]:
        return {
            "process": self.process,
            "mean_mb": round(self.mean_mb, 1),
            "growth_mb": round(self.growth_mb, 2),
            "noise_mb": round(self.noise_mb, 2),
        }


@dataclass(frozen=True, slots=True)
class Memory:
    """How a tree of processes went over the samples but the first, in which caches fill.

    ``lasting``: the trend of each process that was in all of them, the worst first. ``total``: of
    the sum over whatever was there, so that what moves from one process to another, or to a new
    one, is not lost. ``passing``: those that came or went, but for what was met in one sample only
    (a synthesiser's fork lives as long as its sentence). All is empty where there was too little.
    """

    lasting: tuple[Trend, ...] = ()
    total: Trend | None = None
    passing: tuple[str, ...] = ()

    @classmethod
    def of(cls, samples: Sequence[Sample], skip_share: float) -> "Memory":
        """Args:
        samples: what ``MemorySampler`` read.
        skip_share: of the samples, from the first on, that are left out.
        """
        kept = samples[int(len(samples) * skip_share) :]
        if len(kept) < 2 * _N_BLOCKS:
            return cls()
        at_s, names = [at for at, _ in kept], [set(sizes) for _, sizes in kept]
        lasting = set.intersection(*names)
        n_met = Counter(name for met in names for name in met)
        found = [Trend.of(name, at_s, [sizes[name] for _, sizes in kept]) for name in lasting]
        return cls(
            tuple(sorted(found, key=lambda t: (-t.beyond_noise_mb, -t.growth_mb, t.process))),
            Trend.of(_ALL, at_s, [sum(sizes.values()) for _, sizes in kept]),
            tuple(sorted(name for name, n in n_met.items() if n > 1 and name not in lasting)),
        )

    def json(self) -> dict[str, Any]:
        return {
            "lasting": [trend.json() for trend in self.lasting],
            "total": None if self.total is None else self.total.json(),
            "passing": list(self.passing),
        }


class MemorySampler:
    """Reads the memory (PSS) of a tree of processes when the block begins, every so often while it
    runs, and when it ends."""

    def __init__(self, root_pid: int, every_s: float) -> None:
        self.samples: list[Sample] = []
        self._root_pid, self._every_s = root_pid, every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "MemorySampler":
        self._read()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._read()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._read()

    def _read(self) -> None:
        self.samples.append((time.monotonic(), tree_pss_bytes(self._root_pid)))
