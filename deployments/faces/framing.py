"""A face in its frame: head and shoulders, as the built-in faces are shown."""

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.faces.regions import Points
from deployments.types import Frame

_OVAL = (10, 152, 234, 454)  # top of the forehead, chin, both cheeks
_FACE_WIDTH, _FACE_HEIGHT = 0.46, 0.38  # of the frame's; whichever asks for more room decides
_MIDDLE = 0.46  # how far down the frame the face's middle lies
_TIGHTEST = 0.62  # a picture that shows so little around the face is continued beyond its edge
_FINEST = 2.0  # more pixels than so many for each of the frame help no engine
_SOFT = 0.04  # of the frame's width: how blurred the continuation is


def framed(
    picture: Frame, landmarks: NDArray[np.float32], width_px: int, height_px: int
) -> tuple[Frame, NDArray[np.float32]]:
    """The picture cut to the proportions of ``width_px`` by ``height_px`` around its face, and the
    landmarks in it. It is neither enlarged nor more than twice that size.
    """
    points = landmarks.astype(np.float64)
    x, y, width = _place(picture, points, width_px / height_px)
    height = width * height_px / width_px
    cut = _cut(picture, round(x), round(y), round(width), round(height))
    share = min(1.0, _FINEST * width_px / cut.shape[1])
    if share < 1:
        size = round(_FINEST * width_px), round(_FINEST * height_px)
        cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA))
    moved = (points - (round(x), round(y)) + 0.5) * share - 0.5
    return cut, moved.astype(np.float32)


def _place(picture: Frame, points: Points, proportion: float) -> tuple[float, float, float]:
    """Left, top and width of the frame in the picture's pixels."""
    rows, cols = picture.shape[:2]
    oval = points[list(_OVAL)]
    face = oval.max(axis=0) - oval.min(axis=0)
    middle = (oval.max(axis=0) + oval.min(axis=0)) / 2
    wanted = max(face[0] / _FACE_WIDTH, face[1] / _FACE_HEIGHT * proportion)
    room = min(cols, rows * proportion)
    width = min(wanted, max(room, _TIGHTEST * wanted))
    height = width / proportion
    x = _within(middle[0] - width / 2, width, cols)
    y = _within(middle[1] - _MIDDLE * height, height, rows)
    return x, y, width


def _within(start: float, length: float, whole: int) -> float:
    """Moved into the picture, if it fits there; else in its middle as far as it goes."""
    return min(max(start, 0.0), whole - length) if length <= whole else start


def _cut(picture: Frame, x: int, y: int, width: int, height: int) -> Frame:
    """The part of the picture, continued beyond its edges by colours that fade into a blur."""
    rows, cols = picture.shape[:2]
    missing = (max(0, -y), max(0, y + height - rows), max(0, -x), max(0, x + width - cols))
    inside = picture[max(0, y) : y + height, max(0, x) : x + width]
    if not any(missing):
        return np.ascontiguousarray(inside)
    whole = np.asarray(cv2.copyMakeBorder(inside, *missing, borderType=cv2.BORDER_REPLICATE))
    soft: Frame = np.asarray(
        cv2.GaussianBlur(whole, (0, 0), max(1.0, _SOFT * width)), dtype=np.uint8
    )
    top, left = missing[0], missing[2]
    soft[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return soft
