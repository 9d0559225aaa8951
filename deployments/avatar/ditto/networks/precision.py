"""Which networks draw in half precision, and what in them stays in float32.

The appearance extractor, the warp network and the decoder make a picture of 256 levels: half
precision is enough. The motion extractor, the stitch network, the diffusion and HuBERT say where
the face is, frame after frame, and cost little: they stay in float32.

In the networks that are halved these are in float32 all the same, by what their code says:

    key points, shifts, heat    neighbouring voxels are 1/32 apart, half precision's steps near 1
                                are 1/1024: a thirtieth of a voxel, which is seen to tremble
    axes' interpolation         for the same reason, until its weights are known
    mask's softmax, deformation sums of 22 shares that have to be 1
    sampling                    coordinates, and the eight products of each point
    statistics of the decoder's normalisation, and all products of convolutions: added up in
                                float32 by the operators themselves

Measured against float32 with the goldens' weights: benchmarks/ditto.md.
"""

import torch
from torch import nn

HALVED = ("appearance_extractor", "warp_network", "decoder")


def drawing_dtype(half: bool, device_type: str = "cuda") -> torch.dtype:
    """Of what goes between the networks that draw.

    The half precision of a CPU is bfloat16, which newer ones have units for (AMX, AVX-512). It has
    three bits less, so a face differs by up to some levels of 256.
    """
    if not half:
        return torch.float32
    return torch.bfloat16 if device_type == "cpu" else torch.float16


def prepare(name: str, network: nn.Module, half: bool, device_type: str = "cuda") -> nn.Module:
    """The folded ``network``, one of ``weights.NETWORKS``, in the precision that it runs in."""
    return network.to(drawing_dtype(half, device_type)) if name in HALVED else network
