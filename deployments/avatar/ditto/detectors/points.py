"""A face's points: 106 of its box (InsightFace), and from those, or from those of the film's last
frame, the 203 that its square is cut by (LivePortrait).

Source: sizes, margins and the order of the colours as in the published implementation
(goldens 18).
"""

import numpy as np

from deployments.avatar.ditto.crop import CropSettings, Layout, cut, inverted, placed, to_crop
from deployments.avatar.ditto.detectors.nets import Net
from deployments.avatar.ditto.vector import FloatArray
from deployments.types import Frame

_SIDE_106, _MARGIN_106 = 192, 1.5
_SIDE_203, _CROP_203 = 224, CropSettings(scale=1.5, y=-0.1)


def find_106(net: Net, picture: Frame, box: FloatArray) -> FloatArray:
    """(106, 2) pixels of a (height, width, 3) BGR picture; ``box``: left, top, right, bottom."""
    low, high = box[:2].astype(np.float64), box[2:4].astype(np.float64)
    scale = _SIDE_106 / (_MARGIN_106 * (high - low).max())
    shift = _SIDE_106 / 2 - scale * (low + high) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]], np.float32)
    seen = cut(picture, matrix, _SIDE_106).astype(np.float32)
    points = net(_planes(seen))[0].reshape(-1, 2)[-106:]  # some files have other points before
    return placed((points + 1) * (_SIDE_106 / 2), inverted(matrix))


def find_203(net: Net, picture: Frame, near: FloatArray, layout: Layout) -> FloatArray:
    """(203, 2) pixels of a (height, width, 3) BGR picture. ``near``: where the face about is, as
    points of this ``layout``."""
    matrix = to_crop(near, layout, _CROP_203, _SIDE_203)
    seen = cut(picture, matrix, _SIDE_203)[..., ::-1].astype(np.float32) / np.float32(255)
    outputs = {output.size: output for output in net(_planes(seen))}
    return placed(outputs[2 * 203].reshape(203, 2) * _SIDE_203, inverted(matrix))


def _planes(seen: FloatArray) -> FloatArray:
    """(1, 3, side, side) of (side, side, 3)."""
    return np.ascontiguousarray(seen.transpose(2, 0, 1)[None])
