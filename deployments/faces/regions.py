"""Turned squares of a picture, cut out for a network and back again."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.types import Frame

Points = NDArray[np.float64]  # (n, 2) pixels


@dataclass(frozen=True, slots=True)
class Region:
    """A square with its centre at ``x, y`` and sides of ``size``, in pixels; ``angle`` in radians,
    clockwise as the picture is seen."""

    x: float
    y: float
    size: float
    angle: float = 0.0

    def cut(self, picture: Frame, side: int, *, mirrored: bool = False) -> Frame:
        """(side, side, 3): what lies in it; black beyond the picture."""
        picture, region = self._shrunk_for(picture, side)
        matrix = cv2.invertAffineTransform(region._to_picture(side, mirrored=mirrored))
        found: Frame = np.asarray(cv2.warpAffine(picture, matrix, (side, side)), dtype=np.uint8)
        return found

    def place(self, points: Points, side: int, *, mirrored: bool = False) -> Points:
        """Points (n, 2) of the cut square as points of the picture."""
        matrix = self._to_picture(side, mirrored=mirrored)
        placed: Points = points @ matrix[:, :2].T + matrix[:, 2]
        return placed

    def _to_picture(self, side: int, *, mirrored: bool) -> NDArray[np.float64]:
        """(2, 3) from pixels of the cut square to pixels of the picture."""
        scale = self.size / side
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        flip = -1.0 if mirrored else 1.0
        turn = np.array([[cos * flip, -sin], [sin * flip, cos]])
        middle = (side - 1) / 2
        shift = np.array((self.x, self.y)) - turn @ (middle, middle)
        return np.column_stack([turn, shift])

    def _shrunk_for(self, picture: Frame, side: int) -> "tuple[Frame, Region]":
        """Both, made smaller first where the square would be read with gaps between its pixels."""
        share = 2 * side / self.size
        if share >= 1:
            return picture, self
        height, width = picture.shape[:2]
        size = max(1, round(width * share)), max(1, round(height * share))
        small: Frame = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        by_x, by_y = size[0] / width, size[1] / height
        x, y = (self.x + 0.5) * by_x - 0.5, (self.y + 0.5) * by_y - 0.5
        return small, Region(x, y, self.size * by_x, self.angle)


def around(points: Points, start: Points, end: Points, margin: float) -> Region:
    """The square around ``points``, level with the line from ``start`` to ``end``, ``margin``
    times as large as they need."""
    angle = math.atan2(end[1] - start[1], end[0] - start[0])
    cos, sin = math.cos(angle), math.sin(angle)
    level = points @ np.array([[cos, -sin], [sin, cos]])
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = np.array([[cos, -sin], [sin, cos]]) @ ((low + high) / 2)
    return Region(float(x), float(y), float((high - low).max()) * margin, angle)
