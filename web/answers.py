"""A turn's events as the three answers of the interface: a video, a JSON object, an SSE stream."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import JSONResponse, Response

from deployments.errors import EngineRuntimeError
from deployments.types import ReplyDelta
from graph.events import QueueUpdated, TranscriptUpdated, VideoFragment
from web.services import Services
from web.streaming import Chunks, EventStream, LiveResponse
from web.turns import PlannedTurn, TurnEnded, WebEvent, run
from web.wire import fragment_json, queue_json, sse, turn_json


def as_video(plan: PlannedTurn, services: Services) -> Response:
    """``video/mp4``, streamed; what fails before the first fragment is a status."""
    return LiveResponse(lambda: _video(run(plan, services)), "video/mp4", plan.headers)


async def as_json(plan: PlannedTurn, services: Services) -> Response:
    """The whole turn, once it has ended."""
    async with aclosing(run(plan, services)) as events:
        async for event in events:
            if isinstance(event, TurnEnded):
                return JSONResponse(turn_json(event.turn), headers={"Cache-Control": "no-store"})
    raise EngineRuntimeError("the turn ended without a reply")


def as_events(plan: PlannedTurn, services: Services, request_id: str) -> Response:
    """``text/event-stream``."""
    return EventStream(
        lambda: _server_sent(run(plan, services)),
        request_id,
        keepalive_s=services.settings.sse_keepalive_s,
        headers=plan.headers,
    )


async def _video(events: AsyncGenerator[WebEvent, None]) -> Chunks:
    """The MP4; the init segment waits for the first fragment, since it alone shows nothing."""
    head = b""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, VideoFragment):
                if event.index == 0:
                    head = event.data
                    continue
                yield head + event.data
                head = b""


async def _server_sent(events: AsyncGenerator[WebEvent, None]) -> Chunks:
    """One chunk per event."""
    async with aclosing(events):
        async for event in events:
            yield _one(event)


def _one(event: WebEvent) -> bytes:
    match event:
        case QueueUpdated():
            return sse("queue", queue_json(event))
        case TranscriptUpdated():
            heard = event.transcript
            return sse("transcript", {"text": heard.text, "language": heard.language})
        case ReplyDelta():
            return sse("reply", {"text": event.text})
        case VideoFragment():
            return sse("video", fragment_json(event))
        case TurnEnded():
            return sse("done", turn_json(event.turn))
    raise TypeError(f"no server-sent event for {type(event).__name__}")
