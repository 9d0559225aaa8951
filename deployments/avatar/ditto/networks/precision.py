"""Which networks draw in half precision, and what in them stays in float32.

The appearance extractor, the warp network and the decoder make a picture of 256 levels: half
precision is enough. The motion extractor, the stitch network, the diffusion and HuBERT say where
the face is, frame after frame, and cost little: they stay in float32.
"""

import torch
from torch import nn

HALVED = ("appearance_extractor", "warp_network", "decoder")


def prepare(name: str, network: nn.Module, half: bool) -> nn.Module:
    """The folded ``network``, one of ``weights.NETWORKS``, in the precision that it runs in."""
    return network.half() if half and name in HALVED else network


def drawing_dtype(half: bool) -> torch.dtype:
    """Of what goes between the networks that draw."""
    return torch.float16 if half else torch.float32
