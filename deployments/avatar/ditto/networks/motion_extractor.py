"""The motion extractor: where the key points of a face are, and how it is posed.

A ConvNeXt V2 (Woo et al., arXiv 2301.00808) of the tiny size with seven linear heads.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EPS = 1e-6  # of all normalisations; Source: ConvNeXt V2


class MotionInfo(NamedTuple):
    """In the published order of outputs."""

    pitch: Tensor  # (B, 66) logits of bins of 3 degrees
    yaw: Tensor  # (B, 66)
    roll: Tensor  # (B, 66)
    t: Tensor  # (B, 3)
    exp: Tensor  # (B, 63): x, y, z of each point
    scale: Tensor  # (B, 1)
    kp: Tensor  # (B, 63)


class MotionExtractor(nn.Module):
    """Published keys; the sizes of the published checkpoint are the defaults."""

    def __init__(
        self,
        depths: tuple[int, ...] = (3, 3, 9, 3),
        widths: tuple[int, ...] = (96, 192, 384, 768),
        points: int = 21,
        bins: int = 66,
    ) -> None:
        super().__init__()
        self.detector = Detector(depths, widths, points, bins)

    def forward(self, image: Tensor) -> MotionInfo:
        """Of image (B, 3, 256, 256), RGB from 0 to 1."""
        out: MotionInfo = self.detector(image)
        return out


class Detector(nn.Module):
    """Four stages, each at half the size of the one before; values are kept channels last."""

    def __init__(
        self, depths: tuple[int, ...], widths: tuple[int, ...], points: int, bins: int
    ) -> None:
        super().__init__()
        self.downsample_layers = nn.ModuleList(
            [nn.Sequential(Patches(3, widths[0], 4), nn.LayerNorm(widths[0], eps=_EPS))]
        )
        for before, width in pairwise(widths):
            self.downsample_layers.append(
                nn.Sequential(nn.LayerNorm(before, eps=_EPS), Patches(before, width, 2))
            )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], eps=_EPS)
        self.fc_kp = nn.Linear(widths[-1], 3 * points)
        self.fc_scale = nn.Linear(widths[-1], 1)
        self.fc_pitch = nn.Linear(widths[-1], bins)
        self.fc_yaw = nn.Linear(widths[-1], bins)
        self.fc_roll = nn.Linear(widths[-1], bins)
        self.fc_t = nn.Linear(widths[-1], 3)
        self.fc_exp = nn.Linear(widths[-1], 3 * points)

    def forward(self, image: Tensor) -> MotionInfo:
        """Of image (B, 3, height, width)."""
        x = image.movedim(1, -1)
        for halving, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(halving(x))  # (B, 64, 64, 96), ... (B, 8, 8, 768)
        x = self.norm(x.mean(dim=(1, 2)))  # (B, 768)
        heads = (getattr(self, f"fc_{name}") for name in MotionInfo._fields)
        return MotionInfo(*(head(x) for head in heads))


class Patches(nn.Conv2d):
    """A convolution of patches side by side, channels last."""

    def __init__(self, before: int, width: int, size: int) -> None:
        super().__init__(before, width, size, stride=size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, h / size, w / size, width) of x (B, h, w, before)."""
        out: Tensor = super().forward(x.movedim(-1, 1)).movedim(1, -1)
        return out


class Block(nn.Module):
    """Depthwise 7x7, then two linear layers with GRN between them, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.grn = Grn(4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, h, w, width) of the same."""
        near = self.dwconv(x.movedim(-1, 1)).movedim(1, -1)
        inner = F.gelu(self.pwconv1(self.norm(near)))
        out: Tensor = x + self.pwconv2(self.grn(inner))
        return out


class Grn(nn.Module):
    """Global response normalisation: each channel by its share of all channels' energy."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, width))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, h, w, width) of the same."""
        # In float32: the squares of a whole picture do not fit into half precision.
        energy = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True, dtype=torch.float32)
        share = energy / (energy.mean(dim=-1, keepdim=True) + _EPS)  # (B, 1, 1, width)
        return torch.addcmul(self.beta + x, x, self.gamma * share.to(x.dtype))
