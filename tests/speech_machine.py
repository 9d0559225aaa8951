"""A simulated machine that draws speech packet by packet, and the people who ask it.

A discrete-event simulation in which only admission is real: it is told what happens as an ingress
would tell it. The machine knows nothing of fluids: its replicas draw one packet at a time, that of
the viewer who needs it first, and each costs a bit more than what its effort says.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from deployments.types import Effort
from graph.admission import AdmissionSettings, SpeechAdmission, Waiter
from graph.events import Progress

PACKET_S = 0.2
LOOK_AHEAD_S = 20.0
LATE_S = 0.05
SPOKEN_AHEAD_S = 1.5  # how much speech a turn asks for before it draws
THINKING_S = 0.3  # ears and brain, before the first packet can be drawn


@dataclass
class Reply:
    """One turn in progress, and what its viewer saw."""

    turn_id: str
    length_s: float
    admitted_at_s: float
    on_heard: Callable[[float], None]
    sent_s: float = 0.0
    first_at_s: float | None = None
    is_in_work: bool = True  # at first by the ears and the brain
    n_packets: int = 0
    n_late: int = 0

    def ahead_s(self, now_s: float) -> float:
        return 0.0 if self.first_at_s is None else self.sent_s - (now_s - self.first_at_s)

    def progress(self, now_s: float) -> Progress | None:
        if self.first_at_s is None:
            return None
        spoken_s = min(self.length_s, self.sent_s + SPOKEN_AHEAD_S)
        is_all_spoken = spoken_s >= self.length_s
        return Progress(spoken_s, self.sent_s, self.ahead_s(now_s), is_all_spoken)

    def may_be_drawn(self, now_s: float) -> bool:
        return not self.is_in_work and self.ahead_s(now_s) < LOOK_AHEAD_S

    def needed_at_s(self) -> float:
        return self.admitted_at_s if self.first_at_s is None else self.first_at_s + self.sent_s


@dataclass
class Ask:
    """One person's wish for a turn until it is granted; times at which things were said."""

    wished_at_s: float
    queued: list[tuple[float, float]] = field(default_factory=list)  # when, predicted
    refused: list[tuple[float, float]] = field(default_factory=list)
    admitted_at_s: float | None = None


@dataclass
class World:
    """The machine, its admission and its clock."""

    n_replicas: int = 2
    cost: float = 0.25  # busy seconds per second of speech, in truth
    told_cost: float = 0.93  # of it, in what efforts say
    settings: AdmissionSettings = field(default_factory=AdmissionSettings)
    seed: int = 1
    refusals_return: bool = True

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.now_s = 0.0
        self.admission = SpeechAdmission(self.settings, look_ahead_s=LOOK_AHEAD_S)
        self.admission.n_replicas = {"avatar": self.n_replicas}
        self.replies: dict[str, Reply] = {}
        self.done: list[Reply] = []
        self.asks: list[Ask] = []
        self.ttff_s: list[float] = []
        self.idle = list(range(self.n_replicas))
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._n = 0
        self._waiting: list[tuple[Waiter, Ask, Callable[[float], None]]] = []
        self.after(0.0, self._report)

    @property
    def capacity(self) -> float:
        return self.n_replicas / self.cost

    def after(self, delay_s: float, event: Callable[[], None]) -> None:
        self._n += 1
        heapq.heappush(self._events, (self.now_s + delay_s, self._n, event))

    def run(self, until_s: float) -> None:
        while self._events and self._events[0][0] <= until_s:
            self.now_s, _, event = heapq.heappop(self._events)
            event()

    def converse_forever(self, pause_s: float) -> None:
        """One person in a closed loop: asks, listens to the end, pauses, asks again."""

        def again(listening_s: float) -> None:
            delay_s = listening_s + self.rng.uniform(0, 2 * pause_s)
            self.after(delay_s, lambda: self.wish(again))

        self.wish(again)

    def arrive_forever(self, per_s: float) -> None:
        """People in an open loop, each with one wish."""

        def arrive() -> None:
            self.wish(lambda listening_s: None)
            self.after(self.rng.expovariate(per_s), arrive)

        arrive()

    def wish(self, on_heard: Callable[[float], None]) -> None:
        ask = Ask(self.now_s)
        self.asks.append(ask)
        self._ask(ask, on_heard)

    def _ask(self, ask: Ask, on_heard: Callable[[float], None]) -> None:
        self._n += 1
        waiter = self.admission.ask(f"t{self._n}", "i", self.now_s)
        if waiter.is_waiting:
            place = self.admission.place(waiter, self.now_s)
            ask.queued.append((self.now_s, place.predicted_wait_s))
        self._waiting.append((waiter, ask, on_heard))
        self._look()

    def _look(self) -> None:
        """Do what admission decided."""
        self.admission.review(self.now_s)
        decided = [entry for entry in self._waiting if not entry[0].is_waiting]
        self._waiting = [entry for entry in self._waiting if entry[0].is_waiting]
        for waiter, ask, on_heard in decided:
            if waiter.refusal is None:
                ask.admitted_at_s = self.now_s
                self._begin(waiter.turn_id, on_heard)
            else:
                self._refused(ask, waiter.refusal.predicted_wait_s, on_heard)

    def _refused(self, ask: Ask, wait_s: float, on_heard: Callable[[float], None]) -> None:
        ask.refused.append((self.now_s, wait_s))
        if self.refusals_return:
            self.after(wait_s + self.rng.uniform(0.0, 0.1), lambda: self._ask(ask, on_heard))

    def _begin(self, turn_id: str, on_heard: Callable[[float], None]) -> None:
        n_packets = round(self.rng.uniform(14.0, 26.0) / PACKET_S)
        reply = Reply(turn_id, n_packets * PACKET_S, self.now_s, on_heard)
        self.replies[turn_id] = reply
        self.after(THINKING_S, lambda: self._free(reply))

    def _free(self, reply: Reply) -> None:
        reply.is_in_work = False
        self._work()

    def _work(self) -> None:
        while self.idle:
            able = [reply for reply in self.replies.values() if reply.may_be_drawn(self.now_s)]
            if not able:
                return
            reply = min(able, key=Reply.needed_at_s)
            reply.is_in_work = True
            busy_s = PACKET_S * self.cost * self.rng.uniform(0.8, 1.2)
            self.after(busy_s, partial(self._drawn, reply, self.idle.pop(), busy_s))

    def _drawn(self, reply: Reply, replica: int, busy_s: float) -> None:
        effort = Effort(f"r{replica}", busy_s * self.told_cost, PACKET_S)
        self.admission.note("avatar", effort, self.now_s)
        self.idle.append(replica)
        if reply.first_at_s is None:
            reply.first_at_s = self.now_s
            self.ttff_s.append(self.now_s - reply.admitted_at_s)
        reply.n_packets += 1
        reply.n_late += self.now_s > reply.first_at_s + reply.sent_s + LATE_S
        reply.sent_s += PACKET_S
        if reply.sent_s >= reply.length_s - PACKET_S / 2:
            del self.replies[reply.turn_id]
            self.done.append(reply)
            self.admission.leave(reply.turn_id, reply.progress(self.now_s))
            reply.on_heard(max(0.0, reply.ahead_s(self.now_s)))
            self._look()
        self._free(reply)

    def _report(self) -> None:
        told = {t: r.progress(self.now_s) for t, r in self.replies.items()}
        self.admission.report("i", told, self.now_s)
        self._look()
        self._work()  # a session that was ahead of its look-ahead may go on
        self.after(self.settings.report_every_s, self._report)
