"""The names under which turns are counted and measured, exported through Ray."""

from collections.abc import Mapping
from dataclasses import fields

from ray.serve.metrics import Counter, Histogram

from graph.events import Timings

PREFIX = "avatar_"
_MS_BOUNDARIES: list[float] = [
    5, 10, 25, 50, 100, 150, 200, 300, 400, 550, 750, 1000, 2000, 5000, 10_000, 60_000,
]  # fmt: skip
_RTF_BOUNDARIES = [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0]


class TurnMetrics:
    """One ingress process's turns: outcomes, and a histogram of each of their times."""

    def __init__(self) -> None:
        self._turns = Counter(
            f"{PREFIX}turns_total", description="Turns by how they ended.", tag_keys=("outcome",)
        )
        self._times = {
            f.name: Histogram(
                f"{PREFIX}{f.name}",
                description=f"{f.name} of turns, as in the interface's timings.",
                boundaries=_RTF_BOUNDARIES if f.name == "rtf" else _MS_BOUNDARIES,
            )
            for f in fields(Timings)
            if f.name.endswith("_ms") or f.name == "rtf"
        }

    def record(self, outcome: str, timings: Timings | None) -> None:
        """Count a turn that ended."""
        self._turns.inc(tags={"outcome": outcome})
        for name, value in _measured(timings).items():
            self._times[name].observe(value)


def _measured(timings: Timings | None) -> Mapping[str, float]:
    if timings is None:
        return {}
    every = {f.name: getattr(timings, f.name) for f in fields(timings)}
    return {
        name: value
        for name, value in every.items()
        if value is not None and (name.endswith("_ms") or name == "rtf")
    }
