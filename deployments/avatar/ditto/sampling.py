"""The diffusion's steps from noise to motion, wherever the network runs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from deployments.avatar.ditto.jobs import Noise
from deployments.avatar.ditto.schedule import Schedule
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import WindowRequest

T = TypeVar("T", bound=Any)
"""What the network takes and gives: an array, or a tensor beside it, with the usual operators."""


class Sampling(ABC, Generic[T]):
    """Fulfils ``jobs.Sampler`` with a network that says what a noisy window is without noise."""

    def __init__(self, schedule: Schedule) -> None:
        self._weights = schedule.weights().tolist()
        self.times = schedule.times[:-1].copy()  # which is not backwards in memory
        """(S,) int64, at which the network is asked."""

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
        n_fresh = len(self._weights)
        pairs = zip(requests, noises, strict=True)
        x = self._stacked([noise(n_fresh + request.index) for request, noise in pairs])
        clean = self.begin(
            np.stack([request.before for request in requests]),
            np.stack([request.condition for request in requests]),
        )
        for step, (of_clean, of_noisy, of_fresh) in enumerate(self._weights):
            fresh = self._stacked([noise(step) for noise in noises])
            x = of_clean * clean(x, step) + of_noisy * x + of_fresh * fresh
        return list(self.array(clean(x, n_fresh)))

    def _stacked(self, rows: Sequence[FloatArray]) -> T:
        return self.tensor(np.stack(rows))
