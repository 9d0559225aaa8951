"""A simulation's clock: what happens next, and who wishes for a turn and is let in by admission.

Shared by the planner and by the tests of admission.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush

from graph.admission import SpeechAdmission, Waiter

Event = Callable[[], None]

INGRESS = "i"
"""The name of the one ingress process that a simulation has."""


class Clock:
    """Events in order of time; those of one moment in the order in which they were asked for."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._events: list[tuple[float, int, Event]] = []
        self._n = 0

    def at(self, at_s: float, event: Event) -> None:
        self._n += 1
        heappush(self._events, (at_s, self._n, event))

    def after(self, delay_s: float, event: Event) -> None:
        self.at(self.now_s + delay_s, event)

    def run(self, until_s: float) -> None:
        """Let everything happen that is due by then, and what follows from it; then it is then."""
        events = self._events
        while events and events[0][0] <= until_s:
            self.now_s, _, event = heappop(events)
            event()
        self.now_s = max(self.now_s, until_s)


@dataclass(eq=False, slots=True)
class Wish:
    """One person's wish for a turn until it is granted, which ``granted`` is told.

    ``turn_id`` is new each time they ask; ``queued`` and ``refused`` hold when something was said,
    and which wait was predicted.
    """

    wished_at_s: float
    granted: Callable[["Wish"], None]
    turn_id: str = ""
    queued: list[tuple[float, float]] = field(default_factory=list)
    refused: list[tuple[float, float]] = field(default_factory=list)
    admitted_at_s: float | None = None


def _nothing() -> None:
    """Whoever is asked knows all already."""


class Desk:
    """Asks admission for everybody who wishes for a turn; who is refused comes back when told.

    Args:
        refresh: tells admission what there is to tell, before it is asked.
    """

    _LATE_S = 0.1  # who comes back does so within so long after the moment that they were told

    def __init__(
        self,
        clock: Clock,
        admission: SpeechAdmission,
        rng: random.Random,
        *,
        refusals_return: bool = True,
        refresh: Event = _nothing,
    ) -> None:
        self._clock, self._admission, self._rng = clock, admission, rng
        self._refusals_return, self._refresh = refusals_return, refresh
        self._waiting: list[tuple[Waiter, Wish]] = []
        self._n = 0

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def wish(self, granted: Callable[[Wish], None]) -> Wish:
        wish = Wish(self._clock.now_s, granted)
        self._ask(wish)
        return wish

    def look(self) -> None:
        """Let admission look at the line again, and do what it decided."""
        self._admission.review(self._clock.now_s)
        self._settle()

    def _ask(self, wish: Wish) -> None:
        self._n += 1
        self._refresh()
        now_s = self._clock.now_s
        wish.turn_id = f"t{self._n}"
        waiter = self._admission.ask(wish.turn_id, INGRESS, now_s)
        if waiter.is_waiting:
            place = self._admission.place(waiter, now_s)
            wish.queued.append((now_s, place.predicted_wait_s))
        self._waiting.append((waiter, wish))
        self._settle()

    def _settle(self) -> None:
        decided = [entry for entry in self._waiting if not entry[0].is_waiting]
        self._waiting = [entry for entry in self._waiting if entry[0].is_waiting]
        for waiter, wish in decided:
            if waiter.refusal is None:
                wish.admitted_at_s = self._clock.now_s
                wish.granted(wish)
            else:
                self._refused(wish, waiter.refusal.predicted_wait_s)

    def _refused(self, wish: Wish, wait_s: float) -> None:
        wish.refused.append((self._clock.now_s, wait_s))
        if self._refusals_return:
            late_s = self._rng.uniform(0.0, self._LATE_S)
            self._clock.after(wait_s + late_s, partial(self._ask, wish))
