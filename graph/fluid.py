"""Speech as a fluid that a machine pours into faces, earliest deadline first. Pure, no clock.

All work is counted in seconds of speech. A turn whose viewer has ``lead_s`` in hand and that has
``left_s`` to go demands one second per second from ``lead_s`` on. By time t it therefore must have
got ``clamp(t - lead_s, 0, left_s)``, and earliest deadline first keeps every turn on time exactly
if, for every t, all these demands together are no more than what the machine makes until t.
Source: the processor-demand criterion (Baruah, Rosier and Howell 1990), for fluid work.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

HORIZON_S = 300.0
"""No prediction reaches further."""

_STEP_S, _STEP_SHARE = 0.1, 0.04  # of a prediction: fine where it is near, coarse where far
_EMPTY_S = 1e-6
_CATCH_UP_S = 5.0  # in which a turn that is late gets what it lacks, beside what it needs anyway


@dataclass(slots=True)
class Work:
    """One turn: how long its viewer can do without, and how much speech is left to be shown."""

    lead_s: float
    left_s: float


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody in line, who comes (or comes back) in ``in_s`` and will need ``left_s``."""

    in_s: float
    left_s: float


def fits(works: Iterable[Work], capacity: float, slack_s: float, reserve_s: float = 0.0) -> bool:
    """Whether a machine of ``capacity`` (seconds of speech per second) can keep all on time.

    One alone always fits: on a machine that is too slow for it, nobody else would suffer. What is
    late already no machine can put right at once; it takes from what is free until it is made up.

    Args:
        slack_s: how late all may be.
        reserve_s: what each viewer who has that much in hand keeps, whatever comes.
    """
    edges: list[tuple[float, float]] = []
    for work in works:
        if work.left_s > 0:
            begin_s = max(0.0, work.lead_s - reserve_s)
            rate = 1.0 + max(0.0, -work.lead_s) / _CATCH_UP_S
            edges += (begin_s, rate), (begin_s + work.left_s / rate, -rate)
    if len(edges) <= 2:
        return True
    edges.sort()
    demand_s = rate = at_s = 0.0
    for edge_s, change in edges:
        demand_s += rate * (edge_s - at_s)
        rate, at_s = rate + change, edge_s
        # The demand's slope falls only where a turn ends, so only there can it be at its worst.
        if change < 0 and demand_s > capacity * (edge_s + slack_s):
            return False
    return True


def pour(works: Sequence[Work], speech_s: float, look_ahead_s: float) -> None:
    """Give ``speech_s`` to those whose viewers run out first, none beyond ``look_ahead_s``."""
    waiting = sorted((w for w in works if w.left_s > _EMPTY_S), key=lambda w: -w.lead_s)
    level: list[Work] = []  # those with the least in hand, who rise together
    while speech_s > _EMPTY_S and (level or waiting):
        height_s = level[0].lead_s if level else waiting[-1].lead_s
        while waiting and waiting[-1].lead_s <= height_s + _EMPTY_S:
            level.append(waiting.pop())
        next_s = min(waiting[-1].lead_s if waiting else inf, look_ahead_s)
        if next_s <= height_s + _EMPTY_S:
            return
        rise_s = min(next_s - height_s, speech_s / len(level), min(w.left_s for w in level))
        for work in level:
            work.lead_s, work.left_s = height_s + rise_s, work.left_s - rise_s
        speech_s -= rise_s * len(level)
        level = [w for w in level if w.left_s > _EMPTY_S]


@dataclass(frozen=True, slots=True)
class Machine:
    """``capacity``: what it makes (seconds of speech per second). ``promised``: what of it
    admission promises to viewers; the rest is kept for what no estimate knows."""

    capacity: float
    promised: float
    slack_s: float
    reserve_s: float
    look_ahead_s: float

    def keeps(self, works: Iterable[Work]) -> bool:
        """Whether it keeps all of these on time."""
        return fits(works, self.promised, self.slack_s, self.reserve_s)


def waits(running: Iterable[Work], line: Sequence[Place], machine: Machine) -> list[float]:
    """When each in line gets in (seconds from now), the machine working on meanwhile.

    Who is in line is let in, in order, once it fits beside those running and those before it who
    are still to come back.
    """
    works = [replace(work) for work in running]
    result = [HORIZON_S] * len(line)
    left, at_s = list(range(len(line))), 0.0
    while left and at_s < HORIZON_S:
        left = _let_in(works, line, left, at_s, machine, result)
        step_s = max(_STEP_S, at_s * _STEP_SHARE)
        for work in works:
            work.lead_s -= step_s
        pour(works, machine.capacity * step_s, machine.look_ahead_s)
        works = [work for work in works if work.left_s > _EMPTY_S]
        at_s += step_s
    return result


def _let_in(
    works: list[Work],
    line: Sequence[Place],
    left: Sequence[int],
    at_s: float,
    machine: Machine,
    result: list[float],
) -> list[int]:
    """Those who still wait at ``at_s``; whoever fits joins ``works``."""
    ahead: list[Work] = []
    for n_seen, i in enumerate(left):
        if line[i].in_s > at_s:
            ahead.append(Work(line[i].in_s - at_s, line[i].left_s))
            continue
        new = Work(0.0, line[i].left_s)
        if not machine.keeps([*works, *ahead, new]):
            return [*(j for j in left[:n_seen] if line[j].in_s > at_s), *left[n_seen:]]
        works.append(new)
        result[i] = at_s
    return [i for i in left if line[i].in_s > at_s]
