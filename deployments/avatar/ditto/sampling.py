"""The diffusion's steps from noise to motion, wherever the network runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

import numpy as np

from deployments.avatar.ditto.jobs import Noise
from deployments.avatar.ditto.schedule import Schedule
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import WindowRequest

T = TypeVar("T", bound=Any)
"""What the network takes and gives: an array, or a tensor beside it, with the usual operators."""

_N_KEPT = 32
"""Sessions whose draws for the steps are kept: 0.8 MB each for ten steps, and 1.6 ms to draw."""


class Sampling(ABC, Generic[T]):
    """Fulfils ``jobs.Sampler`` with a network that says what a noisy window is without noise."""

    def __init__(self, schedule: Schedule) -> None:
        self._weights = schedule.weights().tolist()
        self.times = schedule.times[:-1].copy()  # which is not backwards in memory
        """(S,) int64, at which the network is asked."""
        self._of_steps = lru_cache(_N_KEPT)(self._drawn)

    @abstractmethod
    def begin(self, before: FloatArray, condition: FloatArray) -> Callable[[T, int], T]:
        """For B windows: what gives, of a noisy window (B, 80, 265) and the number of the step, the
        clean one. before: (B, 265). condition: (B, 80, 1103)."""

    @abstractmethod
    def tensor(self, array: FloatArray) -> T:
        """To where the network runs."""

    @abstractmethod
    def array(self, tensor: T) -> FloatArray:
        """And back."""

    def windows(
        self, requests: Sequence[WindowRequest], noises: Sequence[Noise]
    ) -> list[FloatArray]:
        """One window (80, 265) for each request, with the noise of its session."""
        draws = self.tensor(self._draws(requests, noises))  # all at once: each way takes its time
        n_fresh = len(self._weights)
        x = draws[n_fresh]
        clean = self.begin(
            np.stack([request.before for request in requests]),
            np.stack([request.condition for request in requests]),
        )
        for step, (of_clean, of_noisy, of_fresh) in enumerate(self._weights):
            x = of_clean * clean(x, step) + of_noisy * x + of_fresh * draws[step]
        return list(self.array(clean(x, n_fresh)))

    def _draws(self, requests: Sequence[WindowRequest], noises: Sequence[Noise]) -> FloatArray:
        """(S, B, 80, 265): what comes in with each step but the last, then how windows begin."""
        n_fresh = len(self._weights)
        each = [
            np.stack((*self._of_steps(noise), noise(n_fresh + request.index)))
            for request, noise in zip(requests, noises, strict=True)
        ]
        return np.stack(each, axis=1)

    def _drawn(self, noise: Noise) -> list[FloatArray]:
        """Of a session, what comes in with each step."""
        return [noise(step) for step in range(len(self._weights))]
