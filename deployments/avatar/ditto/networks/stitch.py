"""The stitch network: moves the key points a little, so that head and shoulders stay joined."""

import torch
from torch import Tensor, nn


class StitchNetwork(nn.Module):
    """Published keys; the sizes of the published checkpoint are the defaults."""

    def __init__(self, points: int = 21, width: int = 128) -> None:
        super().__init__()
        self.points = points
        self.mlp = nn.Sequential(
            nn.Linear(6 * points, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width // 2),
            nn.ReLU(),
            nn.Linear(width // 2, 3 * points + 2),
        )

    def forward(self, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
        """Driving key points (B, 21, 3) that fit the source's (B, 21, 3)."""
        delta = self.mlp(torch.cat((kp_source.flatten(1), kp_driving.flatten(1)), dim=1))
        each, both = delta[:, :-2], delta[:, -2:]  # per point; x and y of all points
        moved = kp_driving + each.unflatten(1, (self.points, 3))
        return torch.cat((moved[..., :2] + both.unsqueeze(1), moved[..., 2:]), dim=-1)
