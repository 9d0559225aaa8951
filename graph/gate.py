"""Who may start a turn: what the outside awaits before each one, free of Serve."""

from collections.abc import AsyncGenerator
from typing import Protocol

from graph.events import Progress, QueueUpdated


class Gate(Protocol):
    """Every turn enters, tells how it comes on, and leaves; for one event loop."""

    def enter(self, turn_id: str) -> AsyncGenerator[QueueUpdated, None]:
        """Ends when the turn may start; meanwhile yields its place in the queue.

        A stream closed before its end gives the place back.

        Raises:
            TurnRefusedError: the queue is full, the wait would be too long or was.
        """
        ...

    def progressed(self, turn_id: str, progress: Progress) -> None:
        """Costs nothing; whoever decides hears of it in time."""
        ...

    def leave(self, turn_id: str) -> None:
        """The turn ended, however it ended; harmless when it never entered."""
        ...


class OpenGate:
    """Lets everybody in: for tests, and where one turn at a time is asked."""

    async def enter(self, turn_id: str) -> AsyncGenerator[QueueUpdated, None]:
        nobody_waits: tuple[QueueUpdated, ...] = ()
        for event in nobody_waits:
            yield event

    def progressed(self, turn_id: str, progress: Progress) -> None:
        return

    def leave(self, turn_id: str) -> None:
        return
