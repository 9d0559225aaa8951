"""Cheaper forms of convolutions: normalised, of enlarged pictures, with few outputs."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from deployments.avatar.ditto.networks.folding import Foldable


class ConvBlock(Foldable):
    """Convolution, batch normalisation, and what comes ``after``.

    In inference the normalisation is a factor and an offset per channel: part of the weights.
    """

    def __init__(self, conv: nn.Module, norm: nn.Module, *after: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm
        self._after = after  # without weights, hence without keys

    def folded(self) -> nn.Module:
        """As one convolution."""
        conv = fuse_conv_bn_eval(self.conv, self.norm)
        return nn.Sequential(conv, *self._after)


class EnlargingBlock(Foldable):
    """Enlarging to twice the height and width, convolution, batch normalisation, ReLU."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm

    def folded(self) -> nn.Module:
        """As one convolution of what has not been enlarged."""
        conv = fuse_conv_bn_eval(self.conv, self.norm)
        return EnlargedConv(conv.weight, conv.bias, 2)


class EnlargedConv(nn.Module):
    """ReLU of a 3x3 convolution (3x3x3: of height and width) of a picture enlarged by repetition.

    Pixels that were repeated meet several weights: these are added once, beforehand. In each
    direction an enlarged pixel sees only two source pixels, and only its place within the source
    pixel says with which weights:

        first     (w0, w1 + w2)      of the pixel before and this one
        between   (w0 + w1 + w2)     of this one: all such places have the same value
        last      (w0 + w1, w2)      of this one and the next

    One convolution of two taps each way makes all of these: 16 taps for the 36 of a picture
    enlarged to twice its size, 36 for the 144 of one enlarged to four times.
    """

    _FIRST = ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0))
    _BETWEEN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    _LAST = ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0))

    def __init__(self, weight: Tensor, bias: Tensor, times: int) -> None:
        super().__init__()
        between = [self._BETWEEN] if times > 2 else []
        places = torch.tensor([self._FIRST, *between, self._LAST])  # (P, 2 taps, 3 weights)
        self.order = [0, *[1] * (times - 2), len(places) - 1]  # of the enlarged pixels of one
        self.places = len(places)
        # (P, P, out, in, [depth], 2, 2)
        summed = torch.einsum("pay,qbx,oi...yx->pqoi...ab", places, places, weight)
        self.conv = conv_of(summed.flatten(0, 2), bias.repeat(self.places**2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, [depth], times * h, times * w) of x (B, in, [depth], h, w)."""
        h, w = x.shape[-2:]
        parts = torch.relu_(self.conv(x)).unflatten(1, (self.places, self.places, -1))
        rows = [parts[:, i].narrow(-2, int(i == self.places - 1), h) for i in self.order]
        parts = torch.stack(rows, dim=-2)  # (B, P, out, [depth], h, times, w + 1)
        columns = [parts[:, i].narrow(-1, int(i == self.places - 1), w) for i in self.order]
        return torch.stack(columns, dim=-1).flatten(-2).flatten(-3, -2)


class SlicedConv(nn.Module):
    """A convolution with few outputs as one with many, and a sum.

    Few output channels leave most of a matrix unit idle. So the kernel's first direction becomes
    output channels: each slice gives its part to all outputs that see it, and these are added. The
    kernel is odd, the padding half of it: the size stays.
    """

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        out, self.kernel = conv.weight.shape[0], conv.weight.shape[2]
        by_slice = conv.weight.movedim(2, 0).flatten(0, 1)  # (kernel * out, in, ...)
        self.conv = conv_of(by_slice.unsqueeze(2), None)
        self.register_buffer("bias", conv.bias.reshape(out, *[1] * (conv.weight.dim() - 2)).clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, n, ...) of x (B, in, n, ...)."""
        parts = self.conv(x).unflatten(1, (self.kernel, -1))  # (B, kernel, out, n, ...)
        return self.bias + _shifted_sum(parts)


def _shifted_sum(parts: Tensor) -> Tensor:
    """Element i of the output (B, out, n, ...) is the sum over k of element i + k - half of part k.

    parts: (B, kernel, out, n, ...).
    """
    kernel, n = parts.shape[1], parts.shape[3]
    edges = [0, 0] * (parts.dim() - 4) + [kernel // 2] * 2
    padded = F.pad(parts, edges)
    total = padded[:, 0].narrow(2, 0, n)
    for k in range(1, kernel):
        total = total + padded[:, k].narrow(2, k, n)
    return total


def conv_of(weight: Tensor, bias: Tensor | None) -> nn.Module:
    """A convolution with this weight (out, in, kernel...), padded by half its kernel."""
    kernel = tuple(weight.shape[2:])
    kind = nn.Conv3d if len(kernel) == 3 else nn.Conv2d
    padding = tuple(k // 2 for k in kernel)
    sizes = weight.shape[1], weight.shape[0], kernel
    conv = kind(*sizes, padding=padding, bias=bias is not None, device="meta")
    conv.weight = nn.Parameter(weight.clone())
    conv.bias = None if bias is None else nn.Parameter(bias.clone())
    return conv
