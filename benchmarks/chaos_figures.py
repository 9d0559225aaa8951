"""What strikes did to the turns they met: outcomes, gaps, and whether that is good enough."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load_record import Outcome, TurnRecord
from benchmarks.load_viewer import LATE_S
from benchmarks.report import Verdict

STAND_INS = ("idle_face", "voice_only")
"""Where the ladder shows no drawn face: to its viewer a gap, though sound and picture go on."""

SAFE_LEAD_S = 2.0
"""A viewer with so much in hand when a replica is struck must notice nothing. Source: issue 3."""

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


def verdicts_of(
    runs: Sequence[FaultRun],
    stage_faults: Iterable[str],
    gap_limits_s: Mapping[str, float],
    n_turns: int,
    n_users: int,
) -> list[Verdict]:
    """The figures against what they must reach.

    Args:
        runs: one for each fault.
        stage_faults: the names of those that strike a stage, over which the turns are summed.
        gap_limits_s: how long a viewer may miss the face, by the name of an avatar fault.
        n_turns: how many admitted turns the sum over the stages needs.
        n_users: of the load.
    """
    wanted = set(stage_faults)
    struck = [run for run in runs if run.fault in wanted and not run.skipped]
    verdicts = _stage_verdicts(struck, n_turns)
    verdicts += _redeploy_verdicts(runs)
    n_broken = sum(run.n("broken") for run in runs)
    every = "silently broken, all faults together"
    verdicts.append(Verdict(every, "0", float(n_broken) if runs else None, 0.0, ""))
    for run in runs:
        if run.fault in gap_limits_s:
            verdicts += _gap_verdicts(run, gap_limits_s[run.fault], n_users)
    return verdicts


def _stage_verdicts(struck: Sequence[FaultRun], n_turns: int) -> list[Verdict]:
    n_admitted = sum(run.n_admitted for run in struck)
    note = "" if n_admitted else "no stage was struck"
    n_failed = sum(_n_failed(run) for run in struck)
    n_idle = sum(not run.n_struck_at_work for run in struck)
    return [
        Verdict("turns on struck stages", f">= {n_turns}", n_admitted, n_turns, "", True, note),
        Verdict(
            "... of them not whole, not on the ladder, not shortened and marked (LLM only)",
            "0",
            float(n_failed) if n_admitted else None,
            0.0,
            "",
            note=note,
        ),
        Verdict(
            "stage faults that never met a call in progress",
            "0",
            float(n_idle) if struck else None,
            0.0,
            "",
            note=note,
        ),
    ]


def _n_failed(run: FaultRun) -> int:
    """Admitted turns that a struck stage cost; only the model may shorten a reply."""
    n_bad = run.n("error", "cut", "broken")
    return n_bad if run.fault == "kill-llm" else n_bad + run.n("shortened")


def _redeploy_verdicts(runs: Sequence[FaultRun]) -> list[Verdict]:
    return [
        Verdict(
            f"{run.fault}: turns not whole and not on the ladder",
            "0",
            float(run.n("error", "cut", "broken", "shortened")) if run.strikes else None,
            0.0,
            "",
            note=run.skipped,
        )
        for run in runs
        if run.fault in ("redeploy", "scale")
    ]


def _gap_verdicts(run: FaultRun, limit_s: float, n_users: int) -> list[Verdict]:
    effects = run.effects()
    is_shown = bool(run.n_in_flight and effects)
    note = f"({run.n_in_flight} stretches in flight in {len(run.strikes)} strikes)"
    safe = [effect for effect in effects if effect.lead_s >= SAFE_LEAD_S]
    gap_s = max((effect.gap_s for effect in effects), default=0.0)
    n_bad = sum(effect.gap_s > LATE_S for effect in safe)
    safe_note = f"(of {len(safe)} viewers)" if safe else "nobody had so much in hand"
    return [
        Verdict(
            f"{run.fault}: gap seen by the viewer, worst",
            f"<= {limit_s:g} s",
            gap_s if is_shown else None,
            limit_s,
            "s",
            note=run.skipped or note,
        ),
        Verdict(
            f"... noticed at all with >= {SAFE_LEAD_S:g} s in hand, {n_users} users",
            "0",
            float(n_bad) if is_shown and safe else None,
            0.0,
            "",
            note=run.skipped or safe_note,
        ),
    ]
