"""How far the eyes of a portrait are open, and where they look: what the motion is conditioned on.

Source: formulas and points of the published implementation (goldens 11); the points are numbered
as in MediaPipe's face mesh.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.crop import Points
from deployments.avatar.ditto.vector import FloatArray

N_SKIN = 468  # points of the mesh; those of the irises follow, where they are known
_LIDS = (
    ((145, 159), (144, 160), (153, 158)),
    ((374, 386), (373, 387), (380, 385)),
)  # below and above, of the left and of the right eye as the picture shows them
_CORNERS = ((33, 133), (263, 362))  # outer, inner
_IRISES = (468, 473)  # their middles
_TINY = 1e-8


def eye_state(points: Points) -> tuple[FloatArray, FloatArray]:
    """How far the eyes are open (2,), in their widths, and where they look (6,): left and right of
    x, then of y, then of z.

    ``points``: (478, 2 or 3) in sides of the face's square; without a depth it is 0 everywhere,
    and of eyes whose irises are unknown, (468, 2 or 3), it is taken that they look ahead.
    """
    known = np.zeros((len(points), 3))
    known[:, : points.shape[1]] = points
    opens = [_open(known, lids, ends) for lids, ends in zip(_LIDS, _CORNERS, strict=True)]
    if len(points) == N_SKIN:
        return np.array(opens, np.float32), np.zeros(6, np.float32)
    looks = [_look(known, iris, ends) for iris, ends in zip(_IRISES, _CORNERS, strict=True)]
    return np.array(opens, np.float32), np.stack(looks, axis=1).reshape(6).astype(np.float32)


def _open(points: NDArray[Any], lids: tuple[tuple[int, int], ...], ends: tuple[int, int]) -> float:
    heights = sum(_length(points[below] - points[above]) for below, above in lids)
    return heights / (_length(points[ends[0]] - points[ends[1]]) + _TINY)


def _look(points: NDArray[Any], iris: int, ends: tuple[int, int]) -> NDArray[Any]:
    """(3,): as far as the iris is from the eye's middle, in its direction less the eye's own."""
    outer, inner = points[list(ends)]
    away = points[iris] - (outer + inner) / 2
    across = outer - inner
    direction = away / (_length(away) + _TINY) - across / (_length(across) + _TINY)
    return np.asarray(direction * _length(away))


def _length(line: NDArray[Any]) -> float:
    return float(np.linalg.norm(line))
