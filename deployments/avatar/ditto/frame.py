"""The part of a picture that is shown: its face with head and shoulders, in the engine's frame."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.crop import cut, inverted, placed
from deployments.avatar.ditto.register import Registration
from deployments.avatar.ditto.runtime import FACE_SIDE_PX
from deployments.avatar.ditto.vector import FloatArray
from deployments.faces.framing import framed
from deployments.types import Frame

_SQUARE = np.array(((0, 0), (FACE_SIDE_PX, 0), (0, FACE_SIDE_PX)), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Framed:
    """``picture``: (height, width, 3) BGR. ``to_picture``: (3, 3), the way to it from the face's
    square. ``crop``: that square, (512, 512, 3) RGB; beyond the photograph's edges it goes on as
    the frame does, for what the networks see there is painted there."""

    picture: Frame
    to_picture: FloatArray
    crop: NDArray[np.uint8]


def in_frame(found: Registration, width_px: int, height_px: int) -> Framed:
    """The registered face as it is shown in such a frame."""
    corners = placed(_SQUARE, found.to_picture)
    part, points = framed(found.picture, np.vstack((found.mesh, corners)), width_px, height_px)
    corners = points[-len(_SQUARE) :]
    crop = _square(part, inverted(_way_to(corners)), found.crop)
    # A landmark is a place, counted from the middle of the first pixel.
    share = np.divide((width_px, height_px), part.shape[1::-1])
    corners = np.asarray((corners + 0.5) * share - 0.5, np.float32)
    way = cv2.INTER_AREA if share.min() < 1 else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(part, (width_px, height_px), interpolation=way), np.uint8)
    return Framed(picture, _way_to(corners), crop)


def _square(part: Frame, matrix: FloatArray, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The square of what is shown, and ``crop`` where it reaches beyond that."""
    inside = cut(np.full_like(part, 255), matrix, FACE_SIDE_PX) == 255
    return np.where(inside, cut(part, matrix, FACE_SIDE_PX)[..., ::-1], crop)


def _way_to(corners: FloatArray) -> FloatArray:
    """(3, 3) from the square's pixels to where its ``corners`` are."""
    matrix = cv2.getAffineTransform(_SQUARE, corners)
    return np.vstack((matrix, (0.0, 0.0, 1.0))).astype(np.float32)
