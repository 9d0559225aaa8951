"""Ditto's networks at full size with random weights, and what one call of each is."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from deployments.avatar.ditto.jobs import seeded_noise
from deployments.avatar.ditto.networks.folding import fold
from deployments.avatar.ditto.networks.painter import Painter
from deployments.avatar.ditto.networks.precision import HALVED, drawing_dtype, prepare
from deployments.avatar.ditto.networks.sampler import DiffusionSampler
from deployments.avatar.ditto.schedule import Schedule, schedule
from deployments.avatar.ditto.vector import N_MOTION, FloatArray
from deployments.avatar.ditto.weights import build_network
from deployments.avatar.ditto.windows import WindowRequest
from tests.ditto.fill_weights import fill_module
from tests.ditto.plain_lmdm import plain_denoise

VOLUME, POINTS, PICTURE = (32, 16, 64, 64), (21, 3), (3, 256, 256)
N_FRAMES, N_CONDITIONS = 80, 1103
N_STEPS = 10
"""Of a live window. Source: issue 6."""
PUBLISHED_GFLOP = {"warp_network": 342.0, "decoder": 892.0, "frame": 1234.0}
"""Of the published form. Source: ../shared/ditto/CONTRACT.md, section 12."""
_RECORDED = ("warp_network", "decoder", "frame")

Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Work:
    """A network, and how it is called with a batch."""

    name: str
    dtype: torch.dtype
    call: Callable[[int], Call]

    @property
    def is_recorded(self) -> bool:
        """Whether it is where it serves on a GPU."""
        return self.name in _RECORDED


def works(device: torch.device, half: bool) -> list[Work]:
    """All that runs for a portrait and for a frame, the dearest last."""
    ready = {name: _ready(name, device, half) for name in (*HALVED, "motion_extractor")}
    dtype = drawing_dtype(half, device.type)
    painter = Painter(ready["warp_network"], ready["decoder"])

    def volumes(n: int) -> Any:
        return _normal(n, *VOLUME).to(device, dtype)

    def points(n: int) -> list[Any]:
        source = 0.3 * _normal(n, *POINTS)
        return [source.to(device), (source + 0.02 * _normal(n, *POINTS)).to(device)]

    single = torch.float32
    inputs: dict[str, tuple[torch.dtype, Any, Callable[[int], list[Any]]]] = {
        "motion_extractor": (
            single,
            _served(ready["motion_extractor"]),
            lambda n: [_picture(n).to(device)],
        ),
        "appearance_extractor": (dtype, None, lambda n: [_picture(n).to(device, dtype)]),
        "warp_network": (dtype, None, lambda n: [volumes(n), *points(n)]),
        "decoder": (dtype, None, lambda n: [0.5 * _normal(n, 256, 64, 64).to(device, dtype)]),
        "frame": (dtype, painter, lambda n: [volumes(n), torch.stack(points(n), dim=1)]),
    }
    return [
        Work(name, kind, _caller(ready[name] if network is None else network, make))
        for name, (kind, network, make) in inputs.items()
    ]


class Windows:
    """The diffusion, as it is served and in its plain form."""

    def __init__(self, device: torch.device) -> None:
        self._plain = _random("lmdm")
        self._schedule: Schedule = schedule(N_STEPS)
        denoiser: Any = fold(deepcopy(self._plain)).to(device)
        self._sampler = DiffusionSampler(denoiser, self._schedule)
        self._plain.to(device)
        self._device = device

    def ours(self, n_sessions: int) -> Call:
        """A window for each session, all in one batch."""
        requests = [WindowRequest(0, *self._inputs(i)) for i in range(n_sessions)]
        noises = [seeded_noise(i, N_FRAMES, N_MOTION) for i in range(n_sessions)]
        return lambda: self._sampler.windows(requests, noises)

    def plain(self) -> Call:
        """One window: in every step one guidance pass, then the other, nothing worked out before.

        With ``ours``'s noise, so that the two can be compared.
        """
        before, condition = (
            torch.from_numpy(one)[None].to(self._device) for one in self._inputs(0)
        )
        weights, times = self._schedule.weights().tolist(), self._schedule.times[:-1].tolist()
        noise = seeded_noise(0, N_FRAMES, N_MOTION)

        def call() -> Any:
            x = torch.from_numpy(noise(len(weights)))[None].to(self._device)
            for k, (of_clean, of_noisy, of_fresh) in enumerate(weights):
                clean = plain_denoise(self._plain, x, before, condition, times[k])
                fresh = torch.from_numpy(noise(k)).to(self._device)
                x = of_clean * clean + of_noisy * x + of_fresh * fresh
            return plain_denoise(self._plain, x, before, condition, times[-1]).cpu()

        return call

    def _inputs(self, session: int) -> tuple[FloatArray, FloatArray]:
        values = np.random.default_rng(session)
        before = 0.3 * values.standard_normal(N_MOTION, np.float32)
        return before, 0.3 * values.standard_normal((N_FRAMES, N_CONDITIONS), np.float32)


def _ready(name: str, device: torch.device, half: bool) -> Any:
    return prepare(name, fold(_random(name)), half, device.type).to(device)


def _served(extractor: Any) -> Callable[[Any], Any]:
    """The motion extractor as ``TorchNetworks`` calls it."""

    def call(picture: Any) -> Any:
        with torch.backends.cudnn.flags(enabled=False):
            return extractor(picture)

    return call


def _random(name: str) -> Any:
    """Unfolded, on the processor, with the goldens' weights: values stay about as large as they
    come."""
    return fill_module(build_network(name, "cpu")).requires_grad_(False).eval()


def _caller(network: Any, inputs: Callable[[int], Sequence[Any]]) -> Callable[[int], Call]:
    def call(n: int) -> Call:
        given = inputs(n)
        return lambda: network(*given)

    return call


def _normal(*shape: int) -> Any:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def _picture(n: int) -> Any:
    return torch.rand((n, *PICTURE), generator=torch.Generator().manual_seed(2))
