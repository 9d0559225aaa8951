"""Faces in a picture, as boxes: InsightFace's SCRFD.

Source: Guo et al., "Sample and Computation Redistribution for Efficient Face Detection",
arXiv 2105.04714; sizes, thresholds and the order of the colours as in the published
implementation (goldens 18).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.detectors.boxes import overlaps
from deployments.avatar.ditto.detectors.nets import Net
from deployments.avatar.ditto.vector import FloatArray
from deployments.types import Frame

_SIDE = 512
_STRIDES, _N_ANCHORS = (8, 16, 32), 2
_LEAST_SCORE, _MOST_OVERLAP = 0.5, 0.4


def find_faces(net: Net, picture: Frame) -> FloatArray:
    """(n, 5): left, top, right, bottom in pixels of a (height, width, 3) BGR picture, and how
    surely it is a face; the surest first."""
    seen, scale = _input(picture)
    outputs = net(seen)
    found = np.concatenate(
        [
            _at_stride(outputs[i].reshape(-1), outputs[i + len(_STRIDES)].reshape(-1, 4), stride)
            for i, stride in enumerate(_STRIDES)
        ]
    )
    found[:, :4] /= scale
    return _each_once(found[np.argsort(-found[:, 4], kind="stable")])


def _input(picture: Frame) -> tuple[FloatArray, float]:
    """(1, 3, 512, 512): the picture in the upper left corner of a black square, and its scale.

    The colours stay blue, green, red, as the published code has them here.
    """
    height, width = picture.shape[:2]
    ratio = height / width
    size = (int(_SIDE / ratio), _SIDE) if ratio > 1 else (_SIDE, int(_SIDE * ratio))
    square = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    square[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
    seen = (square.astype(np.float32) - 127.5) / 128
    return np.ascontiguousarray(seen.transpose(2, 0, 1)[None]), size[1] / height


def _at_stride(scores: FloatArray, sides: FloatArray, stride: int) -> FloatArray:
    """(n, 5) of what is found in cells of one size; ``sides`` (n, 4): how far it is from a cell's
    corner to each side of its box, in cells."""
    kept = np.flatnonzero(scores >= _LEAST_SCORE)
    cells = _SIDE // stride
    cell = kept // _N_ANCHORS
    corner = np.stack((cell % cells, cell // cells), axis=1) * stride
    away = sides[kept] * stride
    return np.concatenate(
        (corner - away[:, :2], corner + away[:, 2:], scores[kept, None]), axis=1, dtype=np.float32
    )


def _each_once(found: FloatArray) -> FloatArray:
    """Without those that a surer one covers; the surest come first."""
    kept: list[NDArray[np.float32]] = []
    while len(found):
        best, found = found[0], found[1:]
        kept.append(best)
        found = found[overlaps(best, found, pixel=1.0) <= _MOST_OVERLAP]
    return np.stack(kept) if kept else np.zeros((0, 5), np.float32)
