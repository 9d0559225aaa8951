"""All networks of a checkpoint in PyTorch, on a CPU or a GPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deployments.avatar.ditto.heap import keep_freed_memory
from deployments.avatar.ditto.hubert import load_hubert
from deployments.avatar.ditto.networks.painter import Painter
from deployments.avatar.ditto.networks.precision import drawing_dtype, prepare
from deployments.avatar.ditto.networks.sampler import DiffusionSampler
from deployments.avatar.ditto.schedule import schedule
from deployments.avatar.ditto.vector import FloatArray, Info
from deployments.avatar.ditto.weights import load_network


class TorchNetworks:
    """Fulfils ``runtime.Networks``; a volume is a tensor (32, 16, 64, 64) beside the networks."""

    def __init__(
        self,
        files: Mapping[str, Path],
        device: str = "cpu",
        half: bool = False,
        memory_gb: float | None = None,
    ) -> None:
        """``files``: of each of ``weights.NETWORKS``, and ``hubert``. ``half``: draw in half
        precision. ``memory_gb``: the most that this process may take of its GPU.

        Raises:
            EngineLoadError: a file cannot be read or is not what it should be.
        """
        self._device, self._dtype = torch.device(device), drawing_dtype(half)
        if self._device.type == "cpu":
            keep_freed_memory()
        if memory_gb is not None:
            _limit_memory(self._device, memory_gb)
        self.hear = load_hubert(files["hubert"], device)

        def load(name: str) -> nn.Module:
            return prepare(name, load_network(name, files[name]), half).to(self._device)

        self._appearance, self._motion = load("appearance_extractor"), load("motion_extractor")
        self._stitch, self._denoiser = load("stitch_network"), load("lmdm")
        self._painter = Painter(load("warp_network"), load("decoder"))
        self._samplers: dict[int, DiffusionSampler] = {}

    def sampler(self, n_steps: int) -> DiffusionSampler:
        """The motion diffusion in so many steps; made once, kept for the next call."""
        if n_steps not in self._samplers:
            self._samplers[n_steps] = DiffusionSampler(self._denoiser, schedule(n_steps))
        return self._samplers[n_steps]

    def appearance(self, picture: FloatArray) -> Tensor:
        """The volume of features of a picture (3, 256, 256), RGB from 0 to 1."""
        with torch.inference_mode():
            volume: Tensor = self._appearance(self._tensor(picture)[None].to(self._dtype))[0]
        return volume

    def motion_info(self, picture: FloatArray) -> Info:
        """The parts of ``vector.py`` with ``kp``, each (k,), of a picture (3, 256, 256)."""
        with torch.inference_mode():
            info = self._motion(self._tensor(picture)[None])
        return {name: part[0].cpu().numpy() for name, part in info._asdict().items()}

    def stitch(self, source: FloatArray, driven: FloatArray) -> FloatArray:
        """Key points to draw, (n, 21, 3), of those of the source and of the driven face."""
        with torch.inference_mode():
            out = self._stitch(self._tensor(source), self._tensor(driven))
        return np.asarray(out.cpu().numpy(), dtype=np.float32)

    def paint(self, volumes: Sequence[Tensor], motion: FloatArray) -> NDArray[np.uint8]:
        """Warp and decode: (b, 512, 512, 3) BGR, one face for each volume, motion (b, 2, 21, 3)."""
        with torch.inference_mode():
            painted = self._painter(torch.stack(list(volumes)), self._tensor(motion))
        return np.asarray(painted.cpu().numpy(), dtype=np.uint8)

    def _tensor(self, array: FloatArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def _limit_memory(device: torch.device, memory_gb: float) -> None:
    card_gb = torch.cuda.get_device_properties(device).total_memory / 1e9
    torch.cuda.set_per_process_memory_fraction(min(1.0, memory_gb / card_gb), device)
