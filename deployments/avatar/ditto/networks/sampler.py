"""Windows of motion out of noise: the diffusion's steps, for several sessions in one batch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from deployments.avatar.ditto.jobs import Noise
from deployments.avatar.ditto.networks.lmdm import Denoiser, Window
from deployments.avatar.ditto.schedule import Schedule
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import WindowRequest


class DiffusionSampler:
    """Takes the steps of ``schedule`` with ``denoiser``; what depends on time alone is kept."""

    def __init__(self, denoiser: Denoiser, schedule: Schedule) -> None:
        self._denoiser, self._weights = denoiser, schedule.weights()
        self._device = denoiser.null_hidden.device
        with torch.inference_mode():
            self._tables = denoiser.tables([int(time) for time in schedule.times[:-1]])

    def windows(
        self, requests: Sequence[WindowRequest], noises: Sequence[Noise]
    ) -> list[FloatArray]:
        """One window (80, 265) for each request, with the noise of its session."""
        n_fresh = len(self._weights)
        pairs = zip(requests, noises, strict=True)
        start = self._tensor([noise(n_fresh + request.index) for request, noise in pairs])
        fresh = [self._tensor([noise(k) for noise in noises]) for k in range(n_fresh)]
        with torch.inference_mode():
            window = self._denoiser.begin(
                self._tensor([request.before for request in requests]),
                self._tensor([request.condition for request in requests]),
                self._tables,
            )
            motion = self._sampled(start, fresh, window)
        return list(motion.cpu().numpy())

    def _sampled(self, x: Tensor, fresh: Sequence[Tensor], window: Window) -> Tensor:
        """(B, 80, 265) without noise, of x (B, 80, 265) which is nothing else."""
        for step, (of_clean, of_noisy, of_fresh) in enumerate(self._weights.tolist()):
            clean = self._denoiser.denoise(x, window, step)
            x = of_clean * clean + of_noisy * x + of_fresh * fresh[step]
        return self._denoiser.denoise(x, window, len(self._weights))

    def _tensor(self, rows: Sequence[FloatArray]) -> Tensor:
        return torch.from_numpy(np.stack(rows)).to(self._device)
