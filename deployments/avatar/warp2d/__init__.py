"""A talking face by warping one picture: no weights, no download, one CPU core."""

from deployments.avatar.warp2d.avatar import Warp2dAvatar

__all__ = ["Warp2dAvatar"]
