"""The way into a turn: it waits for room, and what came of that is counted."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from deployments.errors import TurnRefusedError
from graph.events import QueueUpdated
from web.services import Admission, Services


async def entrance(turn_id: str, services: Services) -> AsyncGenerator[QueueUpdated, None]:
    """Ends when the turn may start; meanwhile yields its place in the queue.

    Closing it gives the place back. Whoever passes it must have the gate know when the turn ends.

    Raises:
        TurnRefusedError: there is no room, and there will be none in time.
    """
    came_at_s = services.now()
    has_waited = False
    decision: Admission = "left"
    wait_ms: float | None = None
    try:
        async with aclosing(services.gate.enter(turn_id)) as places:
            async for place in places:
                has_waited = True
                yield place
        decision = "queued" if has_waited else "admitted"
        wait_ms = (services.now() - came_at_s) * 1000 if has_waited else 0.0
    except TurnRefusedError:
        decision = "expired" if has_waited else "refused"
        raise
    except Exception:
        decision = "failed"
        raise
    finally:
        services.on_admission(decision, wait_ms)
