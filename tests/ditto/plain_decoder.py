"""The decoder as the SPADE paper draws it: what its folded form is compared to.

It runs a ``Decoder`` that has not been folded.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def plain_decode(net: Any, seg: Tensor) -> Tensor:
    """RGB from 0 to 1, eight times the height and width of seg (B, features, h, w)."""
    x = net.fc(seg)
    for i in range(net.n_middle):
        x = _block(getattr(net, f"G_middle_{i}"), x, seg)
    x = _block(net.up_0, F.interpolate(x, scale_factor=2), seg)
    x = _block(net.up_1, F.interpolate(x, scale_factor=2), seg)
    return torch.sigmoid(net.conv_img(F.leaky_relu(x, 0.2)))


def _block(block: Any, x: Tensor, seg: Tensor) -> Tensor:
    inner = _conv(block.conv_0, F.leaky_relu(_normal(block.norm_0, x, seg), 0.2))
    inner = _conv(block.conv_1, F.leaky_relu(_normal(block.norm_1, inner, seg), 0.2))
    if hasattr(block, "norm_s"):
        x = _conv(block.conv_s, _normal(block.norm_s, x, seg))
    return x + inner


def _normal(norm: Any, x: Tensor, seg: Tensor) -> Tensor:
    hidden = norm.mlp_shared(F.interpolate(seg, size=x.shape[2:]))
    normal = F.instance_norm(x)
    out: Tensor = normal * (1 + norm.mlp_gamma(hidden)) + norm.mlp_beta(hidden)
    return out


def _conv(conv: Any, x: Tensor) -> Tensor:
    weight = conv.weight_orig
    sigma = conv.weight_u @ (weight.flatten(1) @ conv.weight_v)
    return F.conv2d(x, weight / sigma, conv.bias, padding=weight.shape[2] // 2)
