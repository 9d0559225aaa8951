"""Text in, text out, within a session; the same history as a spoken turn."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response

from deployments.caller import logger_of
from deployments.errors import EngineRuntimeError
from deployments.types import Message
from graph.events import Timings
from web.forms import ChatBody
from web.ids import new_id
from web.planning import check_text, history_of, text_language
from web.services import Context, Services
from web.store import Turn
from web.streaming import Chunks, EventStream
from web.wire import sse, timings_json

logger = logger_of("avatar.web")


@dataclass(frozen=True, slots=True, eq=False)
class PlannedChat:
    """An exchange that may start."""

    turn_id: str | None  # None where turns are not kept
    session_id: str
    is_new_session: bool
    messages: tuple[Message, ...]
    language: str
    engine: str  # what the stage calls itself; of a chain, each reply says who spoke
    received_at_s: float

    @property
    def headers(self) -> dict[str, str]:
        turn = {} if self.turn_id is None else {"X-Turn-Id": self.turn_id}
        return {**turn, "X-Session-Id": self.session_id}


async def plan_chat(body: ChatBody, context: Context, received_at_s: float) -> PlannedChat:
    """Check everything that can be checked before the model is asked.

    Raises:
        ProtocolError, UnusableInputError: as the interface's table says.
    """
    check_text(body.message, context)
    given = None if body.history is None else tuple(line.message() for line in body.history)
    history = await history_of(body.session_id, given, context)
    llm = await context.catalogue.llm()
    return PlannedChat(
        turn_id=new_id() if context.services.store.keeps else None,
        session_id=body.session_id or new_id(),
        is_new_session=body.session_id is None,
        messages=(*history, Message("user", body.message)),
        language=await text_language(body.language, body.message, {"llm": llm.languages}),
        engine=llm.engine,
        received_at_s=received_at_s,
    )


async def as_chat_json(plan: PlannedChat, services: Services) -> Response:
    """The whole reply, once it has ended."""
    async with aclosing(_run(plan, services)) as items:
        async for item in items:
            if isinstance(item, dict):
                return JSONResponse(item, headers={"Cache-Control": "no-store"})
    raise EngineRuntimeError("the reply did not end", stage="llm")


def as_chat_events(plan: PlannedChat, services: Services, request_id: str) -> Response:
    """``delta`` events, then ``done``."""
    return EventStream(
        lambda: _events(plan, services),
        request_id,
        keepalive_s=services.settings.sse_keepalive_s,
        headers=plan.headers,
    )


async def _events(plan: PlannedChat, services: Services) -> Chunks:
    async with aclosing(_run(plan, services)) as items:
        async for item in items:
            yield sse("delta", {"text": item}) if isinstance(item, str) else sse("done", item)


async def _run(plan: PlannedChat, services: Services) -> AsyncGenerator[str | dict[str, Any], None]:
    """The reply's deltas, then what the interface says about the whole."""
    started_s = services.now()
    first_token_s: float | None = None
    deltas: list[str] = []
    engine = plan.engine
    async with aclosing(services.stages.llm.reply(plan.messages, plan.language)) as reply:
        async for delta in reply:
            if first_token_s is None:
                first_token_s = services.now()
            if delta.text:
                engine = delta.engine or plan.engine
                deltas.append(delta.text)
                yield delta.text
    ended_s = services.now()
    timings = Timings(
        llm_first_token_ms=None if first_token_s is None else (first_token_s - started_s) * 1000,
        llm_ms=(ended_s - started_s) * 1000,
        turn_ms=(ended_s - plan.received_at_s) * 1000,
    )
    turn = _turn(plan, "".join(deltas).strip(), engine, timings, services)
    await _keep(turn, plan, services)
    yield {
        "response": turn.response_text,
        "language": plan.language,
        "session_id": plan.session_id,
        "timings": {k: v for k, v in timings_json(timings).items() if v is not None},
        "engines": dict(turn.engines),
    }


def _turn(
    plan: PlannedChat, response: str, engine: str, timings: Timings, services: Services
) -> Turn:
    return Turn(
        turn_id=plan.turn_id or new_id(),
        session_id=plan.session_id,
        created_at=services.clock(),
        user_text=plan.messages[-1].content,
        response_text=response,
        language=plan.language,
        timings=timings_json(timings),
        engines={"llm": engine},
    )


async def _keep(turn: Turn, plan: PlannedChat, services: Services) -> None:
    try:
        await asyncio.to_thread(services.store.keep, turn, None, is_new_session=plan.is_new_session)
    except Exception as error:  # the reply was given, so a full disk costs only the memory of it
        logger.warning("turn not kept: %s", type(error).__name__)
