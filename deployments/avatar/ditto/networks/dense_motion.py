"""The dense motion network: from how the key points move to how every voxel does.

Shapes: as in ``warp``; c = 4 channels of the compressed volume.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from deployments.avatar.ditto.networks.blocks import (
    ConvBlock,
    EnlargingBlock,
    Halving,
    SlicedConv,
    conv_of,
)
from deployments.avatar.ditto.networks.folding import Foldable

_VARIANCE = 0.01  # of a key point's heat, in units of half the volume
_NO_HEAT = 1e-8  # adds nothing to a heat of 1 in float32
_WIDEST = 1024  # channels of the hourglass's neck


class DenseMotion(Foldable):
    """What each key point's motion would make of the volume, and which of them each voxel follows.

    Each motion moves the whole volume by one vector, and a grid moved by a vector is a product of
    three axes. So the volume is interpolated by three small matrix products instead of point by
    point, and the points' heat is a product of three curves.
    """

    def __init__(
        self, points: int, volume: tuple[int, int], compressed: int, width: int, n_blocks: int
    ) -> None:
        super().__init__()
        channels, depth = volume
        stacked = (points + 1) * (compressed + 1)
        self.hourglass = Hourglass(stacked, width, n_blocks)
        mixed = width + stacked
        self.mask: nn.Module = nn.Conv3d(mixed, points + 1, 7, padding=3)
        self.compress: nn.Module = nn.Conv3d(channels, compressed, 1)
        self.norm: nn.Module = nn.BatchNorm3d(compressed)
        self.depth = depth
        self.occlusion: nn.Module = nn.Conv2d(mixed * depth, 1, 7, padding=3)

    def folded(self) -> nn.Module:
        """With its normalisation in the convolution before, and the last two sliced."""
        self.compress = fuse_conv_bn_eval(self.compress, self.norm)
        self.norm = nn.Identity()
        self.mask = SlicedConv(self.mask, dim=2)
        self.occlusion = SlicedConv(_of_volume(self.occlusion, self.depth), dim=3)
        return self

    def forward(
        self, feature: Tensor, kp_source: Tensor, kp_driving: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Where each voxel comes from, (B, D, H, W, 3) as x, y, z, in float32; and how much of
        what comes from there is to be seen, (B, 1, H, W).

        feature: (B, C, D, H, W). Key points: (B, K, 3).
        """
        shifts = self.shifts(kp_source, kp_driving)
        heat = self.heat(kp_source, kp_driving, feature)
        moved = self.moved(self.compressed(feature), shifts)
        # Per motion its heat, then its channels: (B, (K + 1) * (c + 1), D, H, W)
        stacked = torch.cat((heat.unsqueeze(2), moved), dim=2).flatten(1, 2)
        mixed = self.hourglass(stacked)  # (B, 142, D, H, W)
        occlusion = torch.sigmoid(self.occlusion(mixed).squeeze(2))
        return self.deformation(self.followed(mixed), shifts), occlusion

    def compressed(self, feature: Tensor) -> Tensor:
        """(B, c, D, H, W) of feature (B, C, D, H, W)."""
        return torch.relu(self.norm(self.compress(feature)))

    def shifts(self, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
        """How far each motion looks beside a voxel: (B, K + 1, 3) of key points (B, K, 3)."""
        moves = kp_source.float() - kp_driving.float()
        return torch.cat((torch.zeros_like(moves[:, :1]), moves), dim=1)

    def heat(self, kp_source: Tensor, kp_driving: Tensor, like: Tensor) -> Tensor:
        """Near where each point goes 1, near where it comes from -1: (B, K + 1, D, H, W)."""
        heat = _bumps(kp_driving.float(), like) - _bumps(kp_source.float(), like)
        return torch.cat((torch.zeros_like(heat[:, :1]), heat), dim=1).to(like.dtype)

    def moved(self, volume: Tensor, shifts: Tensor) -> Tensor:
        """The volume (B, c, D, H, W) moved by each motion: (B, K + 1, c, D, H, W)."""
        depth, height, width = volume.shape[2:]
        by_x, by_y, by_z = (
            _interpolation(shifts[..., axis], n).to(volume.dtype)
            for axis, n in enumerate((width, height, depth))
        )  # (B, K + 1, to, from)
        rows = volume.flatten(1, 3).unsqueeze(1) @ by_x.mT  # (B, K + 1, c * D * H, W)
        slices = rows.unflatten(2, (-1, depth, height))  # (B, K + 1, c, D, H, W)
        slices = by_y[:, :, None, None] @ slices
        moved = by_z[:, :, None] @ slices.flatten(4)  # (B, K + 1, c, D, H * W)
        return moved.unflatten(4, (height, width))

    def followed(self, mixed: Tensor) -> Tensor:
        """How much each voxel follows each motion, in float32: (B, K + 1, D, H, W)."""
        # Converted by itself: an export of softmax(dtype=...) converts only what comes out.
        return self.mask(mixed).float().softmax(dim=1)

    def deformation(self, mask: Tensor, shifts: Tensor) -> Tensor:
        """(B, D, H, W, 3), as x, y, z: shares sum to one, so each voxel's own place stays."""
        moves = torch.einsum("bkdhw,bka->bdhwa", mask, shifts)
        z, y, x = (_axis(n, mask) for n in mask.shape[2:])
        own = torch.meshgrid(z, y, x, indexing="ij")[::-1]
        return moves + torch.stack(own, dim=-1)


class Hourglass(nn.Module):
    """Down to a neck and up again, keeping what was there on the way."""

    def __init__(self, channels: int, width: int, n_blocks: int) -> None:
        super().__init__()
        self.encoder = Encoder(channels, width, n_blocks)
        self.decoder = Decoder(channels, width, n_blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width + channels, D, H, W) of x (B, channels, D, H, W)."""
        x = x.contiguous(memory_format=torch.channels_last_3d)
        out: Tensor = self.decoder(self.encoder(x))
        return out


class Encoder(nn.Module):
    """Each block halves height and width."""

    def __init__(self, channels: int, width: int, n_blocks: int) -> None:
        super().__init__()
        widths = [channels, *(min(_WIDEST, width * 2 ** (i + 1)) for i in range(n_blocks))]
        self.down_blocks = nn.ModuleList(
            ConvBlock(
                nn.Conv3d(widths[i], widths[i + 1], 3, padding=1),
                nn.BatchNorm3d(widths[i + 1]),
                nn.ReLU(inplace=True),
                Halving(),
            )
            for i in range(n_blocks)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, channels, D, H, W), then what each block makes of it."""
        kept = [x]
        for block in self.down_blocks:
            kept.append(block(kept[-1]))  # (B, 64, D, 32, 32), ... (B, 1024, D, 2, 2)
        return kept


class Decoder(Foldable):
    """Each block doubles height and width, and is joined by what the encoder had there."""

    def __init__(self, channels: int, width: int, n_blocks: int) -> None:
        super().__init__()
        blocks = []
        for i in reversed(range(n_blocks)):
            wide, narrow = (min(_WIDEST, width * 2**k) for k in (i + 1, i))
            joined = wide if i == n_blocks - 1 else 2 * wide
            conv = nn.Conv3d(joined, narrow, 3, padding=1)
            blocks.append(EnlargingBlock(conv, nn.BatchNorm3d(narrow)))
        self.up_blocks = nn.ModuleList(blocks)
        self.conv: nn.Module = nn.Conv3d(width + channels, width + channels, 3, padding=1)
        self.norm: nn.Module = nn.BatchNorm3d(width + channels)

    def folded(self) -> nn.Module:
        """With its last normalisation in the convolution before it."""
        self.conv = fuse_conv_bn_eval(self.conv, self.norm)
        self.norm = nn.Identity()
        return self

    def forward(self, kept: list[Tensor]) -> Tensor:
        """(B, width + channels, D, H, W) of what the encoder kept."""
        *before, x = kept
        for block, other in zip(self.up_blocks, reversed(before), strict=True):
            # Channels lie last: joined there, each voxel's are copied in one go.
            x = torch.cat([part.movedim(1, -1) for part in (block(x), other)], -1).movedim(-1, 1)
        return torch.relu_(self.norm(self.conv(x)))


def _of_volume(conv: nn.Module, depth: int) -> nn.Module:
    """A convolution of pictures, whose channels are a volume's slices, as one of the volume."""
    weight = conv.weight.unflatten(1, (-1, depth))  # (out, C, D, 7, 7)
    return conv_of(weight, conv.bias, (0, *conv.padding))


def _axis(n: int, like: Tensor) -> Tensor:
    """Where n voxels are, from -1 to 1: (n,) in float32."""
    return torch.linspace(-1, 1, n, device=like.device)


def _bumps(points: Tensor, like: Tensor) -> Tensor:
    """exp(-d^2 / 2 variance) around each point (B, K, 3): (B, K, D, H, W)."""
    curves = (
        torch.exp(-0.5 / _VARIANCE * (_axis(n, like) - points[..., axis, None]) ** 2)
        for axis, n in enumerate(like.shape[:1:-1])
    )  # (B, K, n)
    # Far from a point the product would be less than float32's least normal number, and a processor
    # takes many times as long for each of those that the convolutions then meet.
    x, y, z = (F.threshold(curve, _NO_HEAT, 0.0) for curve in curves)
    return (z[..., :, None] * y[..., None, :])[..., None] * x[..., None, None, :]


def _interpolation(shift: Tensor, n: int) -> Tensor:
    """What each voxel of an axis of n takes from which, looking ``shift`` (B, K) beside itself.

    (B, K, n to, n from). The axis has its ends in the middle of the first and the last voxel, but
    is sampled as if they were at their edges: so it was trained.
    """
    at = ((_axis(n, shift) + shift[..., None] + 1) * n - 1) / 2  # (B, K, to) in voxels
    voxels = torch.arange(n, device=shift.device)
    return torch.relu(1 - (at[..., None] - voxels).abs())
