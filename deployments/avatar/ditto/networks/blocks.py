"""Cheaper forms of convolutions: normalised, of enlarged pictures, with few outputs."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from deployments.avatar.ditto.networks.folding import Foldable

_EPS = 1e-5  # of all normalisations; Source: CONTRACT section 2


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
        last = self.places - 1
        parts = torch.relu_(self.conv(x)).movedim(1, -1).unflatten(-1, (*[self.places] * 2, -1))
        # (B, [depth], h + 1, w + 1, P, P, out): where each place begins, then all of them in order
        rows = [parts.narrow(-5, int(i == last), h)[..., i, :, :] for i in self.order]
        lines = torch.stack(rows, dim=-4)  # (B, [depth], h, times, w + 1, P, out)
        columns = [lines.narrow(-3, int(i == last), w)[..., i, :] for i in self.order]
        whole = torch.stack(columns, dim=-2)  # (B, [depth], h, times, w, times, out)
        return whole.flatten(-3, -2).flatten(-4, -3).movedim(-1, 1)


class Halving(nn.Module):
    """Half the height and width of a picture or volume, by averages of four."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, [depth], h / 2, w / 2) of x (B, channels, [depth], h, w)."""
        slices = x.movedim(1, -3)  # (B, [depth], channels, h, w)
        return F.avg_pool2d(slices.flatten(0, -4), 2).unflatten(0, slices.shape[:-3]).movedim(-3, 1)


class SlicedConv(nn.Module):
    """A convolution with few outputs as one with many, and a sum.

    Few output channels leave most of a matrix unit idle. So one direction of the kernel becomes
    output channels: each slice gives its part to all outputs that see it, and these are added. The
    kernel is odd in this direction, ``dim`` of the input, and the padding half of it.
    """

    def __init__(self, conv: nn.Module, dim: int) -> None:
        super().__init__()
        self.dim, self.kernel = dim, conv.weight.shape[dim]
        by_slice = conv.weight.movedim(dim, 0).flatten(0, 1)  # (kernel * out, in, ...)
        padding = tuple(0 if i == dim else pad for i, pad in enumerate(conv.padding, start=2))
        self.conv = conv_of(by_slice.unsqueeze(dim), None, padding)
        shape = (-1, *[1] * len(padding))
        self.register_buffer("bias", conv.bias.reshape(shape).clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, ...) of x (B, in, ...)."""
        parts = self.conv(x).unflatten(1, (self.kernel, -1)).unbind(1)  # (B, out, ...) each
        half = self.kernel // 2
        shifts = range(-half, half + 1)
        total = parts[half] + self.bias
        for part, by in zip(parts, shifts, strict=True):
            total = total + _shifted(part, self.dim, by) if by else total
        return total


def _shifted(x: Tensor, dim: int, by: int) -> Tensor:
    """Element i of ``dim`` is element i + ``by`` of x, or 0 where x has none."""
    n = x.shape[dim]
    by = max(-n, min(n, by))
    return F.pad(x, [*[0, 0] * (x.dim() - 1 - dim), -by, by])


def normalised(x: Tensor) -> Tensor:
    """x (B, channels, h, w) with mean 0 and variance 1 in every channel of every picture."""
    # Groups of one channel: the same as F.instance_norm, but on a CPU it leaves channels last. On a
    # GPU both would first put the channels back to where they were.
    return by_moments(x) if x.is_cuda else F.group_norm(x, x.shape[1])


def by_moments(x: Tensor) -> Tensor:
    """The same by plain arithmetic, wherever the channels lie."""
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
    factor = (variance.float() + _EPS).rsqrt()  # half precision hardly has 1e-5
    offset = -mean.float() * factor
    return torch.addcmul(offset.to(x.dtype), x, factor.to(x.dtype))


def conv_of(
    weight: Tensor, bias: Tensor | None, padding: tuple[int, ...] | None = None
) -> nn.Module:
    """A convolution with this weight (out, in, kernel...), padded by half its kernel if not said
    otherwise."""
    kernel = tuple(weight.shape[2:])
    kind = nn.Conv3d if len(kernel) == 3 else nn.Conv2d
    around = tuple(k // 2 for k in kernel) if padding is None else padding
    sizes = weight.shape[1], weight.shape[0], kernel
    conv = kind(*sizes, padding=around, bias=bias is not None, device="meta")
    conv.weight = nn.Parameter(weight.clone())
    conv.bias = None if bias is None else nn.Parameter(bias.clone())
    return conv
