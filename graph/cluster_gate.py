"""One ingress process's gate: it asks the one place that decides for all of them.

While that place does not answer, the process decides alone, by the same rules, over its share of
the machine; it has been told of its own turns and efforts all along, so it starts well informed.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol, TypeVar

from deployments.caller import logger_of
from deployments.errors import TurnRefusedError
from deployments.streams import Reader
from deployments.types import Effort
from graph.admission import AdmissionSettings
from graph.door import Door
from graph.events import Progress, QueueUpdated
from graph.timing import Now

logger = logger_of("avatar.admission")

PlaceT = TypeVar("PlaceT")

_MIN_SENT_S = 1.0  # of media, before its cost in this process's own time says anything
_MAX_LEFT = 256  # turns that ended and could not be told; in the end silence says so, too
_SOON_S = 0.02  # turns that end together are told together


@dataclass(frozen=True, slots=True)
class GateReport:
    """What an ingress process tells: all its turns (``ahead_s`` as of now; ``None`` before the
    first was sent), those that ended (how far each came), and what outputs took since the last
    report, by stage."""

    ingress_id: str
    turns: Mapping[str, Progress | None] = field(default_factory=dict)
    left: Mapping[str, Progress | None] = field(default_factory=dict)
    efforts: tuple[tuple[str, Effort], ...] = ()


@dataclass(frozen=True, slots=True)
class GateNews:
    """What it is told in return, so that it could go on alone. ``capacity``: seconds of video per
    second that the whole machine makes; ``None`` when the one who decides has just begun: then it
    wants to hear all that is known."""

    n_replicas: Mapping[str, int]
    n_ingresses: int
    capacity: float | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The last word to a turn for which there is no room. A record, because Serve logs whatever a
    replica raises as a failure, and saying no is none."""

    message: str
    predicted_wait_s: float


class AdmissionStage(Protocol):
    """The one place that decides, as an ingress process sees it."""

    def enter(
        self, turn_id: str, ingress_id: str, waited_s: float
    ) -> AsyncGenerator[QueueUpdated | Refused, None]: ...

    async def report(self, report: GateReport) -> GateNews: ...


@dataclass(slots=True)
class _Turn:
    progress: Progress | None = None
    told_at_s: float = 0.0

    def now(self, now_s: float) -> Progress | None:
        """Its lead has shrunk since then, unless its viewer holds it up."""
        if self.progress is None or self.progress.is_held:
            return self.progress
        return replace(self.progress, ahead_s=self.progress.ahead_s - (now_s - self.told_at_s))


OnReport = Callable[[GateReport, int, bool], None]
"""Told each report, how many of this process's turns wait to be let in, and whether it has to
decide alone."""


def _ignore_report(report: GateReport, n_waiting: int, is_alone: bool) -> None:
    """The default observer."""


class _AnswersAgain(Exception):
    """The deployment does; whoever waits here goes back there."""


class ClusterGate:
    """A ``graph.gate.Gate``; ``run`` reports in the background for as long as it is awaited."""

    def __init__(
        self,
        stage: AdmissionStage,
        settings: AdmissionSettings,
        *,
        ingress_id: str,
        look_ahead_s: float,
        now: Now = time.monotonic,
        cpu_s: Callable[[], float] = time.process_time,
        on_report: OnReport = _ignore_report,
    ) -> None:
        self._stage, self._settings, self._id, self._now = stage, settings, ingress_id, now
        self._on_report = on_report
        # What this process knows of its own turns needs no time to settle and never lapses.
        own = settings.model_copy(update={"settle_s": 0.0, "lease_s": inf})
        self._alone = Door(own, look_ahead_s, now)
        self._turns: dict[str, _Turn] = {}
        self._n_entering = 0
        self._left: dict[str, Progress | None] = {}
        self._efforts: dict[tuple[str, str], Effort] = {}
        self._retell: list[tuple[str, Effort]] = []
        self._own = _OwnTime(cpu_s)
        self.capacity: float | None = None  # of the machine, as last told
        self._is_alone = False
        self._turned = asyncio.Event()
        self._hurry = asyncio.Event()

    async def enter(self, turn_id: str) -> AsyncGenerator[QueueUpdated, None]:
        """See ``Gate.enter``."""
        began_s = self._now()
        is_in = False
        self._n_entering += 1
        self._hurry.set()  # who waits is kept for as long as its process is heard of
        try:
            async with aclosing(self._place(turn_id, began_s)) as places:
                async for place in places:
                    yield place
            is_in = True
        finally:
            self._n_entering -= 1
            if is_in:
                self._turns[turn_id] = _Turn()
                self._hurry.set()
            else:
                self._forget(turn_id)

    def progressed(self, turn_id: str, progress: Progress) -> None:
        """See ``Gate.progressed``."""
        if (turn := self._turns.get(turn_id)) is not None:
            self._own.sent(progress.sent_s - (turn.progress.sent_s if turn.progress else 0.0))
            turn.progress, turn.told_at_s = progress, self._now()

    def leave(self, turn_id: str) -> None:
        """See ``Gate.leave``."""
        if (turn := self._turns.pop(turn_id, None)) is not None:
            self._forget(turn_id, turn.progress)

    def note(self, stage: str, effort: Effort) -> None:
        """What an output took; told with the next report."""
        key = (stage, effort.replica)
        before = self._efforts.get(key)
        if before is not None:
            busy_s, media_s = before.busy_s + effort.busy_s, before.media_s + effort.media_s
            effort = replace(effort, busy_s=busy_s, media_s=media_s)
        self._efforts[key] = effort

    async def run(self) -> None:
        """Report until cancelled: often while there are turns, else so that it is not forgotten."""
        while True:
            self._hurry.clear()  # what happens from here on may be too late for this report
            try:
                await self._report()
            except Exception as error:  # whatever it is, without reports nothing can go on
                self._go_on_alone(error)
            try:
                async with asyncio.timeout(self._every_s()):
                    await self._hurry.wait()
                    await asyncio.sleep(_SOON_S)
            except TimeoutError:
                continue

    def _every_s(self) -> float:
        is_busy = self._turns or self._n_entering or self._is_alone
        return self._settings.report_every_s if is_busy else self._settings.idle_report_every_s

    async def _place(self, turn_id: str, began_s: float) -> AsyncGenerator[QueueUpdated, None]:
        """Its places, whoever decides; that may change while it waits."""
        while True:
            try:
                decide = self._decided_here if self._is_alone else self._asked
                async with aclosing(decide(turn_id, self._now() - began_s)) as places:
                    async for place in places:
                        yield place
                return
            except TurnRefusedError:
                raise
            except _AnswersAgain:
                continue
            except Exception as error:  # a turn that nobody can decide about is decided here
                self._go_on_alone(error)

    async def _decided_here(
        self, turn_id: str, waited_s: float
    ) -> AsyncGenerator[QueueUpdated, None]:
        """Its place, as this process says.

        Raises:
            TurnRefusedError: there is no room.
            _AnswersAgain: the deployment does, before it was decided.
        """
        self._alone.report(self._id, self._turns_now())
        async with aclosing(Reader(self._alone.enter(turn_id, self._id, waited_s))) as places:
            while (place := await self._here(places)) is not None:
                yield place

    async def _here(self, places: Reader[PlaceT]) -> PlaceT | None:
        try:
            return await self._next(places, None)
        except TimeoutError:
            raise _AnswersAgain from None

    async def _asked(self, turn_id: str, waited_s: float) -> AsyncGenerator[QueueUpdated, None]:
        """Its place, as the deployment says.

        Raises:
            TurnRefusedError: there is no room.
            TimeoutError: it says nothing, or no longer, which a report may have found out.
        """
        patience_s = self._settings.answer_timeout_s
        async with aclosing(Reader(self._stage.enter(turn_id, self._id, waited_s))) as places:
            while (place := await self._next(places, patience_s)) is not None:
                if isinstance(place, Refused):
                    raise TurnRefusedError(
                        place.message,
                        stage="admission",
                        turn_id=turn_id,
                        predicted_wait_s=place.predicted_wait_s,
                    )
                yield place
                patience_s = self._settings.max_wait_s

    async def _next(self, places: Reader[PlaceT], patience_s: float | None) -> PlaceT | None:
        """The next place; ``TimeoutError`` as soon as somebody else is to be asked."""
        taking, turned = places.start(), asyncio.create_task(self._turned.wait())
        try:
            await asyncio.wait(
                {taking, turned}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            turned.cancel()
        return await places.next(0.0)

    async def _report(self) -> None:
        """Tell all, and learn what it takes to go on alone.

        Raises:
            Exception: whatever the stage raised; who left is told again.
        """
        report = self._report_now()
        self._on_report(report, self._n_entering, self._is_alone)
        for stage, effort in report.efforts:
            self._alone.admission.note(stage, effort, self._now())
        if self._retell:
            report, self._retell = replace(report, efforts=tuple(self._retell)), []
        self._alone.report(self._id, report.turns, report.left)
        try:
            async with asyncio.timeout(self._settings.lease_s / 2):  # nobody waits for this
                news = await self._stage.report(report)
        except Exception:
            told_again = [*report.left.items(), *self._left.items()]
            self._left = dict(told_again[-_MAX_LEFT:])
            raise
        self._come_back(news)

    def _report_now(self) -> GateReport:
        if (own := self._own.effort(self._id, is_idle=not self._turns)) is not None:
            self.note("ingress", own)
        turns = self._turns_now()
        efforts = tuple((stage, effort) for (stage, _), effort in self._efforts.items())
        left = {turn_id: last for turn_id, last in self._left.items() if turn_id not in turns}
        self._efforts, self._left = {}, {}
        return GateReport(self._id, turns, left, efforts)

    def _turns_now(self) -> dict[str, Progress | None]:
        now_s = self._now()
        return {turn_id: turn.now(now_s) for turn_id, turn in self._turns.items()}

    def _go_on_alone(self, error: Exception) -> None:
        if not self._is_alone:
            logger.warning("admission does not answer, deciding alone: %s", type(error).__name__)
            self._turn(is_alone=True)

    def _come_back(self, news: GateNews) -> None:
        if self._is_alone:
            logger.warning("admission answers again")
            self._turn(is_alone=False)
        admission = self._alone.admission
        admission.n_replicas, admission.share = news.n_replicas, 1 / max(1, news.n_ingresses)
        self.capacity = news.capacity
        if news.capacity is None and admission.capacity(self._now()) is not None:
            self._retell = admission.efforts(self._now())
            self._hurry.set()

    def _turn(self, *, is_alone: bool) -> None:
        """From one that decides to the other; whoever waits at the one is woken."""
        self._is_alone = is_alone
        self._turned.set()
        self._turned = asyncio.Event()

    def _forget(self, turn_id: str, last: Progress | None = None) -> None:
        """It ended, or never began although somebody may have let it in."""
        self._left[turn_id] = last
        self._alone.leave(turn_id, last)
        self._hurry.set()


class _OwnTime:
    """What a second of sent media costs this process itself."""

    def __init__(self, cpu_s: Callable[[], float]) -> None:
        self._cpu_s = cpu_s
        self._since_s = cpu_s()
        self._sent_s = 0.0

    def sent(self, media_s: float) -> None:
        self._sent_s += max(0.0, media_s)

    def effort(self, ingress_id: str, *, is_idle: bool) -> Effort | None:
        """Since the last one; ``None`` while too little was sent. Idling costs nobody."""
        if self._sent_s < _MIN_SENT_S and not is_idle:
            return None
        found = Effort(ingress_id, self._cpu_s() - self._since_s, self._sent_s)
        self._since_s, self._sent_s = self._cpu_s(), 0.0
        return found if found.media_s >= _MIN_SENT_S else None
