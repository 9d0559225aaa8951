"""How honest the server is about waiting: what it foretold against what came.

Three kinds of waits, which must not be mixed. In the queue (over SSE) the server itself ends the
wait, so its prediction can err both ways. Who was refused and comes back as told is never let in
sooner than predicted, so such waits cannot show a prediction that is too long. Who comes back early
and often can; these alone stand for the honesty of refusals.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.load_record import TurnRecord

_LEAST_WAIT_S, _LEAST_TOLD_S = 0.5, 1.0
"""Shorter waits say nothing about the shortest prediction that Retry-After can tell."""


@dataclass(frozen=True, slots=True)
class Wait:
    """``is_over``: the user was let in; else the wait was cut off and lasted ``waited_s`` at
    least."""

    predicted_s: float
    waited_s: float
    is_over: bool

    @property
    def off(self) -> float | None:
        """|predicted - real| / real, at least; ``None`` where it cannot be known."""
        if self.is_over and self.waited_s < _LEAST_WAIT_S and self.predicted_s <= _LEAST_TOLD_S:
            return None
        if not self.is_over and self.waited_s <= self.predicted_s:
            return None
        return abs(self.predicted_s - self.waited_s) / max(self.waited_s, 1e-3)


@dataclass(frozen=True, slots=True)
class Honesty:
    """How far predictions were off. ``n_cut_off`` waits never ended but were longer than predicted
    already, and count with what they lasted; ``n_dropped`` were cut off before that."""

    off: tuple[float, ...]
    n_cut_off: int
    n_dropped: int

    @classmethod
    def of(cls, waits: Sequence[Wait]) -> "Honesty":
        cut_off = [wait.off is not None for wait in waits if not wait.is_over]
        found = [off for wait in waits if (off := wait.off) is not None]
        return cls(tuple(found), sum(cut_off), len(cut_off) - sum(cut_off))

    @property
    def median(self) -> float | None:
        return median(self.off) if self.off else None

    @property
    def note(self) -> str:
        return f"{len(self.off)} waits, {self.n_cut_off} cut off, {self.n_dropped} dropped"

    def json(self) -> dict[str, Any]:
        return {
            "predicted_off_median": None if self.median is None else round(self.median, 4),
            "n": len(self.off),
            "cut_off": self.n_cut_off,
            "dropped": self.n_dropped,
        }


def queue_waits(records: Iterable[TurnRecord]) -> list[Wait]:
    """In the queue alone, of every attempt that stood there."""
    return [
        Wait(r.queue_predicted_s, r.queue_waited_s, r.is_let_in)
        for r in records
        if r.queue_predicted_s is not None and r.queue_waited_s is not None
    ]


def refused_waits(records: Iterable[TurnRecord], *, is_impatient: bool) -> list[Wait]:
    """Of those who were refused, from the first prediction on, over all their attempts; of whoever
    came back as told, or of whoever came early and often."""
    return [
        Wait(r.predicted_wait_s, r.waited_s, r.is_let_in)
        for r in _last_attempts(records)
        if (r.attempt > 1 or r.outcome == "refused")
        and r.is_impatient == is_impatient
        and r.predicted_wait_s is not None
        and r.waited_s is not None
    ]


def _last_attempts(records: Iterable[TurnRecord]) -> Iterable[TurnRecord]:
    last: dict[tuple[int, int], TurnRecord] = {}
    for record in records:
        known = last.get((record.user, record.number))
        if known is None or record.attempt > known.attempt:
            last[record.user, record.number] = record
    return last.values()


@dataclass(frozen=True, slots=True)
class Returned:
    """Of ``n`` who came back as told, ``n_refused`` were refused a second time."""

    n: int
    n_refused: int

    @classmethod
    def of(cls, records: Iterable[TurnRecord]) -> "Returned":
        second = [r for r in records if r.attempt == 2 and not r.is_impatient]
        return cls(len(second), sum(r.outcome == "refused" for r in second))

    @property
    def share(self) -> float | None:
        return self.n_refused / self.n if self.n else None

    def json(self) -> dict[str, Any]:
        share = None if self.share is None else round(self.share, 4)
        return {"n": self.n, "refused_again": self.n_refused, "share": share}
