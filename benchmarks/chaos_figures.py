"""What strikes did to the turns they met: how these ended, and what their viewers saw."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load_record import Outcome, TurnRecord
from benchmarks.load_viewer import LATE_S

STAND_INS = ("idle_face", "voice_only")
"""Where the ladder shows no drawn face: to its viewer a gap, though sound and picture go on."""

_JOINED_S = 0.001  # ladder steps are told in whole frames

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Strike:
    """One blow. ``at`` is seconds since 1970; ``n_in_flight`` counts the calls that were in
    progress on what was struck; ``back_after_s`` is when all was as before, ``None`` if never."""

    at: float
    target: str
    n_in_flight: int
    back_after_s: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one viewer saw of one strike, until the next one.

    ``lead_s``: how much more than had been played was there when it happened. ``gap_s``: the
    longest time without the drawn face that was due, be it late or stood in for.
    ``n_late``: fragments more than 50 ms behind a player that started with the first one.
    """

    lead_s: float
    gap_s: float
    n_late: int


@dataclass(frozen=True, slots=True)
class FaultRun:
    """Load under one kind of fault. ``skipped`` says why there was none."""

    fault: str
    strikes: tuple[Strike, ...] = ()
    turns: tuple[TurnRecord, ...] = ()
    skipped: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def n(self, *outcomes: Outcome) -> int:
        counts = Counter(turn.outcome for turn in self.turns)
        return sum(counts[outcome] for outcome in outcomes)

    @property
    def n_admitted(self) -> int:
        """Turns that were let in; a user who was refused asks again later."""
        return len(self.turns) - self.n("refused")

    @property
    def n_struck_at_work(self) -> int:
        """Strikes that met a replica with calls in progress."""
        return sum(strike.n_in_flight > 0 for strike in self.strikes)

    @property
    def n_in_flight(self) -> int:
        return sum(strike.n_in_flight for strike in self.strikes)

    def effects(self) -> list[Effect]:
        """Of every strike on every turn that was being shown then."""
        return list(_effects(self.strikes, self.turns))


def _effects(strikes: Sequence[Strike], turns: Sequence[TurnRecord]) -> Iterator[Effect]:
    ends = [*(strike.at for strike in strikes[1:]), float("inf")]
    for strike, end in zip(strikes, ends, strict=True):
        for turn in turns:
            if (effect := effect_of(strike.at, end, turn)) is not None:
                yield effect


def effect_of(at: float, until: float, turn: TurnRecord) -> Effect | None:
    """What happened to ``turn`` from ``at`` to ``until``, both in seconds since 1970; ``None``
    where nothing of it was being shown, or all of it was there."""
    if not turn.arrivals:
        return None
    first_s, first_start_s = turn.arrivals[0]
    at_s, until_s = at - turn.asked_at, until - turn.asked_at
    if not first_s <= at_s < turn.arrivals[-1][0]:
        return None
    playing_from_s = first_s - first_start_s  # when the reply's clock stood at 0

    def late_s(arrival: tuple[float, float]) -> float:
        return arrival[0] - (playing_from_s + arrival[1])

    to_come = [one for one in turn.arrivals if one[0] > at_s]
    waited_for = [late_s(one) for one in to_come if one[0] <= until_s]
    hidden = [
        (playing_from_s + start_s, playing_from_s + end_s) for start_s, end_s in _stood_in(turn)
    ]
    gaps = [min(end_s, until_s) - max(start_s, at_s) for start_s, end_s in hidden]
    return Effect(
        lead_s=-late_s((at_s, to_come[0][1])),
        gap_s=max(0.0, *waited_for, *gaps) if waited_for or gaps else 0.0,
        n_late=sum(late > LATE_S for late in waited_for),
    )


def _stood_in(turn: TurnRecord) -> list[Span]:
    """From when to when, on the reply's clock, the turn's face was not drawn; runs are joined."""
    spans: list[Span] = []
    for step in turn.ladder:
        if step["level"] not in STAND_INS:
            continue
        start_s, end_s = float(step["from_s"]), float(step["to_s"])
        if spans and start_s - spans[-1][1] <= _JOINED_S:
            spans[-1] = (spans[-1][0], end_s)
        else:
            spans.append((start_s, end_s))
    return spans
