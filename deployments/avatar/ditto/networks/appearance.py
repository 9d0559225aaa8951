"""The appearance extractor: a photograph of 256x256 as a volume of features."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from deployments.avatar.ditto.networks.blocks import ConvBlock, Halving
from deployments.avatar.ditto.networks.folding import Foldable


class AppearanceExtractor(nn.Module):
    """Published keys; the sizes of the published checkpoint are the defaults."""

    def __init__(
        self, width: int = 64, channels: int = 32, depth: int = 16, n_residual: int = 6
    ) -> None:
        super().__init__()
        self.volume = (channels, depth)
        first = nn.Conv2d(3, width, 3, padding=1)
        self.first = ConvBlock(first, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.down_blocks = nn.ModuleList(_halving(width * k) for k in (1, 2))
        self.second = nn.Conv2d(4 * width, channels * depth, 1)
        blocks = ((f"3dr{i}", ResidualBlock(channels)) for i in range(n_residual))
        self.resblocks_3d = nn.Sequential(OrderedDict(blocks))

    def forward(self, image: Tensor) -> Tensor:
        """f_s (B, 32, 16, 64, 64) of image (B, 3, 256, 256), RGB from 0 to 1."""
        x = self.first(image)  # (B, 64, 256, 256)
        for block in self.down_blocks:
            x = block(x)  # (B, 128, 128, 128), (B, 256, 64, 64)
        volume = self.second(x).unflatten(1, self.volume)  # (B, 32, 16, 64, 64)
        out: Tensor = self.resblocks_3d(volume)
        return out


class ResidualBlock(Foldable):
    """x + conv2(relu(norm2(conv1(relu(norm1(x))))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1: nn.Module = nn.BatchNorm3d(channels)
        self.norm2: nn.Module = nn.BatchNorm3d(channels)

    def folded(self) -> nn.Module:
        """With its second normalisation in the convolution before it."""
        self.conv1 = fuse_conv_bn_eval(self.conv1, self.norm2)
        self.norm2 = nn.Identity()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, depth, height, width) of the same."""
        inner = self.conv1(F.relu(self.norm1(x)))
        out: Tensor = x + self.conv2(F.relu(self.norm2(inner)))
        return out


def _halving(width: int) -> ConvBlock:
    conv = nn.Conv2d(width, 2 * width, 3, padding=1)
    norm = nn.BatchNorm2d(2 * width)
    return ConvBlock(conv, norm, nn.ReLU(inplace=True), Halving())
