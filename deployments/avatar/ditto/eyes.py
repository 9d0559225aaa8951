"""How far the eyes of a portrait are open, and where they look: what the motion is conditioned on.

Source: formulas and points of the published implementation (goldens 11); the points are numbered
as in MediaPipe's face mesh.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.crop import Points
from deployments.avatar.ditto.vector import FloatArray

N_SKIN, N_IRISES = 468, 10  # points of the mesh; those of the irises follow where they are known
_LIDS = (
    ((145, 159), (144, 160), (153, 158)),
    ((374, 386), (373, 387), (380, 385)),
)  # below and above, of the left and of the right eye as the picture shows them
_CORNERS = ((33, 133), (263, 362))  # outer, inner
_IRISES = (468, 473)  # their middles
# How far behind the rest of an eye its outer corner lies, in sides of the face's square, where no
# depth is known. MediaPipe's mesh says 0.014 to 0.020 of two photographs and the painted portrait;
# with it, where they look is within 0.002 of what its own depths give, and without 0.011 off.
# How far they are open is within 2 % without it (2026-11-21).
_OUTER_DEPTH = 0.016
_TINY = 1e-8


def eye_state(points: Points) -> tuple[FloatArray, FloatArray]:
    """How far the eyes are open (2,), in their widths, and where they look (6,): left and right of
    x, then of y, then of z.

    ``points``, in sides of the face's square: (478, 3); or (478, 2) without depth; or (468, 2),
    of eyes that are then taken to look ahead.
    """
    opens = [_open(points, lids, ends) for lids, ends in zip(_LIDS, _CORNERS, strict=True)]
    whole = _deepened(points) if points.shape[1] == 2 else points
    looks = [_look(whole, iris, ends) for iris, ends in zip(_IRISES, _CORNERS, strict=True)]
    return np.array(opens, np.float32), np.stack(looks, axis=1).reshape(6).astype(np.float32)


def _deepened(points: Points) -> Points:
    """(478, 3) of (478, 2) or (468, 2), as far as it matters to where the eyes look."""
    whole = np.zeros((N_SKIN + N_IRISES, 3))
    whole[: len(points), :2] = points
    for iris, (outer, inner) in zip(_IRISES, _CORNERS, strict=True):
        whole[outer, 2] = _OUTER_DEPTH
        if len(points) == N_SKIN:
            whole[iris, :2] = (points[outer] + points[inner]) / 2
    return whole


def _open(points: NDArray[Any], lids: tuple[tuple[int, int], ...], ends: tuple[int, int]) -> float:
    heights = sum(_length(points[below] - points[above]) for below, above in lids)
    return heights / (_length(points[ends[0]] - points[ends[1]]) + _TINY)


def _look(points: Points, iris: int, ends: tuple[int, int]) -> NDArray[Any]:
    """(3,): as far as the iris is from the eye's middle, in its direction less the eye's own."""
    outer, inner = points[list(ends)]
    away = points[iris] - (outer + inner) / 2
    across = outer - inner
    direction = away / (_length(away) + _TINY) - across / (_length(across) + _TINY)
    return np.asarray(direction * _length(away))


def _length(line: NDArray[Any]) -> float:
    return float(np.linalg.norm(line))
