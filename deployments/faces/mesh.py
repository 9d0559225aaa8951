"""A face's landmarks: 468 points of its skin, and 5 of each iris.

Source: Y. Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video" (2019), and
A. Ablavatski et al., "Real-time Pupil Tracking from Monocular Video" (2020); sizes, margins and
the order of the points as in MediaPipe's graphs for these networks (Apache-2.0).
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.faces.detector import Detection
from deployments.faces.regions import Points, Region, around
from deployments.faces.weights import IRIS, MESH, read
from deployments.types import Frame

N_SKIN, N_IRIS = 468, 5
_MESH_SIDE, _IRIS_SIDE = 192, 64
_FACE_MARGIN, _EYE_MARGIN = 1.5, 2.3
# Outer and inner corner of each eye, from left to right as the picture shows them.
LEFT_EYE, RIGHT_EYE = (33, 133), (362, 263)


class FaceMesh:
    """Not to be shared between threads.

    Raises:
        EngineLoadError: the networks are not installed.
    """

    def __init__(self) -> None:
        self._mesh = cv2.dnn.readNetFromTFLite(np.frombuffer(read(MESH), np.uint8))
        self._iris = cv2.dnn.readNetFromTFLite(np.frombuffer(read(IRIS), np.uint8))

    def read(self, picture: Frame, detection: Detection) -> tuple[Points, float]:
        """(478, 2) pixels in MediaPipe's order, and 0..1 how surely it is a face at all."""
        skin, _ = self._skin(picture, _roughly(detection))
        # The box is rough; where the points lie, they are found again more exactly.
        region = around(skin, skin[LEFT_EYE[0]], skin[RIGHT_EYE[1]], _FACE_MARGIN)
        skin, presence = self._skin(picture, region)
        irises = self._one_iris(picture, skin, LEFT_EYE), self._one_iris(picture, skin, RIGHT_EYE)
        return np.concatenate([skin, *irises]), presence

    def _skin(self, picture: Frame, region: Region) -> tuple[Points, float]:
        outputs = _run(self._mesh, region.cut(picture, _MESH_SIDE))
        flag, points = sorted(outputs, key=len)
        places = points.reshape(N_SKIN, 3)[:, :2].astype(np.float64)
        presence = 1 / (1 + np.exp(-np.clip(float(flag[0]), -50, 50)))
        return region.place(places, _MESH_SIDE), float(presence)

    def _one_iris(self, picture: Frame, skin: Points, corners: tuple[int, int]) -> Points:
        """(5, 2): the middle, then the edge: right, above, left, below as the picture shows it.

        The network knows one of the two eyes; the other is shown to it in a mirror.
        """
        mirrored = corners == RIGHT_EYE
        ends = skin[list(corners)]
        region = around(ends, ends[0], ends[1], _EYE_MARGIN)
        cut = region.cut(picture, _IRIS_SIDE, mirrored=mirrored)
        points = min(_run(self._iris, cut), key=len).reshape(N_IRIS, 3)[:, :2]
        if mirrored:
            points = points[[0, 3, 2, 1, 4]]
        return region.place(points.astype(np.float64), _IRIS_SIDE, mirrored=mirrored)


def _roughly(detection: Detection) -> Region:
    """Where the whole face is, from its box."""
    low, high = detection.box.reshape(2, 2)
    x, y = (low + high) / 2
    across = detection.eyes[1] - detection.eyes[0]
    angle = math.atan2(float(across[1]), float(across[0]))
    return Region(float(x), float(y), float((high - low).max()) * _FACE_MARGIN, angle)


def _run(net: Any, cut: Frame) -> list[NDArray[np.float32]]:
    """The network's outputs, flat."""
    net.setInput(cv2.dnn.blobFromImage(cut, 1 / 255, swapRB=True))
    return [np.asarray(o).reshape(-1) for o in net.forward(net.getUnconnectedOutLayersNames())]
