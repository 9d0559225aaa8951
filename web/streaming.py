"""Answers that are sent while they are made."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from deployments.streams import Reader
from web.problems import log_failure, problem_of
from web.wire import KEEP_ALIVE, sse

Chunks = AsyncGenerator[bytes, None]


class AnswerCutError(Exception):
    """An answer failed after its status had left; breaking the connection is all that is left."""


class LiveResponse(Response):
    """Status and headers leave with the first chunk, so what fails before it is a proper status.

    ``make`` is called when the answer is sent and its stream is always closed, however the answer
    ends: closing it is what stops the work for a client that has left.
    """

    def __init__(
        self, make: Callable[[], Chunks], media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", **(headers or {})})
        del self.headers["content-length"]
        self.headers["content-type"] = media_type
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._make()) as chunks:
            first = await anext(chunks, b"")
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            try:
                await _send_body(first, chunks, send)
            except Exception as error:
                raise AnswerCutError from error


async def _send_body(first: bytes, chunks: Chunks, send: Send) -> None:
    await send({"type": "http.response.body", "body": first, "more_body": True})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class EventStream(LiveResponse):
    """``text/event-stream``. What fails once anything has left, be it a comment, is an event."""

    def __init__(
        self,
        make: Callable[[], Chunks],
        request_id: str,
        *,
        keepalive_s: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            lambda: _with_errors(kept_alive(make(), keepalive_s), request_id),
            "text/event-stream; charset=utf-8",
            headers,
        )


async def _with_errors(chunks: Chunks, request_id: str) -> Chunks:
    has_begun = False
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                has_begun = True
                yield chunk
    except Exception as error:
        if not has_begun:
            raise
        problem = problem_of(error)
        log_failure(error, problem, request_id)
        yield sse("error", problem.event(request_id))


async def kept_alive(chunks: Chunks, period_s: float) -> Chunks:
    """``chunks`` with a comment line whenever ``period_s`` pass without one."""
    async with aclosing(Reader(chunks)) as reader:
        while True:
            try:
                chunk = await reader.next(period_s)
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            if chunk is None:
                return
            yield chunk
