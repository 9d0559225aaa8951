"""Layers exchanged, once their weights are in, for cheaper ones that compute the same.

A network is built with the keys that were published, loaded strictly, and folded; what had to be
worked out from the weights alone is then worked out once. Folding is done in float32 on the CPU:
lower precision and other devices come after it.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Foldable(nn.Module, ABC):
    """Holds weights as they were published, and knows what to compute with instead."""

    @abstractmethod
    def folded(self) -> nn.Module:
        """What takes this module's place. Its own children have been folded already."""


def fold(network: nn.Module) -> nn.Module:
    """What to run in place of ``network``, whose weights are loaded: ready for inference."""
    with torch.no_grad():
        return _channels_last(_folded(network.eval())).requires_grad_(False)


def _channels_last(network: nn.Module) -> nn.Module:
    """With each convolution's weights as they are used fastest; what it puts out lies likewise."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            is_flat = isinstance(layer, nn.Conv2d)
            lying = torch.channels_last if is_flat else torch.channels_last_3d
            layer.weight.data = layer.weight.contiguous(memory_format=lying)
    return network


def _folded(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _folded(child))
    return module.folded() if isinstance(module, Foldable) else module


def stacked(layers: list[nn.Linear]) -> nn.Linear:
    """One linear layer whose output is that of all ``layers``, one after the other."""
    return linear_of(
        torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])
    )


def linear_of(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear layer with this weight (out, in) and bias (out,)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return layer
