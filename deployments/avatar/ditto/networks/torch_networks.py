"""All networks of a checkpoint in PyTorch, on a CPU or a GPU."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deployments.avatar.ditto.gpu import device_of, kept_free, to_device
from deployments.avatar.ditto.heap import keep_freed_memory
from deployments.avatar.ditto.hubert import load_hubert
from deployments.avatar.ditto.jobs import seeded_noise
from deployments.avatar.ditto.networks.lmdm import LmdmSizes
from deployments.avatar.ditto.networks.painter import Painter, PlainPainting
from deployments.avatar.ditto.networks.precision import drawing_dtype, prepare
from deployments.avatar.ditto.networks.recorded import RecordedPainting
from deployments.avatar.ditto.networks.sampler import DiffusionSampler
from deployments.avatar.ditto.runtime import FACE_SIDE_PX, INPUT_SIDE_PX
from deployments.avatar.ditto.schedule import schedule
from deployments.avatar.ditto.vector import FloatArray, Info
from deployments.avatar.ditto.weights import load_network
from deployments.avatar.ditto.windows import WindowRequest

_N_SESSIONS, _N_STEPS = 8, 10  # whose windows are made together, at most; of a live window
_NOTHING = np.zeros((3, INPUT_SIDE_PX, INPUT_SIDE_PX), np.float32)
_SIZES = LmdmSizes()
_WINDOW = _SIZES.frames, _SIZES.motion
_STILL = WindowRequest(
    0, np.zeros(_SIZES.motion, np.float32), np.zeros((_SIZES.frames, _SIZES.condition), np.float32)
)


class TorchNetworks:
    """Fulfils ``runtime.Networks``; a volume is a tensor (32, 16, 64, 64) beside the networks."""

    def __init__(
        self,
        files: Mapping[str, Path],
        device: str = "cpu",
        half: bool = False,
        memory_gb: float | None = None,
        frames: int = 8,
    ) -> None:
        """``files``: of each of ``weights.NETWORKS``, and ``hubert``. ``half``: draw in half
        precision. ``memory_gb``: the most that torch may take of this process's GPU; HuBERT comes
        on top. ``frames``: at most painted at once.

        Raises:
            EngineLoadError: a file cannot be read or is not what it should be.
            torch.OutOfMemoryError: not even one face can be painted in ``memory_gb``.
        """
        self._device: torch.device = device_of(device, memory_gb)
        self._dtype = drawing_dtype(half, self._device.type)
        if self._device.type == "cpu":
            keep_freed_memory()
        self.hear = load_hubert(files["hubert"], device)

        def load(name: str) -> nn.Module:
            network = load_network(name, files[name])
            return prepare(name, network, half, self._device.type).to(self._device)

        self._appearance, self._motion = load("appearance_extractor"), load("motion_extractor")
        self._denoiser = load("lmdm")
        # Four small layers are done on the processor before their input would be on a GPU.
        self._stitch = load("stitch_network").cpu()
        self._samplers: dict[int, DiffusionSampler] = {}
        self._painting = self._painting_with(Painter(load("warp_network"), load("decoder")), frames)

    def sampler(self, n_steps: int) -> DiffusionSampler:
        """The motion diffusion in so many steps; made once, kept for the next call."""
        if n_steps not in self._samplers:
            self._samplers[n_steps] = DiffusionSampler(self._denoiser, schedule(n_steps))
        return self._samplers[n_steps]

    def appearance(self, picture: FloatArray) -> Tensor:
        """The volume of features of a picture (3, 256, 256), RGB from 0 to 1."""
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            volume: Tensor = self._appearance(self._tensor(picture)[None].to(self._dtype))[0]
        return volume

    def motion_info(self, picture: FloatArray) -> Info:
        """The parts of ``vector.py`` with ``kp``, each (k,), of a picture (3, 256, 256)."""
        # cuDNN would calculate in TF32, and every replica has to find the same points.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=False):
            info = self._motion(self._tensor(picture)[None])
        return {name: part[0].cpu().numpy() for name, part in info._asdict().items()}

    def stitch(self, source: FloatArray, driven: FloatArray) -> FloatArray:
        """Key points to draw, (n, 21, 3), of those of the source and of the driven face."""
        with torch.inference_mode():
            out = self._stitch(torch.from_numpy(source), torch.from_numpy(driven))
        return np.asarray(out.numpy(), dtype=np.float32)

    def paint(self, volumes: Sequence[Tensor], motion: FloatArray) -> NDArray[np.uint8]:
        """Warp and decode: (b, 512, 512, 3) BGR, one face for each volume, motion (b, 2, 21, 3)."""
        with torch.inference_mode():
            return self._painting.paint(volumes, motion)

    def _painting_with(self, painter: Painter, frames: int) -> PlainPainting | RecordedPainting:
        if self._device.type == "cpu":
            return PlainPainting(painter)
        points = self._tensor(self.motion_info(_NOTHING)["kp"]).unflatten(0, (-1, 3))
        volume = self.appearance(_NOTHING)
        with torch.inference_mode(), kept_free(self._device, partial(self._do_the_rest, frames)):
            return RecordedPainting(painter, volume, torch.stack((points, points)), frames)

    def _do_the_rest(self, frames: int) -> None:
        """What needs memory beside painting, once: a portrait, windows of motion, and painted
        frames on their way, those of one batch and of the next."""
        self.motion_info(_NOTHING)
        self.appearance(_NOTHING)
        sampler = DiffusionSampler(self._denoiser, schedule(_N_STEPS))
        sampler.windows([_STILL] * _N_SESSIONS, [seeded_noise(0, *_WINDOW)] * _N_SESSIONS)
        faces = (2 * frames, FACE_SIDE_PX, FACE_SIDE_PX, 3)
        torch.empty(faces, dtype=torch.uint8, device=self._device)

    def _tensor(self, array: FloatArray) -> Tensor:
        tensor: Tensor = to_device(array, self._device)
        return tensor
