"""Admission with a clock: those who wait are woken, told their place, and let in or refused.

The same door stands in the one deployment that all ingress processes ask, and in each of them for
the time in which that one does not answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from math import inf
from types import MappingProxyType

from deployments.errors import StageTimeoutError
from graph.admission import AdmissionSettings, SpeechAdmission, Waiter
from graph.events import Progress, QueueUpdated
from graph.timing import Now

_LOOK_EVERY_S = 0.1  # leads grow and promises lapse without anybody telling
_TELL_EVERY_S = 0.5


class Door:
    """For one event loop. ``now`` counts monotonic seconds."""

    def __init__(self, settings: AdmissionSettings, look_ahead_s: float, now: Now) -> None:
        self.admission = SpeechAdmission(settings, look_ahead_s=look_ahead_s, now_s=now())
        self._now = now
        self._changed = asyncio.Event()

    def n_wanted(self) -> float:
        """How many turns there would be with room for all; those that are gone do not count."""
        self.admission.review(self._now())
        return self.admission.n_wanted

    async def enter(
        self, turn_id: str, ingress_id: str, waited_s: float = 0.0
    ) -> AsyncGenerator[QueueUpdated, None]:
        """Ends when the turn may start; see ``Gate.enter``. ``waited_s``: what it has behind it.

        Raises:
            TurnRefusedError: now or at the end of its patience.
            StageTimeoutError: its ingress is silent; if that is alive, it has to decide alone.
        """
        waiter = self.admission.ask(turn_id, ingress_id, self._now(), waited_s)
        try:
            told, told_at_s = (0, 0), -inf
            while waiter.is_waiting:
                place = self.admission.place(waiter, self._now())
                shown = (place.position, round(place.predicted_wait_s))
                if shown != told and self._now() - told_at_s >= _TELL_EVERY_S:
                    told, told_at_s = shown, self._now()
                    yield place
                if waiter.is_waiting:  # it may have been let in while its place was read
                    await self._look(waiter)
        finally:
            self.admission.withdraw(waiter)
        if waiter.refusal is not None:
            raise waiter.refusal
        if waiter.is_forsaken:
            text = f"nothing was heard of the ingress {ingress_id}"
            raise StageTimeoutError(text, stage="admission", turn_id=turn_id)

    def report(
        self,
        ingress_id: str,
        turns: Mapping[str, Progress | None],
        left: Mapping[str, Progress | None] = MappingProxyType({}),
    ) -> None:
        """How the turns of one ingress process come on, and how far those came that ended."""
        for turn_id, last in left.items():
            self.admission.leave(turn_id, last)
        self.admission.report(ingress_id, turns, self._now())
        self._wake()

    def leave(self, turn_id: str, last: Progress | None = None) -> None:
        """The turn ended, and so far it had come; harmless when it never ran."""
        self.admission.leave(turn_id, last)
        self._wake()

    async def _look(self, waiter: Waiter) -> None:
        """Once something changed, or after a moment: let in who fits by now."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._changed.wait()
        if waiter.is_waiting:
            self.admission.review(self._now())

    def _wake(self) -> None:
        """Whoever waits now; who comes later waits for the next change."""
        self._changed.set()
        self._changed = asyncio.Event()
