"""The square that the networks see of a picture: its face, upright and always equally large.

Source: the crop that LivePortrait's networks, and with them the published ones, were trained on
(goldens 12).
"""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.vector import FloatArray
from deployments.types import Frame

Points: TypeAlias = NDArray[np.floating[Any]]
"""(n, 2) or (n, 3): pixels of a picture, x to the right and y downwards."""

_SHORTEST_PX = 1e-3  # from eyes to mouth; nearer than that they give no direction


@dataclass(frozen=True, slots=True)
class CropSettings:
    """``scale``: the square's side to the longer side of the face's box. ``x`` and ``y``: where
    its middle lies, right of and below the box's, in sides of the square; the published code is
    told an ``x`` too, but does not use it. ``turns``: the face is made upright."""

    scale: float = 2.3
    x: float = 0.0
    y: float = -0.125
    turns: bool = True


@dataclass(frozen=True, slots=True)
class Layout:
    """What a set of points means. ``eyes``: points whose means are the middles of both eyes, from
    left to right as the picture shows them; ``mouth``: the same for the mouth. ``bounds``: the
    points that the face's box goes around; empty means all."""

    eyes: tuple[tuple[int, ...], tuple[int, ...]]
    mouth: tuple[int, ...]
    bounds: tuple[int, ...] = ()


POINTS_106 = Layout(eyes=((33, 35, 40, 39), (87, 89, 94, 93)), mouth=(52, 61))
POINTS_203 = Layout(eyes=((0, 6, 12, 18), (24, 30, 36, 42)), mouth=(48, 66))
# What bounds the 203 points, said by third parties who drew them, are brows, chin and the cheeks
# up to the ears. MediaPipe's reach up to the hair: a box around all of them made the face 7 to 17 %
# smaller in its square and brought the eyes 4 to 6 % of it lower (two photographs and the painted
# portrait, 2026-11-21). So only points that the 203 have as well bound it.
_BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
_OUTLINE = (
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152,
    377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356,
)  # fmt: skip
MESH = Layout(
    eyes=((33, 159, 133, 145), (362, 386, 263, 374)), mouth=(61, 291), bounds=_BROWS + _OUTLINE
)


def to_crop(points: Points, layout: Layout, settings: CropSettings, side: int) -> FloatArray:
    """(3, 3) from pixels of the picture to those of the square, ``side`` pixels wide."""
    found = points[:, :2].astype(np.float64)
    down = _down(found, layout)
    right = np.array((down[1], -down[0]))
    middle, length = _box(found[list(layout.bounds)] if layout.bounds else found, right, down)
    length *= settings.scale
    middle = middle + right * (settings.x * length) + down * (settings.y * length)
    axes = np.stack((right, down)) if settings.turns else np.eye(2)
    turn = axes * (side / length)
    shift = side / 2 - turn @ middle
    return np.vstack((np.column_stack((turn, shift)), (0.0, 0.0, 1.0))).astype(np.float32)


def inverted(matrix: FloatArray) -> FloatArray:
    """The way back of ``to_crop``, (3, 3)."""
    return np.linalg.inv(matrix.astype(np.float64)).astype(np.float32)


def cut(picture: Frame, matrix: FloatArray, side: int) -> Frame:
    """(side, side, 3): the square of a picture, black beyond its edges.

    Interpolated here, because OpenCV 4 rounds places to a 32nd of a pixel and its successor, which
    the published outputs were made with, does not: every twelfth value was another one.
    """
    to_picture = np.linalg.inv(matrix.astype(np.float64))
    rows, columns = np.indices((side, side))
    x, y = (to_picture[i, 0] * columns + to_picture[i, 1] * rows + to_picture[i, 2] for i in (0, 1))
    edged = np.pad(picture, ((1, 1), (1, 1), (0, 0)))
    left, right_share = _between(x, picture.shape[1])
    above, below_share = _between(y, picture.shape[0])
    upper, lower = (
        edged[row, left] * (1 - right_share) + edged[row, left + 1] * right_share
        for row in (above, above + 1)
    )
    return np.asarray(np.rint(upper * (1 - below_share) + lower * below_share), np.uint8)


def _between(places: NDArray[np.float64], n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The pixel before each place on an axis of ``n`` pixels, counted with one of black before
    them, and (..., 1) how far the place is on the way to the next. Beyond the edge all is black."""
    places = np.clip(places, -1, n) + 1
    before = np.minimum(places.astype(np.int64), n)
    return before, (places - before).astype(np.float32)[..., None]


def placed(points: Points, matrix: FloatArray) -> FloatArray:
    """Points (n, 2) taken from one picture to the other."""
    moved = points[:, :2].astype(np.float64) @ matrix[:2, :2].T + matrix[:2, 2]
    return np.asarray(moved, np.float32)


def _down(points: NDArray[np.float64], layout: Layout) -> NDArray[np.float64]:
    """The direction from the eyes to the mouth, of length 1."""
    eyes = np.mean([points[list(eye)].mean(axis=0) for eye in layout.eyes], axis=0)
    line = points[list(layout.mouth)].mean(axis=0) - eyes
    length = math.hypot(*line)
    return np.array((0.0, 1.0)) if length < _SHORTEST_PX else np.asarray(line / length)


def _box(
    points: NDArray[np.float64], right: NDArray[np.float64], down: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Middle and longer side of the upright face's box."""
    upright = points @ np.stack((right, down), axis=1)
    low, high = upright.min(axis=0), upright.max(axis=0)
    x, y = (low + high) / 2
    return right * x + down * y, float((high - low).max())
