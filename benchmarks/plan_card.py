"""One card in the simulation: its replicas share its time, as the fakes on a logical GPU do.

As there (``deployments.logical_gpu.Sharing``) time is virtual: it passes at 1/n of real time while
n replicas are at work, so whoever begins now with t to do ends when it has passed by t, and
nobody's end is reckoned anew when others come or go. Here everybody is told of their end, which is
what the next event of a simulation is.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush

from benchmarks.plan_clock import Clock

_ROUNDING_S = 1e-9


class Work:
    """A step of a replica; ``end_s`` is in the card's virtual time."""

    __slots__ = ("begun_at_s", "end_s", "is_off", "on_end")

    def __init__(self, begun_at_s: float, end_s: float, on_end: Callable[[float], None]) -> None:
        self.begun_at_s, self.end_s, self.on_end, self.is_off = begun_at_s, end_s, on_end, False


class Card:
    """For the replicas on it; each does one step at a time. Its clock is the simulation's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at_s = self._virtual_s = 0.0
        self._works: list[tuple[float, int, Work]] = []
        self._n = self._n_off = 0
        self._version = 0
        self._is_telling = False
        self._busy_s = 0.0

    def begin(self, work_s: float, on_end: Callable[[float], None]) -> Work:
        """``on_end`` is told how long it took in real seconds, once ``work_s`` of the card's time
        have been its."""
        if self._clock.now_s > self._at_s:
            self._pass()
        self._n += 1
        work = Work(self._clock.now_s, self._virtual_s + work_s, on_end)
        heappush(self._works, (work.end_s, self._n, work))
        if not self._is_telling:
            self._plan()
        return work

    def done_s(self, work: Work, work_s: float) -> float:
        """How much of a step of ``work_s`` is done by now."""
        self._pass()
        return work_s - (work.end_s - self._virtual_s)

    def shorten(self, work: Work, by_s: float) -> Work:
        """The same step with less to do; what is returned takes the place of ``work``."""
        self._pass()
        self._n += 1
        shorter = Work(work.begun_at_s, work.end_s - by_s, work.on_end)
        work.is_off = True
        self._n_off += 1
        heappush(self._works, (shorter.end_s, self._n, shorter))
        if not self._is_telling:
            self._plan()
        return shorter

    def busy_s(self) -> float:
        """For how long anybody has been at work on it so far."""
        self._pass()
        return self._busy_s

    def _pass(self) -> None:
        """Let time pass; nobody has ended meanwhile, for then an event would have said so."""
        passed_s = self._clock.now_s - self._at_s
        if passed_s > 0:
            self._at_s = self._clock.now_s
            if n := len(self._works) - self._n_off:
                self._virtual_s += passed_s / n
                self._busy_s += passed_s

    def _plan(self) -> None:
        """One event for the end that comes first."""
        self._version += 1
        works = self._works
        while works and works[0][2].is_off:
            heappop(works)
            self._n_off -= 1
        if works:
            left_s = (works[0][0] - self._virtual_s) * (len(works) - self._n_off)
            self._clock.after(max(0.0, left_s), partial(self._tell, self._version))

    def _tell(self, version: int) -> None:
        """End who is due; what they begin at once is part of the same moment."""
        if version != self._version:
            return
        self._pass()
        self._is_telling = True
        works, now_s = self._works, self._clock.now_s
        while works and works[0][0] <= self._virtual_s + _ROUNDING_S:
            work = heappop(works)[2]
            if work.is_off:
                self._n_off -= 1
            else:
                work.on_end(now_s - work.begun_at_s)
        self._is_telling = False
        self._plan()
