"""The simulation: people who call, the real admission, and cards that do the work.

Admission, its estimates and its line are the graph's own code, asked and told as an ingress does;
so are the order of drawing and the policy of scaling. Whatever takes time is a cost model's word.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TypeVar

from benchmarks.plan_calls import TALK, Call, Talk
from benchmarks.plan_card import Card
from benchmarks.plan_clock import INGRESS, Clock, Desk, Wish
from benchmarks.plan_deployment import Deployment
from benchmarks.plan_face import FaceRules
from benchmarks.plan_fleet import Fleet, Rent
from benchmarks.plan_painter import Brush, Painter
from benchmarks.plan_policy import Demand, Policy
from benchmarks.plan_pool import Pool
from benchmarks.plan_profile import Layout
from benchmarks.plan_replicas import Ears, Replica, Voice
from benchmarks.plan_turn import Exchange, Studio, Turn
from graph.admission import SpeechAdmission

ReplicaT = TypeVar("ReplicaT", bound=Replica)

COARSE_AFTER_S = 1.0
"""A stretch that is needed later is one item of the schedule; see ``plan_painter``."""

OVERHEAD_S = 0.06
"""What the graph takes of TTFF beside its stages. Source: our benchmark, 2026-11-21: TTFF served
less in-process, p50 (README)."""

_LOOK_EVERY_S = 0.1  # as ``graph.door`` does while somebody waits
_NOTE_EVERY_S = 1.0  # efforts are told; estimates rest on 20 s of speech and more
_SCALE_EVERY_S = 1.0
_SAMPLE_EVERY_S = 300.0
_START_S = 60.0  # beside what renting takes, until the first call


@dataclass(frozen=True, slots=True)
class Setup:
    """What is simulated. With ``rent`` replicas and cards come and go as the load does, up to
    ``n_cards``; without, so many are there all the time, each with all that fits on it."""

    layout: Layout
    n_cards: int
    talk: Talk = TALK
    rent: Rent | None = None
    overhead_s: float = OVERHEAD_S
    coarse_after_s: float = COARSE_AFTER_S
    seed: int = 1

    @property
    def lead_s(self) -> float:
        """How long before the first call all is started."""
        return _START_S + (self.rent.start_s if self.rent else 0.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """One wish for a turn and what came of it; times count from the first call's beginning.

    ``ttff_s`` counts from the wish, waiting and coming back included; of a turn that had no picture
    when the simulation ended (``is_open``) it is the time until then. ``ladder_s``: of the video,
    in which the picture was reduced.
    """

    wished_at_s: float
    ttff_s: float
    waited_s: float
    n_refusals: int
    n_packets: int
    n_late: int
    ladder_s: float
    video_s: float
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stood at a moment."""

    at_s: float
    n_calls: int
    n_turns: int
    n_cards: int


@dataclass(frozen=True, slots=True)
class _Caller:
    """One person in a call, who hangs up at ``ends_at_s``."""

    ends_at_s: float
    rng: random.Random


class World:
    """One simulation; ``run`` may be called several times, each time with a later end."""

    def __init__(self, setup: Setup, calls: Sequence[Call]) -> None:
        self.setup, self.clock = setup, Clock()
        self._rng = random.Random(f"{setup.seed} world")
        layout = setup.layout
        self.admission = SpeechAdmission(layout.admission, look_ahead_s=layout.look_ahead_s)
        self._desk = Desk(self.clock, self.admission, self._rng, refresh=self._refresh)
        self.fleet = Fleet(self.clock, setup.n_cards, setup.rent or Rent())
        self._build(layout)
        self._policy = Policy(layout.turns_per_replica, layout.news_every_s)
        self.answers: list[Answer] = []
        self.samples: list[Sample] = []
        self._wishes: dict[Wish, Turn | None] = {}
        self._turns: dict[str, Turn] = {}
        self._n_calls = 0
        self._reported_at_s = self._noted_at_s = -inf
        self._is_looking = False
        self._start(calls)

    @property
    def now_s(self) -> float:
        """Since the first call could begin."""
        return self.clock.now_s - self.setup.lead_s

    def run(self, until_s: float, told: Callable[[float], None] = lambda share: None) -> None:
        """``told`` hears now and then which share of the way is done."""
        begin_s, end_s = self.clock.now_s, until_s + self.setup.lead_s
        for i in range(1, 101):
            self.clock.run(begin_s + (end_s - begin_s) * i / 100)
            told(i / 100)

    def open_answers(self) -> list[Answer]:
        """Wishes without a picture yet, as far as they have come."""
        return [
            self._answer(wish, None, is_open=True)
            for wish, turn in self._wishes.items()
            if turn is None or turn.face.first_at_s is None
        ]

    # How it is put together.

    def _build(self, layout: Layout) -> None:
        cost = {name: stage.cost for name, stage in layout.stages.items()}
        brush = Brush.of(cost["avatar"], layout.fps, layout.frames_per_packet)
        ears = self._stage("asr", lambda name, card: Ears(name, card, cost["asr"]))
        voices = self._stage("tts", lambda name, card: Voice(name, card, cost["tts"]))
        painters = self._stage("avatar", lambda name, card: Painter(name, card, brush))
        self._deployments = (ears, voices, painters)
        self._studio = Studio(
            clock=self.clock,
            ears=ears.pool,
            voices=voices.pool,
            painters=painters.pool,
            llm=layout.model.llm,
            rules=FaceRules(
                layout.turn,
                layout.fps,
                layout.frames_per_packet,
                layout.look_ahead_s,
                layout.context_s,
                self.setup.coarse_after_s,
            ),
            overhead_s=self.setup.overhead_s,
        )

    def _stage(self, name: str, make: Callable[[str, Card], ReplicaT]) -> Deployment[ReplicaT]:
        stage, layout = self.setup.layout.stages[name], self.setup.layout
        pool: Pool[ReplicaT] = Pool(name, self.clock, self._rng)
        scaling = stage.scaling_on(self.setup.n_cards)
        return Deployment(
            self.clock, self.fleet, pool, make, stage, scaling, layout.news_every_s, self._counted
        )

    def _counted(self) -> None:
        """Admission is told how many replicas run."""
        self.admission.n_replicas = {d.pool.stage: len(d.pool) for d in self._deployments}

    def _start(self, calls: Sequence[Call]) -> None:
        n_cards, is_elastic = self.setup.n_cards, self.setup.rent is not None
        layout = self.setup.layout
        self.fleet.rent_now(layout.cards_at_start(n_cards) if is_elastic else n_cards)
        for deployment in self._deployments:
            bounds = deployment.scaling
            deployment.start(bounds.min_replicas if is_elastic else bounds.max_replicas)
        if is_elastic:
            self.clock.after(_SCALE_EVERY_S, self._scale)
        self.clock.after(self.setup.lead_s, self._sample)
        for i, call in enumerate(calls):
            begin = partial(self._begin, f"{self.setup.seed} caller {i}", call)
            self.clock.at(self.setup.lead_s + call.start_s, begin)

    # People.

    def _begin(self, seed: str, call: Call) -> None:
        self._n_calls += 1
        ends_at_s = self.setup.lead_s + call.end_s
        self._converse(_Caller(ends_at_s, random.Random(seed)))

    def _converse(self, caller: _Caller) -> None:
        """The next question, unless the call is over by then."""
        pause_s, exchange = self.setup.talk.exchange(caller.rng)
        if self.clock.now_s + pause_s >= caller.ends_at_s:
            self._n_calls -= 1
        else:
            self.clock.after(pause_s, partial(self._wish, caller, exchange))

    def _wish(self, caller: _Caller, exchange: Exchange) -> None:
        wish = self._desk.wish(partial(self._let_in, caller, exchange))
        if wish.admitted_at_s is None:
            self._wishes[wish] = None

    def _let_in(self, caller: _Caller, exchange: Exchange, wish: Wish) -> None:
        turn = Turn(self._studio, exchange, partial(self._ended, caller, wish))
        self._wishes[wish] = self._turns[wish.turn_id] = turn

    def _ended(self, caller: _Caller, wish: Wish, turn: Turn) -> None:
        del self._turns[wish.turn_id], self._wishes[wish]
        self.answers.append(self._answer(wish, turn))
        self.admission.leave(wish.turn_id, turn.progress())
        self.clock.at(turn.ends_at_s(), partial(self._converse, caller))

    def _answer(self, wish: Wish, turn: Turn | None, *, is_open: bool = False) -> Answer:
        now_s, face = self.clock.now_s, None if turn is None else turn.face
        seen_at_s = now_s if face is None or face.first_at_s is None else face.first_at_s
        in_at_s = now_s if wish.admitted_at_s is None else wish.admitted_at_s
        return Answer(
            wished_at_s=wish.wished_at_s - self.setup.lead_s,
            ttff_s=seen_at_s - wish.wished_at_s,
            waited_s=in_at_s - wish.wished_at_s,
            n_refusals=len(wish.refused),
            n_packets=0 if face is None else face.n_packets,
            n_late=0 if face is None else face.n_late,
            ladder_s=0.0 if face is None else face.ladder_s,
            video_s=0.0 if turn is None else turn.video_s,
            is_open=is_open,
        )

    # What admission and the autoscaler are told.

    def _refresh(self) -> None:
        """As an ingress reports; nobody needs it between two questions to admission."""
        now_s = self.clock.now_s
        if now_s - self._noted_at_s >= _NOTE_EVERY_S:
            self._noted_at_s = now_s
            self._note(now_s)
        if now_s - self._reported_at_s >= self.setup.layout.admission.report_every_s:
            self._reported_at_s = now_s
            told = {turn_id: turn.progress() for turn_id, turn in self._turns.items()}
            self.admission.report(INGRESS, told, now_s)
        self._look_later()

    def _note(self, now_s: float) -> None:
        for deployment in self._deployments:
            for replica in deployment.pool:
                if (effort := replica.effort()) is not None:
                    self.admission.note(deployment.pool.stage, effort, now_s)

    def _look_later(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self.clock.after(_LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        """Again and again while somebody waits."""
        self._is_looking = False
        if self._desk.n_waiting:
            self._refresh()
            self._desk.look()

    def _scale(self) -> None:
        demands = {
            d.pool.stage: Demand(d.requests(), d.scaling.target_ongoing_requests)
            for d in self._deployments
        }
        needed = self._policy.needed(demands, self.admission.n_wanted, self.clock.now_s)
        for deployment in self._deployments:
            deployment.scale(needed[deployment.pool.stage])
        self.clock.after(_SCALE_EVERY_S, self._scale)

    def _sample(self) -> None:
        found = Sample(self.now_s, self._n_calls, len(self._turns), self.fleet.n_rented)
        self.samples.append(found)
        self.clock.after(_SAMPLE_EVERY_S, self._sample)
