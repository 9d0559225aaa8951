"""Warp and decode: volumes and key points of several faces as pictures."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deployments.avatar.ditto.vector import FloatArray

_AT_ONCE = 2
"""Faces in one batch on a CPU: a tenth faster than one in bfloat16, the same in float32; each takes
700 MB. Source: benchmarks/ditto.md."""


class Painter(nn.Module):
    """The two networks that run for every frame, and the conversion of what they paint."""

    def __init__(self, warp: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.warp, self.decoder = warp, decoder

    def forward(self, volumes: Tensor, motion: Tensor) -> Tensor:
        """(b, 512, 512, 3) BGR in uint8, of volumes (b, 32, 16, 64, 64) and of the key points of
        source and driven face, motion (b, 2, 21, 3) in float32."""
        picture = self.decoder(self.warp(volumes, *motion.unbind(1)))  # (b, 3, 512, 512) RGB
        levels = picture.mul(255).to(torch.uint8)  # cut off, not rounded: so it was published
        return levels.flip(1).movedim(1, -1).contiguous()


class PlainPainting:
    """Runs a painter as the faces come, on a CPU."""

    def __init__(self, painter: Painter) -> None:
        self._painter = painter

    def paint(self, volumes: Sequence[Tensor], motion: FloatArray) -> NDArray[np.uint8]:
        """(b, 512, 512, 3) BGR, one face for each volume; motion (b, 2, 21, 3)."""
        points = torch.from_numpy(motion)
        starts = range(0, len(volumes), _AT_ONCE)
        parts = [slice(first, first + _AT_ONCE) for first in starts]
        faces = [self._painter(torch.stack(list(volumes[one])), points[one]) for one in parts]
        return np.asarray(torch.cat(faces).numpy(), dtype=np.uint8)
