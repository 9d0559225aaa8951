"""Warp and decode: volumes and key points of several faces as pictures, in one batch."""

import torch
from torch import Tensor, nn


class Painter(nn.Module):
    """The two networks that run for every frame, and the conversion of what they paint."""

    def __init__(self, warp: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.warp, self.decoder = warp, decoder

    def forward(self, volumes: Tensor, motion: Tensor) -> Tensor:
        """(b, 512, 512, 3) BGR in uint8, of volumes (b, 32, 16, 64, 64) and of the key points of
        source and driven face, motion (b, 2, 21, 3) in float32."""
        picture = self.decoder(self.warp(volumes, *motion.unbind(1)))  # (b, 3, 512, 512) RGB
        levels = picture.mul(255).round_().to(torch.uint8)
        return levels.flip(1).movedim(1, -1).contiguous()
