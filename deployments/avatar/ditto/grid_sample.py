"""Trilinear sampling of a volume at given points: zeros outside, corners not aligned.

Coordinates run from -1 to 1 from edge to edge of the volume: x along its width, y along its
height, z along its depth.
"""

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F


def sample(volume: Tensor, grid: Tensor) -> Tensor:
    """By torch's own operator.

    volume: (B, C, D, H, W). grid: (B, d, h, w, 3). Returns (B, C, d, h, w), as precise as volume.
    """
    # Half precision cannot tell neighbouring points of a grid apart.
    grid = grid.to(volume.dtype if volume.dtype == torch.float64 else torch.float32)
    out = F.grid_sample(volume.to(grid.dtype), grid, padding_mode="zeros", align_corners=False)
    return out.to(volume.dtype)


def sample_by_gathering(volume: Tensor, grid: Tensor) -> Tensor:
    """The same by plain arithmetic and eight gathers, for runtimes without the operator in 3D.

    volume: (B, C, D, H, W). grid: (B, d, h, w, 3). Returns (B, C, d, h, w), as precise as volume.
    """
    sizes = torch.tensor(volume.shape[:1:-1], device=grid.device)  # W, H, D, as x, y, z
    at = ((grid.float().flatten(1, 3) + 1) * sizes - 1) / 2  # (B, points, 3) in voxels
    low = at.floor()
    voxels = volume.flatten(2)  # (B, C, D * H * W)
    steps = [torch.tensor(step, device=grid.device) for step in product((0, 1), repeat=3)]
    out = torch.stack([_corner(voxels, at, low + step, sizes) for step in steps]).sum(dim=0)
    return out.to(volume.dtype).unflatten(2, grid.shape[1:4])


def _corner(voxels: Tensor, at: Tensor, corner: Tensor, sizes: Tensor) -> Tensor:
    """What one corner gives to each point: (B, C, points).

    voxels: (B, C, n). at, corner: (B, points, 3).
    """
    inside = ((corner >= 0) & (corner < sizes)).all(dim=-1)
    weight = (1 - (at - corner).abs()).prod(dim=-1) * inside  # (B, points)
    x, y, z = corner.clamp(min=torch.zeros_like(sizes), max=sizes - 1).long().unbind(-1)
    index = (z * sizes[1] + y) * sizes[0] + x  # (B, points)
    values = voxels.gather(2, index.unsqueeze(1).expand(-1, voxels.shape[1], -1))
    return values * weight.unsqueeze(1)
