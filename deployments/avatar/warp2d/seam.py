"""The line where the lips meet: the cut between what the jaw takes along and what it does not."""

import math

import numpy as np
from numpy.typing import NDArray

_SOFTEST_STEP_PX = 17.0  # how gradually the two halves of the face pass over on the cheeks


def below_seam(seam: NDArray[np.float64], width_px: int, first: int) -> NDArray[np.float32]:
    """(rows from ``first``, width) 0 above the seam (n, 2), 1 below; beyond the corners a soft
    step. It has so many rows as it takes to reach 1 everywhere.
    """
    x = np.arange(width_px, dtype=np.float64)
    y = np.interp(x, seam[:, 0], seam[:, 1])
    beyond = np.maximum(np.maximum(seam[0, 0] - x, x - seam[-1, 0]), 0)
    soft = 1 + np.minimum(beyond * 0.8, _SOFTEST_STEP_PX - 1)
    last = math.ceil(float(y.max()) + _SOFTEST_STEP_PX / 2)
    rows = np.arange(first, last, dtype=np.float32)[:, None]
    step = (rows - y.astype(np.float32)) / soft.astype(np.float32) + np.float32(0.5)
    weight: NDArray[np.float32] = np.clip(step, 0, 1).astype(np.float32, copy=False)
    return weight


def through(n: int, m: int) -> NDArray[np.float64]:
    """(m, n) matrix that takes n points to m points on the Catmull-Rom curve through them."""
    matrix = np.zeros((m, n))
    for row, at in enumerate(np.linspace(0, n - 1, m)):
        i = min(int(at), n - 2)
        t = at - i
        weights = (
            (-t + 2 * t**2 - t**3) / 2,
            (2 - 5 * t**2 + 3 * t**3) / 2,
            (t + 4 * t**2 - 3 * t**3) / 2,
            (-(t**2) + t**3) / 2,
        )
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            matrix[row, min(max(i + offset, 0), n - 1)] += weight
    return matrix
