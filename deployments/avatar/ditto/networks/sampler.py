"""Windows of motion out of noise in torch, for several sessions in one batch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from deployments.avatar.ditto.gpu import to_device
from deployments.avatar.ditto.jobs import Noise
from deployments.avatar.ditto.networks.lmdm import Denoiser
from deployments.avatar.ditto.sampling import Sampling
from deployments.avatar.ditto.schedule import Schedule
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import WindowRequest


class DiffusionSampler(Sampling[Tensor]):
    """Takes the steps of ``schedule`` with ``denoiser``; what depends on time alone is kept."""

    def __init__(self, denoiser: Denoiser, schedule: Schedule) -> None:
        super().__init__(schedule)
        self._denoiser = denoiser
        self._device = denoiser.null_hidden.device
        with torch.inference_mode():
            self._tables = denoiser.tables(self.times.tolist())

    def windows(
        self, requests: Sequence[WindowRequest], noises: Sequence[Noise]
    ) -> list[FloatArray]:
        """As ``Sampling.windows``."""
        with torch.inference_mode():
            return super().windows(requests, noises)

    def begin(self, before: FloatArray, condition: FloatArray) -> Callable[[Tensor, int], Tensor]:
        """As ``Sampling.begin``."""
        both = self.tensor(before), self.tensor(condition)
        window = self._denoiser.begin(*both, self._tables)
        return lambda x, step: self._denoiser.denoise(x, window, step)

    def tensor(self, array: FloatArray) -> Tensor:
        """As ``Sampling.tensor``."""
        tensor: Tensor = to_device(array, self._device)
        return tensor

    def array(self, tensor: Tensor) -> FloatArray:
        """As ``Sampling.array``."""
        array: FloatArray = tensor.cpu().numpy()
        return array
