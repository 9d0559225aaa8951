"""Whether one more turn fits beside those running, and when. Pure: no clock, no Ray, no tasks.

A turn costs what is left to be shown of it (``graph.fluid``), a machine makes what its stages were
seen to make (``graph.costs``). Who does not fit stands in line. Who would stand too long is refused
at once and told when to come back; that moment is a promise, which keeps a place in the line as one
who stands there does, or else those who return would find it taken and the figure would be untrue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Self

from pydantic import Field, model_validator

from deployments.config import Settings
from deployments.errors import TurnRefusedError
from deployments.types import Effort
from graph.costs import FACE, CostBook
from graph.delivered import Delivered
from graph.events import Progress, QueueUpdated
from graph.fluid import HORIZON_S, Machine, Place, Work, waits
from graph.running import Running


class AdmissionSettings(Settings):
    """How near to its limit the machine is driven, and how long somebody may wait."""

    target_utilisation: float = Field(default=0.85, gt=0, le=1)
    expected_reply_s: float = Field(default=15.0, gt=0)  # until replies have been seen
    slack_s: float = Field(default=0.05, ge=0)  # as much lateness as still counts as on time
    # What each viewer in the middle of an answer keeps in hand: nobody knows how long the others'
    # answers will be. Without it 1 to 5 % of fragments were late at twice the capacity, with it
    # none, at the same throughput (tests/speech_machine.py, replies of 14 to 26 s).
    reserve_s: float = Field(default=2.0, ge=0)
    # Turns that start together share the machine until each has its first stretch of 10 frames;
    # no more may start within the window than it can make these for in that time.
    start_window_s: float = Field(default=0.5, gt=0)
    start_speech_s: float = Field(default=0.4, gt=0)
    n_unmeasured: int = Field(default=4, ge=1)  # turns per face replica while its cost is unknown
    max_queue: int = Field(default=16, ge=0)
    max_wait_s: float = Field(default=15.0, ge=0)
    max_promises: int = Field(default=128, ge=0)
    # A promise is kept for who comes so late. Nobody honest is early: waits are rounded up.
    promise_late_s: float = Field(default=1.5, ge=0)
    lease_s: float = Field(default=2.5, gt=0)
    settle_s: float = Field(default=0.75, ge=0)  # after a start, until all have reported
    report_every_s: float = Field(default=0.25, gt=0)
    idle_report_every_s: float = Field(default=2.0, gt=0)
    answer_timeout_s: float = Field(default=0.3, gt=0)  # then an ingress decides alone
    cost_half_life_s: float = Field(default=20.0, gt=0)  # seconds of speech
    replica_memory_s: float = Field(default=60.0, gt=0)
    count_replicas_every_s: float = Field(default=1.5, gt=0)

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        if self.lease_s <= self.idle_report_every_s + self.answer_timeout_s:
            raise ValueError("lease_s must be more than idle_report_every_s + answer_timeout_s")
        return self


_FORECAST_LASTS_S = 0.25
_LONG_LINE = 24  # from so many on, those who come in a rush are put after the last
_RETURN_SHARE = 0.1  # of the newest promise in the moving share of those who came back


@dataclass(eq=False, slots=True)
class Waiter:
    """One who asked: admitted, refused or given up, or none of it yet."""

    turn_id: str
    ingress_id: str
    asked_at_s: float
    entered_at_s: float
    was_promised: bool = False
    is_admitted: bool = False
    refusal: TurnRefusedError | None = None
    is_forsaken: bool = False  # its ingress is not heard of

    @property
    def is_waiting(self) -> bool:
        return not self.is_admitted and self.refusal is None and not self.is_forsaken


@dataclass(frozen=True, eq=False, slots=True)
class _Promise:
    """The place of one who was refused and told to come back at ``due_s``."""

    due_s: float


class SpeechAdmission:
    """The line, the turns that run, and what the machine can do. For one thread.

    ``share`` of the capacity is this one's to give; the rest is given by others.
    """

    def __init__(
        self, settings: AdmissionSettings, *, look_ahead_s: float = 20.0, now_s: float = 0.0
    ) -> None:
        self.settings, self.share = settings, 1.0
        self.n_replicas: Mapping[str, int] = {}
        self._look_ahead_s = look_ahead_s
        self._settled_at_s = now_s + settings.settle_s
        self._costs = CostBook(settings.cost_half_life_s, settings.replica_memory_s)
        self._running = Running(settings.expected_reply_s, settings.lease_s)
        self._delivered = Delivered()
        self._line: list[Waiter | _Promise] = []
        self._returning = 1.0  # of those who were given a promise
        self._started_at_s: list[float] = []
        self._forecast: list[float] | None = None
        self._forecast_at_s = 0.0

    @property
    def n_running(self) -> int:
        return len(self._running)

    @property
    def n_waiting(self) -> int:
        return sum(isinstance(one, Waiter) for one in self._line)

    @property
    def n_wanted(self) -> float:
        """How many turns there would be if there were room for all: those that run and wait, and
        the share of those refused that is expected back."""
        n_promises = len(self._line) - self.n_waiting
        return self.n_running + self.n_waiting + self._returning * n_promises

    def n_ingresses(self, now_s: float) -> int:
        """How many ingress processes there are, as far as they told."""
        return self._running.n_ingresses(now_s, 4 * self.settings.idle_report_every_s)

    def capacity(self, now_s: float) -> float | None:
        """Seconds of speech per second that can be made at most; ``None`` while unmeasured."""
        found = self._costs.capacity(self._counts(now_s), now_s)
        return None if found is None else found * self.share * self._delivered.factor

    def note(self, stage: str, effort: Effort, now_s: float) -> None:
        """What an output took."""
        self._costs.note(stage, effort, now_s)

    def efforts(self, now_s: float) -> list[tuple[str, Effort]]:
        """What its estimates rest on, by stage."""
        return self._costs.known(now_s)

    def report(self, ingress_id: str, turns: Mapping[str, Progress | None], now_s: float) -> None:
        """All turns that an ingress process runs, and how each comes on (``ahead_s`` as of now)."""
        self._running.report(ingress_id, turns, now_s)
        self._compare(now_s)

    def ask(self, turn_id: str, ingress_id: str, now_s: float, waited_s: float = 0.0) -> Waiter:
        """One more turn: admitted, refused or in line. ``waited_s``: how long it has waited
        elsewhere."""
        waiter = Waiter(turn_id, ingress_id, now_s - waited_s, now_s)
        self._drop_gone(now_s)
        self._stand_in_line(waiter, now_s)
        self.review(now_s)
        if waiter.is_waiting and not self._may_wait(waiter, now_s):
            self._refuse(waiter, now_s)
        return waiter

    def withdraw(self, waiter: Waiter) -> None:
        """Whoever waited has gone; harmless when they no longer do."""
        if waiter in self._line:
            self._line.remove(waiter)
            self._forecast = None

    def leave(self, turn_id: str, last: Progress | None = None) -> None:
        """The turn ended, and so far it had come; harmless when it never ran."""
        if self._running.leave(turn_id, last):
            self._forecast = None

    def place(self, waiter: Waiter, now_s: float) -> QueueUpdated:
        """Where one who waits stands, and until when."""
        index = self._line.index(waiter)
        return QueueUpdated(index + 1, self._waits(now_s)[index])

    def predicted_wait_s(self, now_s: float) -> float:
        """How long the last in line will have to wait; 0 while nobody waits there."""
        return self._waits(now_s)[-1] if self.n_waiting else 0.0

    def review(self, now_s: float) -> None:
        """Let in, from the front of the line, whoever fits by now; refuse who waited too long."""
        self._drop_gone(now_s)
        if now_s >= self._settled_at_s:
            self._let_in(now_s)
        for one in list(self._line):
            if isinstance(one, Waiter) and now_s - one.asked_at_s >= self.settings.max_wait_s:
                self._refuse(one, now_s)

    def _let_in(self, now_s: float) -> None:
        promised: list[Work] = []
        for one in list(self._line):
            if isinstance(one, _Promise):
                promised.append(Work(max(0.0, one.due_s - now_s), self._left_s(one)))
            elif self._fits_beside(promised, now_s):
                self._admit(one, now_s)
            else:
                break

    def _compare(self, now_s: float) -> None:
        """What arrives against what was to be expected; one of several sees only a part of it."""
        expected = self._costs.capacity(self._counts(now_s), now_s)
        if expected is None or self.share < 1.0:
            return
        is_full = self._running.n_hungry(self._look_ahead_s) >= 2 * self._n_faces()
        self._delivered.update(self._running.sent_s, is_full, expected, now_s)

    def _counts(self, now_s: float) -> dict[str, int]:
        return {"ingress": self.n_ingresses(now_s), **self.n_replicas}

    def _n_faces(self) -> int:
        return max(1, self.n_replicas.get(FACE, 1))

    def _fits_beside(self, promised: list[Work], now_s: float) -> bool:
        machine = self._machine(now_s)
        works = [*self._running.works(now_s), *promised]
        if self.capacity(now_s) is None and len(works) >= self._n_unmeasured():
            return False
        if self._start_room(machine, now_s) <= 0:
            return False
        new = Work(0.0, self._running.lengths.mean_s)
        return machine.keeps([*works, new])

    def _start_room(self, machine: Machine, now_s: float) -> int:
        """How many more turns may start at once."""
        window_s = self.settings.start_window_s
        self._started_at_s = [at for at in self._started_at_s if now_s - at < window_s]
        limit = int(machine.promised * window_s / self.settings.start_speech_s)
        return max(1, limit) - len(self._started_at_s)

    def _admit(self, waiter: Waiter, now_s: float) -> None:
        self.withdraw(waiter)
        waiter.is_admitted = True
        self._started_at_s.append(now_s)
        self._running.admit(waiter.turn_id, waiter.ingress_id, now_s)

    def _stand_in_line(self, waiter: Waiter, now_s: float) -> None:
        """At the end; in the place that was promised, if somebody is expected back about now."""
        due = [one for one in self._line if isinstance(one, _Promise) and one.due_s <= now_s]
        if not due:
            self._extend_forecast(now_s)
            self._line.append(waiter)
            return
        self._forecast = None
        kept = min(due, key=lambda one: one.due_s)
        self._line[self._line.index(kept)] = waiter
        waiter.was_promised = True
        self._returning += _RETURN_SHARE * (1.0 - self._returning)

    def _may_wait(self, waiter: Waiter, now_s: float) -> bool:
        if self.n_waiting > self.settings.max_queue and not waiter.was_promised:
            return False
        wait_s = now_s - waiter.asked_at_s + self.place(waiter, now_s).predicted_wait_s
        return wait_s <= self.settings.max_wait_s

    def _refuse(self, waiter: Waiter, now_s: float) -> None:
        """Whole seconds, because a client is told no fraction."""
        wait_s = max(1, ceil(self.place(waiter, now_s).predicted_wait_s))
        waiter.refusal = TurnRefusedError(
            "As many people are being answered as this server can; try again in a moment.",
            stage="admission",
            turn_id=waiter.turn_id,
            predicted_wait_s=float(wait_s),
        )
        index = self._line.index(waiter)
        n_promises = len(self._line) - self.n_waiting
        kept = wait_s < HORIZON_S and n_promises < self.settings.max_promises
        self._line[index : index + 1] = [_Promise(now_s + wait_s)] if kept else []
        if not kept:
            is_last = index == len(self._line)
            self._forecast = self._forecast[:-1] if self._forecast and is_last else None

    def _drop_gone(self, now_s: float) -> None:
        if self._running.expire(now_s):
            self._forecast = None
        for one in list(self._line):
            if isinstance(one, _Promise):
                self._forget_broken(one, now_s)
            elif not self._running.is_heard(one.ingress_id, one.entered_at_s, now_s):
                self.withdraw(one)
                one.is_forsaken = True

    def _forget_broken(self, promise: _Promise, now_s: float) -> None:
        if now_s > promise.due_s + self.settings.promise_late_s:
            self._line.remove(promise)
            self._returning -= _RETURN_SHARE * self._returning
            self._forecast = None

    def _left_s(self, one: Waiter | _Promise) -> float:
        share = self._returning if isinstance(one, _Promise) else 1.0
        return share * self._running.lengths.mean_s

    def _waits(self, now_s: float) -> list[float]:
        """Predicted for each in line; the same for a moment, since many ask at once."""
        if self._forecast is None or self._is_forecast_old(now_s):
            begin_s = max(0.0, self._settled_at_s - now_s)
            line = [Place(self._due_in_s(one, now_s), self._left_s(one)) for one in self._line]
            found = waits(self._running.works(now_s), line, self._machine(now_s))
            self._forecast = [begin_s + wait_s for wait_s in found]
            self._forecast_at_s = now_s
        passed_s = now_s - self._forecast_at_s
        return [max(0.0, wait_s - passed_s) for wait_s in self._forecast]

    def _is_forecast_old(self, now_s: float) -> bool:
        return now_s - self._forecast_at_s > _FORECAST_LASTS_S

    def _extend_forecast(self, now_s: float) -> None:
        """One more at the end of a long line: a full machine has room for that one after the last
        by as much as it takes to make what the last needs. A whole forecast costs milliseconds
        then, too many for each of those who are refused in a rush."""
        is_short = len(self._line) < _LONG_LINE
        if is_short or not self._forecast or self._is_forecast_old(now_s):
            self._forecast = None
            return
        next_s = self._left_s(self._line[-1]) / self._machine(now_s).capacity
        self._forecast.append(min(HORIZON_S, self._forecast[-1] + next_s))

    def _due_in_s(self, one: Waiter | _Promise, now_s: float) -> float:
        return max(0.0, one.due_s - now_s) if isinstance(one, _Promise) else 0.0

    def _machine(self, now_s: float) -> Machine:
        """Unmeasured, it is taken to keep up with just as many turns as are let in."""
        settings = self.settings
        found = self.capacity(now_s)
        if found is None:
            capacity = promised = float(self._n_unmeasured())
        else:
            capacity, promised = found, found * settings.target_utilisation
        return Machine(capacity, promised, settings.slack_s, settings.reserve_s, self._look_ahead_s)

    def _n_unmeasured(self) -> int:
        per_replica = self.settings.n_unmeasured * self.share
        return max(1, int(per_replica * self._n_faces()))
