"""How many replicas a stage should have: Ray Serve's bounds and delays. Pure: time is given.

How many are needed is the policy's word: requests in flight, and turns (``graph.scaling``).
Source: Ray Serve 2.60; a test compares the decisions with those of the installed one.
"""

from collections import deque
from dataclasses import dataclass
from math import ceil

_ROUNDING_S = 1e-6


@dataclass(frozen=True, slots=True)
class Scaling:
    """A deployment's ``autoscaling_config``; defaults are Serve's."""

    min_replicas: int = 1
    max_replicas: int = 1
    target_ongoing_requests: float = 2.0
    upscale_delay_s: float = 30.0
    downscale_delay_s: float = 600.0
    downscale_to_zero_delay_s: float | None = None
    look_back_period_s: float = 30.0
    upscaling_factor: float = 1.0
    downscaling_factor: float = 1.0


class Scaler:
    """One stage's decisions. A wish for more or fewer replicas must last for its delay."""

    def __init__(self, scaling: Scaling) -> None:
        self._scaling = scaling
        self._wants_more = False
        self._since_s: float | None = None  # it wants what it wants

    def decide(self, n_running: int, n_target: int, needed: float, now_s: float) -> int:
        """How many replicas there should be from now on.

        Args:
            n_target: how many there should be by the last decision.
            needed: how many the policy asks for, a fraction too.
        """
        if n_running == 0:  # no delay holds where nobody works
            return self._bounded(max(ceil(needed), n_target) if needed > 0 else n_target)
        wanted = self._wanted(n_running, needed)
        if wanted == n_target:
            self._since_s = None
            return self._bounded(n_target)
        if self._since_s is None or self._wants_more != (wanted > n_target):
            self._wants_more, self._since_s = wanted > n_target, now_s
        if now_s - self._since_s + _ROUNDING_S < self._delay_s(n_target):
            return self._bounded(n_target)
        self._since_s = None
        # Down to zero only from one, since that has a delay of its own.
        return self._bounded(wanted if self._wants_more or n_target == 1 else max(1, wanted))

    def _wanted(self, n_running: int, needed: float) -> int:
        change = needed - n_running
        is_up = change > 0
        factor = self._scaling.upscaling_factor if is_up else self._scaling.downscaling_factor
        wanted = ceil(n_running + factor * change)
        if wanted == n_running and ceil(needed) < n_running:
            wanted -= 1  # a small factor must not hold it for ever
        return max(0, wanted)

    def _delay_s(self, n_target: int) -> float:
        scaling = self._scaling
        if self._wants_more:
            return scaling.upscale_delay_s
        to_zero_s = scaling.downscale_to_zero_delay_s
        return scaling.downscale_delay_s if n_target > 1 or to_zero_s is None else to_zero_s

    def _bounded(self, n: int) -> int:
        return max(self._scaling.min_replicas, min(self._scaling.max_replicas, n))


class Window:
    """The mean of ongoing requests over the look-back period, as the last report told it."""

    def __init__(self, look_back_s: float, told_every_s: float) -> None:
        self._look_back_s, self._told_every_s = look_back_s, told_every_s
        self._sums: deque[tuple[float, float]] = deque([(0.0, 0.0)])
        self._mean, self._told_at_s = 0.0, -told_every_s

    def mean(self, request_s: float, now_s: float) -> float:
        """``request_s``: ongoing requests, summed over all time until now."""
        sums = self._sums
        if now_s > sums[-1][0]:
            sums.append((now_s, request_s))
        while len(sums) > 2 and sums[1][0] <= now_s - self._look_back_s:
            sums.popleft()
        if now_s - self._told_at_s >= self._told_every_s - _ROUNDING_S:
            self._told_at_s = now_s
            since_s, before_s = sums[0]
            if now_s > since_s:
                self._mean = (request_s - before_s) / (now_s - since_s)
        return self._mean
