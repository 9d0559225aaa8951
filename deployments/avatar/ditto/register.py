"""From a photograph to what the networks need of it: its face's square and the state of its eyes.

``MeshRegistrar`` goes by MediaPipe's landmarks, which whoever adds a picture has found already;
``PublishedRegistrar`` finds its own, as the published code does.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.crop import (
    MESH,
    POINTS_106,
    POINTS_203,
    CropSettings,
    Layout,
    cut,
    inverted,
    placed,
    to_crop,
)
from deployments.avatar.ditto.detectors import Detectors
from deployments.avatar.ditto.detectors.blaze_face import find_face
from deployments.avatar.ditto.detectors.boxes import areas
from deployments.avatar.ditto.detectors.face_mesh import find_mesh
from deployments.avatar.ditto.detectors.points import find_106, find_203
from deployments.avatar.ditto.detectors.scrfd import find_faces
from deployments.avatar.ditto.eyes import N_IRISES, N_SKIN, eye_state
from deployments.avatar.ditto.runtime import FACE_SIDE_PX, INPUT_SIDE_PX
from deployments.avatar.ditto.vector import FloatArray
from deployments.errors import EngineInputError
from deployments.faces import FaceFinder, refusals
from deployments.types import Frame

LEAST_EYES_PX = 48.0
"""Between the outer corners: a face so small is enlarged three times in its square."""
PUBLISHED_CROP = CropSettings()
_CORNERS_203 = ((0, 12), (24, 36))
_CHIN_AND_CHEEKS, _LEAST_SPREAD_PX = (152, 234, 454), 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """``picture``: as it was given or, if it lay on its side, upright; all is of this one.
    ``crop``: (512, 512, 3) uint8 RGB. ``to_picture``: (3, 3) from pixels of the crop to those of
    the picture. ``eye_open`` (2,), ``eye_ball`` (6,): see ``eyes``. ``points`` (n, 2): pixels of
    the picture that the crop was made from; ``mesh`` (n, 2): those of MediaPipe's face mesh."""

    picture: Frame
    crop: NDArray[np.uint8]
    to_picture: FloatArray
    eye_open: FloatArray
    eye_ball: FloatArray
    points: FloatArray
    mesh: FloatArray


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
        both irises; where they are ``None`` they are found, however the picture lies.

        Raises:
            UnusableInputError: they had to be found: ``no_face``, ``many_faces`` or ``too_small``.
            EngineLoadError: they have to be found, and what finds them is not installed.
            EngineInputError: landmarks of another kind, or not of this picture.
        """
        if landmarks is None:
            picture, points = self._found(picture)
        else:
            points = _checked(landmarks, picture)
        crop, matrix = _square(picture, points, MESH, self._settings)
        eye_open, eye_ball = eye_state(placed(points, matrix) / FACE_SIDE_PX)
        return Registration(picture, crop, inverted(matrix), eye_open, eye_ball, points, points)

    def _found(self, picture: Frame) -> tuple[Frame, FloatArray]:
        """The picture upright and (478, 2) pixels of it."""
        if self._finder is None:
            self._finder = FaceFinder()
        upright, face = self._finder.find(picture, self._least_px)
        return upright, face.landmarks


class PublishedRegistrar:
    """Goes by the published detectors. ``rival``: a second face at least so large, compared with
    the largest, is one too many."""

    def __init__(
        self,
        detectors: Detectors,
        settings: CropSettings = PUBLISHED_CROP,
        least_eyes_px: float = LEAST_EYES_PX,
        rival: float = 0.5,
    ) -> None:
        self._nets, self._settings = detectors, settings
        self._least_px, self._rival = least_eyes_px, rival

    def register(self, picture: Frame, landmarks: NDArray[np.float32] | None) -> Registration:
        """Of a (height, width, 3) BGR picture; ``landmarks`` are of no use here.

        Raises:
            UnusableInputError: ``no_face``, ``many_faces`` or ``too_small``.
        """
        found = find_106(self._nets.landmark106, picture, self._only_face(picture))
        return self._registered(picture, found, POINTS_106)

    def follow(self, picture: Frame, points: FloatArray) -> Registration:
        """Of the next picture of a film; ``points``: those of the one before.

        Raises:
            UnusableInputError: ``no_face`` or ``too_small``.
        """
        return self._registered(picture, points, POINTS_203)

    def _only_face(self, picture: Frame) -> FloatArray:
        found = find_faces(self._nets.detector, picture)
        if not len(found):
            raise refusals.no_face()
        sizes = np.sqrt(areas(found))
        if (sizes >= self._rival * sizes.max()).sum() > 1:
            raise refusals.many_faces()
        return np.asarray(found[sizes.argmax()])

    def _registered(self, picture: Frame, near: FloatArray, layout: Layout) -> Registration:
        """``near``: about where the face is, as points of this ``layout``."""
        points = find_203(self._nets.landmark203, picture, near, layout)
        if (eyes_px := _widest(points)) < self._least_px:
            raise refusals.too_small(eyes_px, self._least_px)
        crop, matrix = _square(picture, points, POINTS_203, self._settings)
        if (face := find_face(self._nets.blaze_face, crop)) is None:
            raise refusals.no_face()
        mesh, to_picture = find_mesh(self._nets.face_mesh, crop, face), inverted(matrix)
        eye_open, eye_ball = eye_state(mesh)
        there = placed(mesh * FACE_SIDE_PX, to_picture)
        return Registration(picture, crop, to_picture, eye_open, eye_ball, points, there)


def _checked(landmarks: NDArray[np.float32], picture: Frame) -> FloatArray:
    """Landmarks of a face that is to be seen, at least a part of it."""
    if landmarks.shape not in ((N_SKIN, 2), (N_SKIN + N_IRISES, 2)):
        raise _foreign(f"of a shape that no face mesh has: {landmarks.shape}")
    if not np.isfinite(landmarks).all():
        raise _foreign("that are no numbers")
    if np.ptp(landmarks[list(_CHIN_AND_CHEEKS)], axis=0).min() < _LEAST_SPREAD_PX:
        raise _foreign("that all lie in one place")
    size = picture.shape[1], picture.shape[0]
    if (landmarks.max(axis=0) < 0).any() or (landmarks.min(axis=0) > size).any():
        raise _foreign("beside the picture")
    return landmarks


def _foreign(text: str) -> EngineInputError:
    return EngineInputError(f"landmarks {text}", stage="avatar")


def _square(
    picture: Frame, points: FloatArray, layout: Layout, settings: CropSettings
) -> tuple[NDArray[np.uint8], FloatArray]:
    """The RGB square of a BGR picture, and the way from the picture to it."""
    matrix = to_crop(points, layout, settings, FACE_SIDE_PX)
    crop = cut(picture, matrix, FACE_SIDE_PX)[..., ::-1]
    return np.ascontiguousarray(crop), matrix


def _widest(points: FloatArray) -> float:
    """Pixels between the outer corners of both eyes, of 203 points."""
    left, right = points[list(_CORNERS_203[0])], points[list(_CORNERS_203[1])]
    return float(np.linalg.norm(left[:, None] - right, axis=-1).max())
