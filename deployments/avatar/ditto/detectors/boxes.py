"""Boxes of faces, (n, 4): left, top, right, bottom."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]


def overlaps(box: Values, boxes: Values, pixel: float = 0.0) -> NDArray[np.float64]:
    """(n,): how much of ``box`` and each of ``boxes`` together is common to both.

    ``pixel``: 1 where a box includes the pixel that it ends at.
    """
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:4])
    common = np.prod(np.clip(high - low + pixel, 0, None), axis=1)
    whole = areas(box[None], pixel) + areas(boxes, pixel) - common
    return np.asarray(common / whole, np.float64)


def areas(boxes: Values, pixel: float = 0.0) -> NDArray[np.float64]:
    """(n,)"""
    sides = boxes[:, 2:4] - boxes[:, :2] + pixel
    return np.asarray(np.prod(sides, axis=1), np.float64)
