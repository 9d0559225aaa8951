"""The diffusion's steps, wherever the network runs: what is drawn, how often, and what it adds up
to."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from deployments.avatar.ditto.jobs import seeded_noise
from deployments.avatar.ditto.sampling import Sampling
from deployments.avatar.ditto.schedule import schedule
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import WindowRequest
from tests.ditto.fill_weights import det_uniform

N_STEPS = 4


class Halving(Sampling[FloatArray]):
    """A fake of the diffusion in arrays: half of what is noisy is clean, with the condition."""

    def __init__(self) -> None:
        super().__init__(schedule(N_STEPS))
        self.n_carried = 0

    def begin(
        self, before: FloatArray, condition: FloatArray
    ) -> Callable[[FloatArray, int], FloatArray]:
        return lambda x, step: (0.5 * x + condition[:, :, :5]).astype(np.float32)

    def tensor(self, array: FloatArray) -> FloatArray:
        self.n_carried += 1
        return array

    def array(self, tensor: FloatArray) -> FloatArray:
        return tensor


@dataclass(frozen=True)
class CountedNoise:
    """Noise that writes down its draws; a fake."""

    seed: int
    drawn: list[int] = field(default_factory=list, compare=False)

    def __call__(self, k: int) -> FloatArray:
        self.drawn.append(k)
        return seeded_noise(self.seed, 6, 5)(k)


def request(index: int) -> WindowRequest:
    return WindowRequest(index, det_uniform(index, (5,)), det_uniform(9 + index, (6, 7)))


def step_by_step(one: WindowRequest, seed: int) -> FloatArray:
    """A window as the contract says it, each draw on its own."""
    noise = seeded_noise(seed, 6, 5)
    weights = schedule(N_STEPS).weights().tolist()
    x, condition = noise(N_STEPS - 1 + one.index), one.condition[:, :5]
    for step, (of_clean, of_noisy, of_fresh) in enumerate(weights):
        clean = (0.5 * x + condition).astype(np.float32)
        x = of_clean * clean + of_noisy * x + of_fresh * noise(step)
    return (0.5 * x + condition).astype(np.float32)


def test_windows_are_bit_for_bit_those_of_draws_made_step_by_step() -> None:
    sampling, noises = Halving(), [seeded_noise(seed, 6, 5) for seed in (3, 4)]
    for first in (0, 2):
        requests = [request(first), request(first + 1)]
        windows = sampling.windows(requests, noises)
        for window, one, seed in zip(windows, requests, (3, 4), strict=True):
            assert (window == step_by_step(one, seed)).all()


def test_draws_for_the_steps_are_made_once_for_all_windows_of_a_session() -> None:
    sampling, first, later = Halving(), CountedNoise(1), CountedNoise(1)
    sampling.windows([request(0)], [first])
    sampling.windows([request(1)], [later])  # the next stretch: another object, the same session
    assert first.drawn == [0, 1, 2, 3]
    assert later.drawn == [4]


def test_draws_of_many_sessions_are_not_kept_for_ever() -> None:
    sampling, first = Halving(), CountedNoise(0)
    sampling.windows([request(0)], [first])
    for seed in range(1, 40):
        sampling.windows([request(0)], [seeded_noise(seed, 6, 5)])
    sampling.windows([request(1)], [first])
    assert first.drawn == [0, 1, 2, 3, 0, 1, 2, 4]


def test_all_draws_of_a_batch_go_to_the_network_at_once() -> None:
    sampling = Halving()
    sampling.windows([request(0), request(1)], [seeded_noise(1, 6, 5), seeded_noise(2, 6, 5)])
    assert sampling.n_carried == 1
