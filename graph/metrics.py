"""The names under which turns are counted and measured, whatever exports them."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Protocol

from graph.events import Timings

PREFIX = "avatar_"
_MS_BOUNDARIES: list[float] = [
    5, 10, 25, 50, 100, 150, 200, 300, 400, 550, 750, 1000, 2000, 5000, 10_000, 60_000,
]  # fmt: skip
_WAIT_MS_BOUNDARIES: list[float] = [
    1, 100, 250, 500, 1000, 2000, 3000, 5000, 7500, 10_000, 15_000, 20_000, 30_000, 60_000,
]  # fmt: skip
_RTF_BOUNDARIES = [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0]


class CounterLike(Protocol):
    """What ``ray.serve.metrics.Counter`` does."""

    def inc(self, value: float, tags: dict[str, str]) -> None: ...


class HistogramLike(Protocol):
    """What ``ray.serve.metrics.Histogram`` does."""

    def observe(self, value: float) -> None: ...


class TurnMetrics:
    """One ingress process's turns: how they were let in, how they ended, and their times."""

    def __init__(
        self, counter: Callable[..., CounterLike], histogram: Callable[..., HistogramLike]
    ) -> None:
        self._turns = counter(
            f"{PREFIX}turns_total", description="Turns by how they ended.", tag_keys=("outcome",)
        )
        self._admissions = counter(
            f"{PREFIX}admissions_total",
            description="Wishes to start a turn, by what came of them.",
            tag_keys=("decision",),
        )
        self._queue_wait = histogram(
            f"{PREFIX}queue_wait_ms",
            description="How long turns that were let in had waited; 0 where they did not.",
            boundaries=_WAIT_MS_BOUNDARIES,
        )
        self._ladder_seconds = counter(
            f"{PREFIX}ladder_seconds_total",
            description="Seconds of replies with a reduced face, by level.",
            tag_keys=("level",),
        )
        self._ladder_turns = counter(
            f"{PREFIX}ladder_turns_total",
            description="Finished turns whose face was reduced for a while, by level.",
            tag_keys=("level",),
        )
        self._times = {
            f.name: histogram(
                f"{PREFIX}{f.name}",
                description=f"{f.name} of turns, as in the interface's timings.",
                boundaries=_RTF_BOUNDARIES if f.name == "rtf" else _MS_BOUNDARIES,
            )
            for f in fields(Timings)
            if f.name.endswith("_ms") or f.name == "rtf"
        }

    def record(self, outcome: str, timings: Timings | None) -> None:
        """Count a turn that ended."""
        self._turns.inc(1, tags={"outcome": outcome})
        for name, value in _measured(timings).items():
            self._times[name].observe(value)
        for level, seconds in _reduced(timings).items():
            self._ladder_turns.inc(1, tags={"level": level})
            self._ladder_seconds.inc(seconds, tags={"level": level})

    def admit(self, decision: str, wait_ms: float | None) -> None:
        """Count a wish to start; ``wait_ms`` is ``None`` where it was not let in."""
        self._admissions.inc(1, tags={"decision": decision})
        if wait_ms is not None:
            self._queue_wait.observe(wait_ms)


def _measured(timings: Timings | None) -> Mapping[str, float]:
    if timings is None:
        return {}
    every = {f.name: getattr(timings, f.name) for f in fields(timings)}
    return {
        name: value
        for name, value in every.items()
        if value is not None and (name.endswith("_ms") or name == "rtf")
    }


def _reduced(timings: Timings | None) -> Mapping[str, float]:
    """Seconds on each level of the ladder that the turn was on."""
    seconds: dict[str, float] = {}
    for step in timings.ladder if timings is not None else ():
        seconds[step.level] = seconds.get(step.level, 0.0) + step.to_s - step.from_s
    return {level: s for level, s in seconds.items() if s > 0}
