"""The decoder: from warped features to the picture, with SPADE blocks (Park et al., 1903.07291).

Every block is told again what the features were: they are its ``seg``, from which it computes a
factor and an offset for each of its values. Shapes: B frames; seg (B, 256, 64, 64).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deployments.avatar.ditto.networks.blocks import EnlargedConv, conv_of, normalised
from deployments.avatar.ditto.networks.folding import Foldable

_SLOPE = 0.2  # of the leaky ReLUs


class Decoder(nn.Module):
    """Published keys; the sizes of the published checkpoint are the defaults."""

    def __init__(
        self, features: int = 256, width: int = 512, hidden: int = 128, n_middle: int = 6
    ) -> None:
        super().__init__()
        self.fc = nn.Conv2d(features, width, 3, padding=1)
        self.n_middle = n_middle
        for i in range(n_middle):
            block = SpadeBlock(width, width, features, hidden)
            self.add_module(f"G_middle_{i}", block)
        self.up_0 = SpadeBlock(width, features, features, hidden, 2)
        self.up_1 = SpadeBlock(features, features // 4, features, hidden, 4)
        self.conv_img = nn.Sequential(
            nn.Conv2d(features // 4, 3 * 2 * 2, 3, padding=1), nn.PixelShuffle(2)
        )

    def forward(self, feature: Tensor) -> Tensor:
        """RGB from 0 to 1, (B, 3, 512, 512), of feature (B, 256, 64, 64)."""
        feature = feature.contiguous(memory_format=torch.channels_last)
        x = self.fc(feature)  # (B, 512, 64, 64)
        for i in range(self.n_middle):
            x = getattr(self, f"G_middle_{i}")(x, feature)
        x = self.up_0(x, feature)  # (B, 256, 128, 128)
        x = self.up_1(x, feature)  # (B, 64, 256, 256)
        return torch.sigmoid(self.conv_img(F.leaky_relu(x, _SLOPE)))


class SpectralConv2d(Foldable):
    """A convolution stored with its weight's largest singular value beside it, not in it."""

    def __init__(self, before: int, after: int, kernel: int, has_bias: bool = True) -> None:
        super().__init__()
        bias = nn.Parameter(torch.zeros(after)) if has_bias else None
        self.register_parameter("bias", bias)
        self.weight_orig = nn.Parameter(torch.empty(after, before, kernel, kernel))
        self.register_buffer("weight_u", torch.empty(after))
        self.register_buffer("weight_v", torch.empty(before * kernel**2))

    def folded(self) -> nn.Module:
        """The convolution with its weight over that value, u . W v."""
        weight = self.weight_orig.double()
        sigma = self.weight_u.double() @ weight.flatten(1) @ self.weight_v.double()
        return conv_of((weight / sigma).float(), self.bias)


class Spade(nn.Module):
    """The published keys of one normalisation: a ``ModulatedBlock`` runs all of a block's."""

    def __init__(self, channels: int, features: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(features, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def modulation(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of one convolution for factors, counted from 0, and offsets."""
        gamma, beta = self.mlp_gamma, self.mlp_beta
        return torch.cat((gamma.weight, beta.weight)), torch.cat((gamma.bias + 1, beta.bias))


class SpadeBlock(Foldable):
    """The published keys of one residual block; it is ``enlarged`` so often beside seg."""

    def __init__(
        self, before: int, after: int, features: int, hidden: int, enlarged: int = 1
    ) -> None:
        super().__init__()
        self.enlarged, narrow = enlarged, min(before, after)
        self.conv_0 = SpectralConv2d(before, narrow, 3)
        self.conv_1 = SpectralConv2d(narrow, after, 3)
        if before != after:
            self.conv_s = SpectralConv2d(before, after, 1, has_bias=False)
        self.norm_0 = Spade(before, features, hidden)
        self.norm_1 = Spade(narrow, features, hidden)
        if before != after:
            self.norm_s = Spade(before, features, hidden)

    def folded(self) -> nn.Module:
        """What runs."""
        return ShortcutBlock(self) if hasattr(self, "norm_s") else ModulatedBlock(self)


class ModulatedBlock(nn.Module):
    """x + conv_1(act(norm_1(conv_0(act(norm_0(x)))))), of values that are computed together.

    The first convolutions of all its normalisations are one, and so are factors and offsets.
    """

    def __init__(self, block: SpadeBlock) -> None:
        super().__init__()
        self.conv_0, self.conv_1 = block.conv_0, block.conv_1
        norms = [block.norm_0, block.norm_1]
        self.shared = _shared(norms, block.enlarged)
        self.modulate_0, self.modulate_1 = (conv_of(*norm.modulation()) for norm in norms)

    def forward(self, x: Tensor, seg: Tensor) -> Tensor:
        """(B, channels, h, w) of the same."""
        hidden = self.shared(seg).chunk(2, dim=1)  # (B, 128, h, w) each
        return x + self.inner(normalised(x), *hidden)

    def inner(self, normal: Tensor, hidden_0: Tensor, hidden_1: Tensor) -> Tensor:
        """What the two convolutions make of x, which has been normalised."""
        inner = self.conv_0(_activated(normal, self.modulate_0(hidden_0)))
        out: Tensor = self.conv_1(_activated(normalised(inner), self.modulate_1(hidden_1)))
        return out


class ShortcutBlock(ModulatedBlock):
    """A block that first doubles height and width, and changes the number of channels.

    Its shortcut, too, is a convolution, conv_s(norm_s(x)). It is linear, so what norm_s adds goes
    through it beforehand: its offsets come with as many channels as the output has.
    """

    def __init__(self, block: SpadeBlock) -> None:
        super().__init__(block)
        self.shared = _shared([block.norm_0, block.norm_1, block.norm_s], block.enlarged)
        self.before = block.norm_s.mlp_gamma.out_channels
        self.conv_s = block.conv_s
        self.modulate_s = conv_of(*_through(block.norm_s, block.conv_s.weight.flatten(1)))

    def forward(self, x: Tensor, seg: Tensor) -> Tensor:
        """(B, fewer channels, 2h, 2w) of x (B, channels, h, w)."""
        hidden_0, hidden_1, hidden_s = self.shared(seg).chunk(3, dim=1)  # (B, 128, 2h, 2w) each
        # Repeating pixels changes neither mean nor variance: normalised before, at a quarter.
        normal = F.interpolate(normalised(x), scale_factor=2)
        modulation = self.modulate_s(hidden_s)
        factors, offsets = modulation[:, : self.before], modulation[:, self.before :]
        short: Tensor = self.conv_s(normal * factors) + offsets
        return short + self.inner(normal, hidden_0, hidden_1)


def _activated(normal: Tensor, modulation: Tensor) -> Tensor:
    """(B, channels, h, w), modulated and through the leaky ReLU; modulation (B, twice, h, w)."""
    factors, offsets = modulation.chunk(2, dim=1)
    return F.leaky_relu_(torch.addcmul(offsets, normal, factors), _SLOPE)


def _shared(norms: list[Spade], enlarged: int) -> nn.Module:
    """What all normalisations of a block see of seg, enlarged as the block is."""
    convs = [norm.mlp_shared[0] for norm in norms]
    weight = torch.cat([conv.weight for conv in convs])
    bias = torch.cat([conv.bias for conv in convs])
    if enlarged > 1:
        return EnlargedConv(weight, bias, enlarged)
    return nn.Sequential(conv_of(weight, bias), nn.ReLU(inplace=True))


def _through(norm: Spade, shortcut: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of factors, and of offsets that went through ``shortcut`` (out, in)."""
    weight, bias = norm.modulation()
    n = shortcut.shape[1]
    offsets = torch.einsum("oc,cihw->oihw", shortcut, weight[n:])
    return torch.cat((weight[:n], offsets)), torch.cat((bias[:n], shortcut @ bias[n:]))
