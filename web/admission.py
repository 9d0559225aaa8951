"""How many turns one ingress process takes on at once; one more is refused, not queued."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.events import Timings
from web.problems import RefusedError

RETRY_AFTER_S = 2  # about the time in which one of several spoken replies ends

_SLOT = "turn_slot"  # in the request's state


class Admission:
    """The turns in progress. For one event loop."""

    def __init__(self, max_turns: int, on_turn: Callable[[str, Timings | None], None]) -> None:
        self._max_turns = max_turns
        self._on_turn = on_turn
        self._holders: set[object] = set()

    def admit(self, request: Request) -> None:
        """Take a slot until the request ends, however it ends.

        Raises:
            RefusedError: ``overloaded``.
        """
        if len(self._holders) >= self._max_turns:
            self._on_turn("overloaded", None)
            raise RefusedError(
                "As many people are being answered as this server can; try again in a moment.",
                code="overloaded",
                retry_after_s=RETRY_AFTER_S,
            )
        slot = object()
        self._holders.add(slot)
        setattr(request.state, _SLOT, slot)

    def give_back(self, scope: Scope) -> None:
        """Free the request's slot, if it has one."""
        self._holders.discard(scope.get("state", {}).pop(_SLOT, None))


class GiveBackSlots:
    """The ASGI layer that sees the end of every request: answered, failed or left."""

    def __init__(self, app: ASGIApp, *, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            self._admission.give_back(scope)
