"""Looks at the replicas of a running graph again and again: since when were there enough?"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.dashboard import Dashboard

_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Sight:
    """At a moment (seconds since 1970): replicas of each stage that run, and that are there at all,
    starting and draining ones too."""

    at: float
    running: Mapping[str, int]
    present: Mapping[str, int]


@dataclass
class Watch:
    """What was seen so far, oldest first; only what differs from the sight before it is kept."""

    sights: list[Sight] = field(default_factory=list)

    def saw(self, sight: Sight) -> None:
        last = self.sights[-1] if self.sights else None
        if last is None or (last.running, last.present) != (sight.running, sight.present):
            self.sights.append(sight)

    def enough_at(self, needed: Mapping[str, int], after: float) -> float | None:
        """When as many ran for the first time from ``after`` on; ``None``: never."""
        found = [s.at for s in self._from(after) if _at_least(s.running, needed)]
        return max(found[0], after) if found else None

    def down_at(self, needed: Mapping[str, int], after: float) -> float | None:
        """When no more than these were left, not even draining ones; ``None``: never."""
        found = [s.at for s in self._from(after) if _at_most(s.present, needed)]
        return max(found[0], after) if found else None

    def most(self) -> dict[str, int]:
        """Of each stage, the most that ran at any moment."""
        names = {name for sight in self.sights for name in sight.running}
        return {name: max(s.running.get(name, 0) for s in self.sights) for name in sorted(names)}

    def _from(self, after: float) -> Sequence[Sight]:
        """What was seen last before ``after`` still held then."""
        n_before = sum(sight.at < after for sight in self.sights)
        return self.sights[max(0, n_before - 1) :]


@contextmanager
def watching(
    dashboard: Dashboard, stages: Sequence[str], every_s: float = _EVERY_S
) -> Iterator[Watch]:
    """Look until the block is left."""
    watch, ended = Watch(), threading.Event()

    def look() -> None:
        while not ended.wait(every_s):
            watch.saw(seen(dashboard, stages))

    watch.saw(seen(dashboard, stages))
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


def seen(
    dashboard: Dashboard, stages: Sequence[str], now: Callable[[], float] = time.time
) -> Sight:
    """The replicas as Serve tells of them now."""
    deployments = dashboard.deployments()
    replicas = {stage: deployments.get(stage, {}).get("replicas", ()) for stage in stages}
    n_running = {
        stage: sum(one["state"] == "RUNNING" for one in found) for stage, found in replicas.items()
    }
    return Sight(now(), n_running, {stage: len(found) for stage, found in replicas.items()})


def _at_most(found: Mapping[str, int], needed: Mapping[str, int]) -> bool:
    return all(found.get(stage, 0) <= n for stage, n in needed.items())


def _at_least(found: Mapping[str, int], needed: Mapping[str, int]) -> bool:
    return all(found.get(stage, 0) >= n for stage, n in needed.items())
