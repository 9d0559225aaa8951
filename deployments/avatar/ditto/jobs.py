"""Sessions that need windows of motion, made together: one batch of the diffusion for all of them.

A window starts as noise, which belongs to its session: seeded, so that any replica draws the same.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np

from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import WindowRequest

T = TypeVar("T")
Noise: TypeAlias = Callable[[int], FloatArray]
"""Draw number k of a session, (80, 265). The first S - 1 are those of the steps, the same for all
windows, which keeps them alike; then comes one for the start of each window. Those that are equal
draw the same, so that draws can be kept."""


class Sampler(Protocol):
    """Makes windows out of noise."""

    def windows(
        self, requests: Sequence[WindowRequest], noises: Sequence[Noise]
    ) -> list[FloatArray]:
        """One window (80, 265) for each request, with the noise of its session."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[T]):
    """Something that asks for windows until it has its result, and the noise of its session."""

    steps: Generator[WindowRequest, FloatArray, T]
    noise: Noise


@dataclass(frozen=True, slots=True)
class _SeededNoise:
    seed: int
    n_frames: int
    n_values: int

    def __call__(self, k: int) -> FloatArray:
        generator = np.random.default_rng((self.seed, k))
        return generator.standard_normal((self.n_frames, self.n_values), np.float32)


def seeded_noise(seed: int, n_frames: int, n_values: int) -> Noise:
    """The same everywhere, draw by draw, in any order."""
    return _SeededNoise(seed, n_frames, n_values)


def run(jobs: Sequence[Job[T]], sampler: Sampler) -> list[T]:
    """The results of all jobs, in order; windows that are asked for at once are made at once."""
    done: dict[int, T] = {}
    answers: dict[int, FloatArray | None] = dict.fromkeys(range(len(jobs)))
    while answers:
        requests: dict[int, WindowRequest] = {}
        for i, answer in answers.items():
            try:
                requests[i] = _step(jobs[i].steps, answer)
            except StopIteration as end:
                done[i] = end.value
        answers = dict(zip(requests, _made(jobs, requests, sampler), strict=True))
    return [done[i] for i in range(len(jobs))]


def _made(
    jobs: Sequence[Job[T]], requests: dict[int, WindowRequest], sampler: Sampler
) -> list[FloatArray]:
    if not requests:
        return []
    return sampler.windows(list(requests.values()), [jobs[i].noise for i in requests])


def _step(
    steps: Generator[WindowRequest, FloatArray, T], answer: FloatArray | None
) -> WindowRequest:
    return next(steps) if answer is None else steps.send(answer)
