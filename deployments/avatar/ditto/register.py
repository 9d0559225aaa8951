"""From a photograph to what the networks need of it: its face's square and the state of its eyes.

``MeshRegistrar`` goes by MediaPipe's landmarks, which whoever adds a picture has found already.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.crop import MESH, CropSettings, cut, inverted, placed, to_crop
from deployments.avatar.ditto.eyes import N_IRISES, N_SKIN, eye_state
from deployments.avatar.ditto.runtime import FACE_SIDE_PX, INPUT_SIDE_PX
from deployments.avatar.ditto.vector import FloatArray
from deployments.errors import EngineInputError
from deployments.faces import FaceFinder
from deployments.types import Frame

LEAST_EYES_PX = 48.0
"""Between the outer corners: a face so small is enlarged five times to fill its square."""
PUBLISHED_CROP = CropSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """``crop``: (512, 512, 3) uint8 RGB. ``to_picture``: (3, 3) from pixels of the crop to those
    of the picture. ``eye_open`` (2,), ``eye_ball`` (6,): see ``eyes``. ``points`` (n, 2): pixels
    of the picture that the crop was made from."""

    crop: NDArray[np.uint8]
    to_picture: FloatArray
    eye_open: FloatArray
    eye_ball: FloatArray
    points: FloatArray


def network_input(crop: NDArray[np.uint8]) -> FloatArray:
    """What the extractors see of a crop (512, 512, 3): (3, 256, 256), from 0 to 1."""
    small = cv2.resize(crop, (INPUT_SIDE_PX, INPUT_SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1), np.float32) / np.float32(255)


class MeshRegistrar:
    """Goes by the points of MediaPipe's face mesh. Not to be shared between threads."""

    def __init__(
        self, settings: CropSettings = PUBLISHED_CROP, least_eyes_px: float = LEAST_EYES_PX
    ) -> None:
        self._settings, self._least_px = settings, least_eyes_px
        self._finder: FaceFinder | None = None

    def register(self, picture: Frame, landmarks: NDArray[np.float32] | None) -> Registration:
        """Of a (height, width, 3) BGR picture. ``landmarks``: (468, 2) pixels, or (478, 2) with
        both irises; where they are ``None`` they are found.

        Raises:
            UnusableInputError: they had to be found: ``no_face``, ``many_faces`` or ``too_small``.
            EngineLoadError: they have to be found, and what finds them is not installed.
            EngineInputError: landmarks of another kind.
        """
        points = self._found(picture) if landmarks is None else landmarks
        if points.shape not in ((N_SKIN, 2), (N_SKIN + N_IRISES, 2)):
            text = f"landmarks of a shape that no face mesh has: {points.shape}"
            raise EngineInputError(text, stage="avatar")
        matrix = to_crop(points, MESH, self._settings, FACE_SIDE_PX)
        eye_open, eye_ball = eye_state(placed(points, matrix) / FACE_SIDE_PX)
        crop = cut(picture, matrix, FACE_SIDE_PX)[..., ::-1]
        return Registration(
            np.ascontiguousarray(crop), inverted(matrix), eye_open, eye_ball, points
        )

    def _found(self, picture: Frame) -> FloatArray:
        """(478, 2) pixels of the picture, however it lies."""
        if self._finder is None:
            self._finder = FaceFinder()
        upright, face = self._finder.find(picture, self._least_px)
        return face.landmarks if upright is picture else _lying(face.landmarks, upright, picture)


def _lying(points: FloatArray, upright: Frame, picture: Frame) -> FloatArray:
    """Points of the ``upright`` picture as points of ``picture``, of which it is some quarters."""
    n = next(n for n in (1, 2, 3) if np.array_equal(np.rot90(picture, n), upright))
    for k in reversed(range(n)):
        width = np.rot90(picture, k).shape[1]
        points = np.stack((width - 1 - points[:, 1], points[:, 0]), axis=1)
    return points
