"""A painted face put back into its portrait.

Its square is warped into the picture, soft at the edges. Where it lies, and how soft, is the same
for every frame, so that is computed once; only the edges are blended, and the frame outside of the
square is the portrait as it is.

Source: width and shape of the soft edge as in the published implementation (goldens 13).
"""

from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.crop import placed
from deployments.avatar.ditto.runtime import FACE_SIDE_PX
from deployments.avatar.ditto.vector import FloatArray
from deployments.types import Frame

_EDGE_PX = 26  # of 512 on each side
Part: TypeAlias = tuple[slice, slice]
"""Rows and columns of a picture."""
PixelT = TypeVar("PixelT", np.uint8, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """A part in which face and portrait are blended: shares of each, (h, w) float32."""

    part: Part
    face: FloatArray
    portrait: FloatArray


class PastePlan:
    """Where the faces of one portrait go.

    ``to_picture``: (3, 3) from pixels of the face's square, which lies at least partly in the
    picture, to those of the picture. ``background``: (height, width, 3); it is kept, not copied.
    """

    def __init__(self, to_picture: FloatArray, background: Frame) -> None:
        self._background = background
        self._part = _around_square(to_picture, background)
        rows, columns = self._part
        self._size = columns.stop - columns.start, rows.stop - rows.start
        self._matrix = to_picture[:2].astype(np.float64)
        self._matrix[:, 2] -= (columns.start, rows.start)
        self._bands = _bands(np.clip(self._warped(soft_mask()), 0, 1))

    def paste(self, face: NDArray[np.uint8]) -> Frame:
        """The portrait, (height, width, 3), with ``face``, (512, 512, 3) in the same order of
        colours."""
        frame = self._background.copy()
        here, portrait = frame[self._part], self._background[self._part]
        painted = self._warped(face)
        here[:] = painted
        for band in self._bands:
            here[band.part] = cv2.blendLinear(
                painted[band.part], portrait[band.part], band.face, band.portrait
            )
        return frame

    def _warped(self, square: NDArray[PixelT]) -> NDArray[PixelT]:
        """The part of the picture that the square is warped to; black, or 0, around it."""
        warped = cv2.warpAffine(square, self._matrix, self._size)
        return np.asarray(warped, dtype=square.dtype)


def soft_mask() -> FloatArray:
    """(512, 512): 1, but at the edges falling to 0 with the distance to where it is 1."""
    ramp = np.linspace(1, 0, _EDGE_PX)
    away = np.pad(np.zeros(FACE_SIDE_PX - 2 * _EDGE_PX), _EDGE_PX)
    away[:_EDGE_PX], away[-_EDGE_PX:] = ramp, ramp[::-1]
    return np.asarray(1 - np.minimum(np.hypot(away[:, None], away), 1), np.float32)


def _around_square(to_picture: FloatArray, picture: Frame) -> Part:
    """The smallest part of the picture that the square lies in."""
    last = FACE_SIDE_PX - 1
    corners = placed(np.array(((0, 0), (last, 0), (0, last), (last, last)), np.float32), to_picture)
    left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int).tolist()
    right, bottom = (np.ceil(corners.max(axis=0)) + 1).astype(int).tolist()
    return slice(top, min(bottom, picture.shape[0])), slice(left, min(right, picture.shape[1]))


def _bands(mask: FloatArray) -> list[_Band]:
    """What is to be blended: all but a rectangle in the middle, in which the mask is 1."""
    height, width = mask.shape
    rows, columns = _solid(mask)
    parts = (
        (slice(0, rows.start), slice(0, width)),
        (slice(rows.stop, height), slice(0, width)),
        (rows, slice(0, columns.start)),
        (rows, slice(columns.stop, width)),
    )
    return [
        _Band(part, np.ascontiguousarray(mask[part]), np.ascontiguousarray(1 - mask[part]))
        for part in parts
        if mask[part].size
    ]


def _solid(mask: FloatArray) -> Part:
    """A rectangle in which the mask is 1: the whole, less the edge that lacks most as long as one
    lacks anything. As the square is convex, nothing is missing inside of solid edges."""
    soft = mask < 1
    (bottom, right), top, left = mask.shape, 0, 0
    while top < bottom and left < right:
        rows, columns = soft[top:bottom, left:right], soft[top:bottom, left:right].T
        lacking = [line.mean() for line in (rows[0], rows[-1], columns[0], columns[-1])]
        if not max(lacking):
            break
        worst = int(np.argmax(lacking))
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return slice(top, bottom), slice(left, right)
