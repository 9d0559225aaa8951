"""The one face of a portrait."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.faces import refusals
from deployments.faces.detector import FaceDetector
from deployments.faces.mesh import LEFT_EYE, RIGHT_EYE, FaceMesh
from deployments.types import Frame

_LEAST_PRESENCE = 0.5  # as in MediaPipe's own graph
_RIVAL = 0.4  # a face so large beside the largest is no passer-by in the background
_CHEEKS, _NOSE_TIP = (234, 454), 1
_MOST_TILTED = math.radians(25)  # the mouth still opens as it should, to our eyes
_MOST_TURNED = 3.0  # times as far from the nose to one cheek as to the other


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """``landmarks``: (478, 2) float32 pixels, as ``PortraitSource`` wants them."""

    landmarks: NDArray[np.float32]

    @property
    def width_px(self) -> float:
        """From cheek to cheek."""
        return _distance(self.landmarks, *_CHEEKS)

    @property
    def eyes_px(self) -> float:
        """Between the outer corners of both eyes."""
        return _distance(self.landmarks, LEFT_EYE[0], RIGHT_EYE[1])

    @property
    def roll(self) -> float:
        """Radians that the eyes' line is turned, clockwise."""
        x, y = self.landmarks[RIGHT_EYE[1]] - self.landmarks[LEFT_EYE[0]]
        return math.atan2(float(y), float(x))

    @property
    def is_turned_away(self) -> bool:
        sides = [_distance(self.landmarks, _NOSE_TIP, cheek) for cheek in _CHEEKS]
        return max(sides) > _MOST_TURNED * min(sides)


class FaceFinder:
    """Blocks; not to be shared between threads. Takes 0.1 s for a picture.

    Raises:
        EngineLoadError: the networks are not installed.
    """

    def __init__(self) -> None:
        self._detector, self._mesh = FaceDetector(), FaceMesh()

    def faces(self, picture: Frame) -> list[Face]:
        """All faces of a (height, width, 3) BGR picture, the largest first."""
        read = [self._mesh.read(picture, one) for one in self._detector.detect(picture)]
        found = [Face(p.astype(np.float32)) for p, presence in read if presence > _LEAST_PRESENCE]
        return sorted(found, key=lambda face: -face.width_px)

    def find(self, picture: Frame, least_eyes_px: float) -> tuple[Frame, Face]:
        """The picture, turned upright by quarters if it was not, and its only face, which looks
        into the camera and has its eyes at least so far apart.

        Raises:
            UnusableInputError: ``no_face``, ``many_faces`` or ``too_small``; says what to do.
        """
        face = self._only(picture, least_eyes_px)
        if n_quarters := round(face.roll / (math.pi / 2)):
            picture = np.ascontiguousarray(np.rot90(picture, n_quarters))
            face = self._only(picture, least_eyes_px)
        if face.is_turned_away or abs(face.roll) > _MOST_TILTED:
            raise refusals.turned_away()
        return picture, face

    def _only(self, picture: Frame, least_eyes_px: float) -> Face:
        faces = self.faces(picture)
        if not faces:
            raise refusals.no_face()
        face, *others = faces
        if any(other.width_px > _RIVAL * face.width_px for other in others):
            raise refusals.many_faces()
        if face.eyes_px < least_eyes_px:
            raise refusals.too_small(face.eyes_px, least_eyes_px)
        return face


def _distance(landmarks: NDArray[np.float32], a: int, b: int) -> float:
    return float(np.linalg.norm(landmarks[a] - landmarks[b]))
