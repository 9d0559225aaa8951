"""Whether the language model answers as it should, for ``/health``.

Its replicas are asked, since each finds out by itself that an engine is gone, or back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

from deployments.caller import logger_of
from deployments.types import LlmStatus

logger = logger_of("avatar.web")

PATIENCE_S = 0.2  # a stage that hangs must not hang the health check
_KEPT_S = 15.0  # what a replica said, where the next questions go to others
_MAX_ASKED = 8


class LlmWatch:
    """Asks a few replicas at once; the router sends each question to another where it can.

    Args:
        ask: one replica, whichever.
        now: monotonic seconds.
    """

    def __init__(self, ask: Callable[[], Awaitable[LlmStatus]], now: Callable[[], float]) -> None:
        self._ask, self._now = ask, now
        self._said: dict[str, tuple[float, str]] = {}  # when and what, by replica
        self._asking: set[asyncio.Task[None]] = set()

    async def __call__(self, n_replicas: int) -> str:
        """What troubles any of them; empty if nothing does.

        It takes ``PATIENCE_S`` at the most; what is answered later counts the next time.
        """
        for _ in range(min(n_replicas, _MAX_ASKED) - len(self._asking)):
            # In a context of its own: what a request asks of others is cancelled when it is left.
            task = asyncio.create_task(self._learn(), context=Context())
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        if self._asking:
            await asyncio.wait(set(self._asking), timeout=PATIENCE_S)
        oldest_s = self._now() - _KEPT_S
        self._said = {name: said for name, said in self._said.items() if said[0] >= oldest_s}
        return next((trouble for _, trouble in self._said.values() if trouble), "")

    async def _learn(self) -> None:
        try:
            status = await self._ask()
        except Exception as error:  # no replica can be asked: its own health says so
            logger.info("the language model's status is unknown: %s", type(error).__name__)
            return
        self._said[status.replica] = (self._now(), status.trouble)
