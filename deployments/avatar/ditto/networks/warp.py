"""The warp network: the source's volume of features, moved as the key points are.

Shapes: B frames, K = 21 key points, K + 1 motions of which the first stands still, a volume of
C = 32 channels and D = 16 slices of H x W = 64x64.
"""

from collections.abc import Callable

from torch import Tensor, nn

from deployments.avatar.ditto.grid_sample import sample
from deployments.avatar.ditto.networks.blocks import ConvBlock
from deployments.avatar.ditto.networks.dense_motion import DenseMotion


class WarpNetwork(nn.Module):
    """Published keys; the sizes of the published checkpoint are the defaults.

    ``sample`` may be exchanged for ``grid_sample.sample_by_gathering``, for an export to a runtime
    that does not have the operator for volumes.
    """

    def __init__(
        self,
        points: int = 21,
        volume: tuple[int, int] = (32, 16),
        compressed: int = 4,
        width: int = 32,
        n_blocks: int = 5,
        out: int = 256,
    ) -> None:
        super().__init__()
        self.points, self.volume = points, volume
        inner = volume[0] * volume[1]
        self.sample: Callable[[Tensor, Tensor], Tensor] = sample
        self.dense_motion_network = DenseMotion(points, volume, compressed, width, n_blocks)
        third = nn.Conv2d(inner, out, 3, padding=1)
        self.third = ConvBlock(third, nn.BatchNorm2d(out), nn.LeakyReLU(0.01, inplace=True))
        self.fourth = nn.Conv2d(out, out, 1)

    def forward(self, feature_3d: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
        """(B, 256, 64, 64) of feature_3d (B, 32, 16, 64, 64) and key points (B, 21, 3)."""
        deformation, occlusion = self.dense_motion_network(feature_3d, kp_source, kp_driving)
        warped = self.sample(feature_3d, deformation).flatten(1, 2)  # (B, 512, 64, 64)
        return self.fourth(self.third(warped)) * occlusion
