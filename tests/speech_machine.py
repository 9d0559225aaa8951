"""A simulated machine that draws speech packet by packet, and the people who ask it.

A discrete-event simulation in which only admission is real: it is told what happens as an ingress
would tell it. The machine knows nothing of fluids: its replicas draw one packet at a time, that of
the viewer who needs it first, and each costs a bit more than what its effort says.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.plan_clock import INGRESS, Clock, Desk, Wish
from deployments.types import Effort
from graph.admission import AdmissionSettings, SpeechAdmission
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
        self.clock = Clock()
        self.admission = SpeechAdmission(self.settings, look_ahead_s=LOOK_AHEAD_S)
        self.admission.n_replicas = {"avatar": self.n_replicas}
        self.replies: dict[str, Reply] = {}
        self.done: list[Reply] = []
        self.desk = Desk(self.clock, self.admission, self.rng, refusals_return=self.refusals_return)
        self.asks: list[Wish] = []
        self.ttff_s: list[float] = []
        self.idle = list(range(self.n_replicas))
        self.after(0.0, self._report)

    @property
    def now_s(self) -> float:
        return self.clock.now_s

    @property
    def capacity(self) -> float:
        return self.n_replicas / self.cost

    def after(self, delay_s: float, event: Callable[[], None]) -> None:
        self.clock.after(delay_s, event)

    def run(self, until_s: float) -> None:
        self.clock.run(until_s)

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
        self.asks.append(self.desk.wish(partial(self._begin, on_heard)))

    def _begin(self, on_heard: Callable[[float], None], wish: Wish) -> None:
        n_packets = round(self.rng.uniform(14.0, 26.0) / PACKET_S)
        reply = Reply(wish.turn_id, n_packets * PACKET_S, self.now_s, on_heard)
        self.replies[wish.turn_id] = reply
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
            self.desk.look()
        self._free(reply)

    def _report(self) -> None:
        told = {t: r.progress(self.now_s) for t, r in self.replies.items()}
        self.admission.report(INGRESS, told, self.now_s)
        self.desk.look()
        self._work()  # a session that was ahead of its look-ahead may go on
        self.after(self.settings.report_every_s, self._report)
