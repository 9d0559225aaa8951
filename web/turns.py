"""One turn as the outside sees it: admitted, run, recorded, kept, and told how it went."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from deployments.caller import CALLER, Caller, logger_of
from deployments.errors import EngineRuntimeError
from graph.events import QueueUpdated, ReplyFinished, TurnEvent, VideoFragment
from graph.record import TurnRecord, TurnReport
from graph.timing import TurnClock
from graph.turn import TurnRequest
from web.entrance import entrance
from web.problems import problem_of
from web.services import Services
from web.store import Recording, Turn
from web.wire import timings_json

logger = logger_of("avatar.web")

Verb = Callable[[TurnRequest], AsyncGenerator[TurnEvent, None]]


@dataclass(frozen=True, slots=True, eq=False)
class PlannedTurn:
    """A turn that may start. ``is_kept`` is false for single stages, which leave no trace."""

    turn_id: str
    session_id: str
    is_new_session: bool
    request: TurnRequest
    verb: Verb
    is_kept: bool = True

    @property
    def headers(self) -> dict[str, str]:
        if not self.is_kept:  # ids that nobody could ask for
            return {}
        return {"X-Turn-Id": self.turn_id, "X-Session-Id": self.session_id}


@dataclass(frozen=True, slots=True, eq=False)
class TurnEnded:
    """The turn ended well; ``turn.has_video`` says whether it can be seen again."""

    turn: Turn


WebEvent = QueueUpdated | TurnEvent | TurnEnded


async def run(plan: PlannedTurn, services: Services) -> AsyncGenerator[WebEvent, None]:
    """The turn's events, the last of them ``TurnEnded`` instead of ``ReplyFinished``.

    While there is no room for it, they tell its place in the queue; until it is let in, nothing of
    it runs and nothing is on the disk. The closing box of the video is held back until the turn has
    been kept, so a video that ends with it belongs to a turn that ended well and can be asked for
    again. Closing the stream gives its place back, stops every stage and erases what was recorded.

    Raises:
        TurnRefusedError: there is no room.
        RefusedError: ``disk_full``, if that shows before the first fragment has left.
        AvatarError: as the graph raised it.
    """
    outcome = "cancelled"
    watch = _Watch(plan, services)
    try:
        async with aclosing(_admitted(plan, watch, services)) as events:
            async for event in events:
                if isinstance(event, ReplyFinished):
                    outcome = "finished"
                else:
                    yield event
    except Exception as error:
        outcome = problem_of(error).code
        raise
    finally:
        watch.tell(outcome)


async def _admitted(
    plan: PlannedTurn, watch: "_Watch", services: Services
) -> AsyncGenerator[WebEvent, None]:
    gate, turn_id = services.gate, plan.turn_id
    try:
        watch.clock.mark("queue_start")
        async with aclosing(entrance(turn_id, services)) as places:
            async for place in places:
                yield place
        watch.clock.mark("queue_end")
        async with aclosing(_kept(replace(plan, request=watch.request()), services)) as events:
            async for event in events:
                yield event
    finally:
        gate.leave(turn_id)


class _Watch:
    """Follows a turn from the door to its end, and then tells the observers."""

    def __init__(self, plan: PlannedTurn, services: Services) -> None:
        self._plan, self._services = plan, services
        request = plan.request
        self.clock = TurnClock(services.now, request.received_at_s, dict(request.marks))
        self._report: TurnReport | None = None

    def request(self) -> TurnRequest:
        """What is asked of the graph, with all that is to be told of it."""
        return replace(
            self._plan.request,
            marks=self.clock.marks,
            on_progress=partial(self._services.gate.progressed, self._plan.turn_id),
            on_end=self._ended,
        )

    def _ended(self, report: TurnReport) -> None:
        self._report = report

    def tell(self, outcome: str) -> None:
        record = TurnRecord(outcome, self._caller(), self._received_at_s(), self._whole_report())
        for observe in self._services.on_turn:
            observe(record)

    def _whole_report(self) -> TurnReport:
        """A turn that was never let in has no more to report than when it came and went."""
        if self._report is None:
            timings = self.clock.timings()
            self._report = TurnReport(timings, self.clock.marks_ms())
        return self._report

    def _caller(self) -> Caller:
        request_id = CALLER.get().request_id
        return Caller(request_id, self._plan.turn_id, self._plan.session_id)

    def _received_at_s(self) -> float:
        passed_s = self._services.now() - self._plan.request.received_at_s
        return self._services.clock() - passed_s


async def _kept(plan: PlannedTurn, services: Services) -> AsyncGenerator[WebEvent, None]:
    recorder = _Recorder(plan, services)
    try:
        await recorder.start()
        async with aclosing(plan.verb(plan.request)) as events:
            async for event in events:
                if isinstance(event, ReplyFinished):
                    yield event
                    for last in await recorder.finish(event):
                        yield last
                    return
                if isinstance(event, VideoFragment):
                    await recorder.write(event)
                    if event.is_last:
                        continue  # given out by `finish`
                yield event
        raise EngineRuntimeError("the turn ended without a reply", stage="llm")
    finally:
        recorder.abort()


class _Recorder:
    """Writes a turn's video while it is sent. A disk that fills up later costs only the copy."""

    def __init__(self, plan: PlannedTurn, services: Services) -> None:
        self._plan = plan
        self._services = services
        self._recording: Recording | None = None
        self._closing: VideoFragment | None = None

    async def start(self) -> None:
        if self._plan.is_kept:
            self._recording = await asyncio.to_thread(
                self._services.store.record, self._plan.turn_id
            )

    async def write(self, fragment: VideoFragment) -> None:
        if fragment.is_last:
            self._closing = fragment
        if self._recording is None:
            return
        try:
            await asyncio.to_thread(self._recording.write, fragment.data)
        except OSError as error:
            if fragment.index <= 1:  # nothing has left yet: a status can still say so
                raise
            logger.warning("turn not kept: %s", type(error).__name__)
            self._recording = None

    async def finish(self, finished: ReplyFinished) -> list[WebEvent]:
        turn = self._turn(finished, has_video=False)
        if self._recording is not None:
            kept = self._turn(finished, has_video=True)
            if await self._keep(kept):
                turn = kept
        closing: list[WebEvent] = [] if self._closing is None else [self._closing]
        return [*closing, TurnEnded(turn)]

    async def _keep(self, turn: Turn) -> bool:
        """Whether the turn can be asked for again. A reply was given, so nothing is raised."""
        keep = self._services.store.keep
        try:
            return await asyncio.to_thread(
                keep, turn, self._recording, is_new_session=self._plan.is_new_session
            )
        except Exception as error:  # whatever the disk says, the viewer has the answer
            logger.warning("turn not kept: %s", type(error).__name__)
            return False

    def _turn(self, finished: ReplyFinished, *, has_video: bool) -> Turn:
        return Turn(
            turn_id=self._plan.turn_id,
            session_id=self._plan.session_id,
            created_at=self._services.clock(),
            user_text=finished.user_text,
            response_text=finished.response_text,
            language=finished.language,
            timings=timings_json(finished.timings),
            engines=dict(finished.engines),
            has_video=has_video,
            is_shortened=finished.is_shortened,
        )

    def abort(self) -> None:
        """Erase the recording unless it was kept; a few microseconds, so it may block."""
        if self._recording is not None:
            self._recording.abort()
