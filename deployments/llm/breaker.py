"""Keeps an engine out that fails again and again, and lets it be tried once in a while."""

from collections.abc import Callable


class Breaker:
    """Of one engine.

    Closed, it lets every call through. ``n_failures`` in a row open it: for ``cool_down_s`` nobody
    waits for the engine. Then one call at a time may try it, and what comes of that decides.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, n_failures: int, cool_down_s: float, now: Callable[[], float]) -> None:
        self._n_failures, self._cool_down_s, self._now = n_failures, cool_down_s, now
        self._n_failed = 0
        self._opened_at_s: float | None = None
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether the engine is kept out, until a call has been answered."""
        return self._opened_at_s is not None

    def enter(self) -> bool:
        """Whether a call may be made; then one of the other verbs tells what came of it."""
        if self._opened_at_s is None:
            return True
        if self._is_trying or self._now() - self._opened_at_s < self._cool_down_s:
            return False
        self._is_trying = True
        return True

    def answered(self) -> None:
        """The engine has begun to answer: it is back, but one failure keeps it out again."""
        self._is_trying, self._opened_at_s = False, None
        self._n_failed = min(self._n_failed, self._n_failures - 1)

    def succeeded(self) -> None:
        """The answer is whole, or its listener has left it."""
        self.answered()
        self._n_failed = 0

    def failed(self) -> None:
        """No answer, or none that is whole."""
        self._is_trying = False
        self._n_failed += 1
        if self._n_failed >= self._n_failures:
            self._opened_at_s = self._now()

    def left(self) -> None:
        """The call was given up by whoever made it before anything came of it."""
        self._is_trying = False
