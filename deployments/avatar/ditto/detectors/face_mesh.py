"""The 478 points of a face in its square: MediaPipe's FaceMesh, which looks where BlazeFace says.

Source: Y. Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video" (2019);
margins and the way back as in the published implementation (goldens 18).
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.detectors.blaze_face import RoughFace
from deployments.avatar.ditto.detectors.nets import Net
from deployments.avatar.ditto.vector import FloatArray

N_POINTS = 478
_SIDE, _MARGIN = 256, 1.5


def find_mesh(net: Net, crop: NDArray[np.uint8], face: RoughFace) -> FloatArray:
    """(478, 3) in sides of the RGB square, (side, side, 3); the third is how far behind."""
    width = crop.shape[0]
    low, high = face.box.reshape(2, 2) * width
    middle, size = (low + high) / 2, float((high - low).max()) * _MARGIN
    turn = _turn(face)
    points = net(_seen(crop, middle, size, turn))[0].reshape(N_POINTS, 3).astype(np.float64)
    points /= _SIDE
    places = (points[:, :2] - 0.5) @ turn * size + middle
    return np.column_stack((places, points[:, 2] * size)).astype(np.float32) / np.float32(width)


def _turn(face: RoughFace) -> NDArray[np.float64]:
    """(2, 2) from (x, y) of the face as if its eyes were level to (x, y) as it is; row vectors."""
    across = face.points[1] - face.points[0]
    angle = math.atan2(across[1], across[0])
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, sin], [-sin, cos]])


def _seen(
    crop: NDArray[np.uint8], middle: NDArray[np.float64], size: float, turn: NDArray[np.float64]
) -> FloatArray:
    """(1, 256, 256, 3): the turned square around ``middle``, from 0 to 1."""
    corners = (np.array(((0, 0), (1, 0), (1, 1), (0, 1))) - 0.5) @ turn * size + middle
    target = np.array(((0, 0), (_SIDE, 0), (_SIDE, _SIDE), (0, _SIDE)), np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    seen = cv2.warpPerspective(crop, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR)
    return seen[None].astype(np.float32) / np.float32(255)
