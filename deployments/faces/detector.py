"""Faces as boxes: BlazeFace's short-range network, over the whole picture and over parts of it.

Source: V. Bazarevsky et al., "BlazeFace" (2019), sections 3 and 4; anchors, scales and the order
of the outputs as in MediaPipe's graph for this network (Apache-2.0).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.faces.weights import DETECTOR, read
from deployments.types import Frame

_SIDE = 128
_LAYERS = ((16, 2), (8, 6))  # cells a side, and anchors in each
_LEAST_SCORE = 0.5
_OVERLAP = 0.3  # of two boxes that are one face
# In the whole picture a face has to be a tenth of it to be found; each level of parts halves that.
_SHARES = (1.0, 0.5)
_LAST_SHARE = 0.25  # looked at where nothing else was found: fifty parts take 0.2 s


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """``box``: left, top, right, bottom in pixels. ``eyes``: (2, 2) from left to right as the
    picture shows them."""

    score: float
    box: NDArray[np.float64]
    eyes: NDArray[np.float64]


class FaceDetector:
    """Not to be shared between threads.

    Raises:
        EngineLoadError: the network is not installed.
    """

    def __init__(self) -> None:
        self._net = cv2.dnn.readNetFromTFLite(np.frombuffer(read(DETECTOR), np.uint8))
        self._anchors = _anchors()

    def detect(self, picture: Frame) -> list[Detection]:
        """All that looks like a face, each once, the surest first; (height, width, 3) BGR."""
        found = [one for share in _SHARES for one in self._at(picture, share)]
        return _each_once(found or list(self._at(picture, _LAST_SHARE)))

    def _at(self, picture: Frame, share: float) -> Iterator[Detection]:
        """What is found in squares whose side is ``share`` of the picture's longer one."""
        height, width = picture.shape[:2]
        scale = _SIDE / (share * max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        for x, y in _corners(*size):
            part = np.zeros((_SIDE, _SIDE, 3), np.uint8)
            seen = small[y : y + _SIDE, x : x + _SIDE]
            part[: seen.shape[0], : seen.shape[1]] = seen
            yield from self._in_part(part, np.array((x, y)), scale)

    def _in_part(self, part: Frame, corner: NDArray[np.int64], scale: float) -> Iterator[Detection]:
        self._net.setInput(cv2.dnn.blobFromImage(part, 1 / 127.5, mean=(127.5,) * 3, swapRB=True))
        outputs = self._net.forward(self._net.getUnconnectedOutLayersNames())
        values, logits = sorted(
            (np.asarray(output).reshape(len(self._anchors), -1) for output in outputs),
            key=lambda output: -output.shape[1],
        )
        scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -50, 50)))
        for i in np.flatnonzero(scores >= _LEAST_SCORE):
            points = values[i].reshape(-1, 2).astype(np.float64)
            middle = self._anchors[i] + points[0]
            box = np.concatenate([middle - points[1] / 2, middle + points[1] / 2])
            eyes = self._anchors[i] + points[2:4]
            yield Detection(
                float(scores[i]),
                (box + np.tile(corner, 2)) / scale,
                (eyes + corner) / scale,
            )


def _anchors() -> NDArray[np.float64]:
    """(896, 2) centres in pixels of the network's input, in the order of its outputs."""
    rows = []
    for cells, n_each in _LAYERS:
        middles = (np.arange(cells) + 0.5) * (_SIDE / cells)
        grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        rows.append(np.repeat(grid, n_each, axis=0))
    return np.concatenate(rows)


def _corners(width: int, height: int) -> list[tuple[int, int]]:
    """Upper left corners of squares that cover the picture, each overlapping the next by half."""

    def starts(length: int) -> list[int]:
        n = 1 + max(0, math.ceil((length - _SIDE) / (_SIDE / 2)))
        return [round(i * (length - _SIDE) / max(n - 1, 1)) for i in range(n)] if n > 1 else [0]

    return [(x, y) for y in starts(height) for x in starts(width)]


def _each_once(found: list[Detection]) -> list[Detection]:
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.score):
        if all(_overlap(one.box, other.box) < _OVERLAP for other in kept):
            kept.append(one)
    return kept


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The share of the smaller box that lies in the other."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.clip(sides, 0, None)))
    return shared / max(min(_area(a), _area(b)), 1e-9)


def _area(box: NDArray[np.float64]) -> float:
    return float(np.prod(np.clip(box[2:] - box[:2], 0, None)))
