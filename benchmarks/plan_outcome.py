"""What a simulation is asked, and what it found."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from benchmarks.plan_calls import Call
from benchmarks.plan_world import Answer, Sample, Setup, World
from benchmarks.report import Spread

REFUSED_SHARE = 0.01
"""Of those who wish for a turn: more may not be refused, whatever the others' TTFF is."""

_DRAIN_S = 60.0  # after the last wish that counts, in which its answer may come
_HOUR_S, _MINUTE_S = 3600.0, 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """Who calls, and from when to when it counts."""

    calls: Sequence[Call]
    from_s: float
    until_s: float

    @property
    def hours(self) -> float:
        return (self.until_s - self.from_s) / _HOUR_S

    @property
    def call_minutes(self) -> float:
        """Of all calls together, within what counts."""
        within = (
            min(call.end_s, self.until_s) - max(call.start_s, self.from_s) for call in self.calls
        )
        return sum(max(0.0, seconds) for seconds in within) / _MINUTE_S

    @property
    def most_calls(self) -> int:
        """At the same moment."""
        edges = [(call.start_s, 1) for call in self.calls]
        edges += [(call.end_s, -1) for call in self.calls if call.end_s < math.inf]
        return max(accumulate(change for _, change in sorted(edges)))


@dataclass(frozen=True, slots=True)
class Need:
    """What must hold, and what a card costs for an hour (US dollars). ``ladder_share``: of the
    video, with a reduced picture."""

    ttff_p95_s: float
    ladder_share: float
    price_per_hour: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What so many cards give. Shares are of wishes (``waited``: not let in at once), of packets
    (``late``), of the video (``ladder``: with a reduced picture) and of the rented cards' time
    (``busy``); prices are in US dollars."""

    n_cards: int
    n_turns: int
    n_open: int
    ttff_s: Spread
    waited_share: float
    refused_share: float
    late_share: float
    ladder_share: float
    busy_share: float
    cards_rented_mean: float
    cards_rented_most: int
    talking_minutes: float
    call_minutes: float
    price: float
    is_enough: bool

    @property
    def price_per_talking_minute(self) -> float:
        return self.price / self.talking_minutes if self.talking_minutes else math.inf

    @property
    def price_per_call_minute(self) -> float:
        return self.price / self.call_minutes if self.call_minutes else math.inf

    def json(self) -> dict[str, Any]:
        values = {**asdict(self), "ttff_s": self.ttff_s.json()}
        values["price_per_talking_minute"] = self.price_per_talking_minute
        values["price_per_call_minute"] = self.price_per_call_minute
        return {k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}


@dataclass(frozen=True, slots=True)
class Simulated:
    """An outcome, and what it was made of."""

    outcome: Outcome
    answers: Sequence[Answer]
    samples: Sequence[Sample]


def simulate(
    setup: Setup, load: Load, need: Need, told: Callable[[float], None] = lambda share: None
) -> Simulated:
    """Let ``load`` happen to ``setup``; ``told`` hears now and then which share is done."""
    world = World(setup, load.calls)
    world.run(load.from_s)
    card_s, busy_s = world.fleet.card_s(), world.fleet.busy_s()
    world.run(load.until_s, told)
    card_s, busy_s = world.fleet.card_s() - card_s, world.fleet.busy_s() - busy_s
    world.run(load.until_s + _DRAIN_S)
    answers = [
        answer
        for answer in (*world.answers, *world.open_answers())
        if load.from_s <= answer.wished_at_s < load.until_s
    ]
    outcome = _outcome(setup, load, need, answers, card_s, busy_s, world.fleet.most_rented)
    return Simulated(outcome, answers, world.samples)


def _outcome(
    setup: Setup,
    load: Load,
    need: Need,
    answers: Sequence[Answer],
    card_s: float,
    busy_s: float,
    most_rented: int,
) -> Outcome:
    n, n_packets = max(1, len(answers)), max(1, sum(a.n_packets for a in answers))
    video_s = sum(a.video_s for a in answers)
    ttff_s = Spread.of([a.ttff_s for a in answers] or [0.0])
    refused_share = sum(a.n_refusals > 0 for a in answers) / n
    ladder_share = sum(a.ladder_s for a in answers) / video_s if video_s else 0.0
    return Outcome(
        n_cards=setup.n_cards,
        n_turns=len(answers),
        n_open=sum(a.is_open for a in answers),
        ttff_s=ttff_s,
        waited_share=sum(a.waited_s > 0 for a in answers) / n,
        refused_share=refused_share,
        late_share=sum(a.n_late for a in answers) / n_packets,
        ladder_share=ladder_share,
        busy_share=busy_s / card_s if card_s else 0.0,
        cards_rented_mean=card_s / _HOUR_S / load.hours,
        cards_rented_most=most_rented,
        talking_minutes=video_s / _MINUTE_S,
        call_minutes=load.call_minutes,
        price=card_s / _HOUR_S * need.price_per_hour,
        is_enough=ttff_s.p95 <= need.ttff_p95_s
        and ladder_share <= need.ladder_share
        and refused_share <= REFUSED_SHARE,
    )
