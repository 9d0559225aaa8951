"""Stops the work for a client that has left, whatever server is underneath."""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CancelOnDisconnect:
    """Cancels the handler when the client leaves, while it uploads or while it is answered.

    Serve cancels handlers itself, uvicorn only tells those that keep asking; with this layer a
    handler always sees ``CancelledError``, also while it waits for a turn to finish.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Watched(self._app, receive).run(scope, send)


class _Watched:
    """One request: whoever asks for messages first reads the body, then the watcher takes over."""

    def __init__(self, app: ASGIApp, receive: Receive) -> None:
        self._app = app
        self._receive = receive
        self._body_ended = asyncio.Event()
        self._gone = asyncio.Event()

    async def run(self, scope: Scope, send: Send) -> None:
        handler = asyncio.ensure_future(self._call(scope, send))
        watcher = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait({handler, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if not handler.done():
                handler.cancel()
            with suppress(asyncio.CancelledError):  # nobody is left to be answered
                await handler
        finally:
            for task in (handler, watcher):
                task.cancel()
            await asyncio.gather(handler, watcher, return_exceptions=True)

    async def _call(self, scope: Scope, send: Send) -> None:
        await self._app(scope, self._next_message, send)

    async def _next_message(self) -> Message:
        """The body's messages; that the client has left is told by cancelling, never by this."""
        if not self._body_ended.is_set():
            message = await self._receive()
            if message["type"] != "http.disconnect":
                if not message.get("more_body", False):
                    self._body_ended.set()
                return message
            self._gone.set()
            self._body_ended.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable: nobody sets that event")

    async def _watch(self) -> None:
        await self._body_ended.wait()
        while not self._gone.is_set():
            if (await self._receive())["type"] == "http.disconnect":
                self._gone.set()
