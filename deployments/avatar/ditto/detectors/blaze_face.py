"""The face in its square, roughly: BlazeFace, whose box and eyes say where the mesh is to look.

Source: V. Bazarevsky et al., "BlazeFace" (2019); anchors, thresholds and the mean of overlapping
boxes as in the published implementation (goldens 18).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.detectors.boxes import overlaps
from deployments.avatar.ditto.detectors.nets import Net
from deployments.avatar.ditto.vector import FloatArray

_SIDE = 128
_LAYERS = ((16, 2), (8, 6))  # cells a side, and anchors in each
_LEAST_SCORE, _SAME_FACE = 0.5, 0.3


@dataclass(frozen=True, slots=True, eq=False)
class RoughFace:
    """``box`` (4,): left, top, right, bottom, ``points`` (6, 2): eyes from left to right, nose,
    mouth, ears; both in sides of the square. ``score``: 0..1."""

    box: NDArray[np.float64]
    points: NDArray[np.float64]
    score: float


def find_face(net: Net, crop: NDArray[np.uint8]) -> RoughFace | None:
    """The surest one in an RGB square, if there is any."""
    small = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    values, logits = net(small[None].astype(np.float32) / 127.5 - 1)
    odds = np.clip(logits.reshape(-1).astype(np.float64), -50, 50)
    scores = 1 / (1 + np.exp(-odds))
    kept = np.flatnonzero(scores >= _LEAST_SCORE)
    if not len(kept):
        return None
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return _mean(_rows(values.reshape(-1, 16), kept), scores[kept])


def _mean(rows: NDArray[np.float64], scores: NDArray[np.float64]) -> RoughFace:
    """The first and all that overlap it, as one."""
    same = overlaps(rows[0, :4], rows[:, :4]) > _SAME_FACE
    row = np.average(rows[same], axis=0, weights=scores[same])
    return RoughFace(row[:4], row[4:].reshape(6, 2), float(scores[same].mean()))


def _rows(values: FloatArray, kept: NDArray[np.intp]) -> NDArray[np.float64]:
    """(n, 16): left, top, right, bottom and six points, in sides of the square."""
    middles = _anchors()[kept]
    parts = values[kept].reshape(-1, 8, 2).astype(np.float64) / _SIDE
    middle, size = parts[:, 0] + middles, parts[:, 1]
    points = parts[:, 2:] + middles[:, None]
    box = np.concatenate((middle - size / 2, middle + size / 2), axis=1)
    return np.concatenate((box, points.reshape(-1, 12)), axis=1)


def _anchors() -> NDArray[np.float64]:
    """(896, 2): their middles, in sides of the square, in the order of the outputs."""
    layers = []
    for cells, n_each in _LAYERS:
        middles = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        layers.append(np.repeat(grid, n_each, axis=0))
    return np.concatenate(layers)
