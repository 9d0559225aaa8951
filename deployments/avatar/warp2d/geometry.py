"""The face's own measures, and how the landmarks of its lips lie in rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.warp2d import mesh

Points = NDArray[np.float64]  # (n, 2) pixels

_USUAL_LIFT = 0.08  # of the mouth's width: how much higher its corners are in the built-in face
_THICK = 0.08  # of the mouth's width: a lip that can be moved as the built-in face's are
_LEAST_THICK = 0.045  # thinner ones are taken to be so thick: their landmarks may even be crossed
_DEPTHS = (1.0, 0.66, 0.33, 0.0)  # of a lip's rows, from its outer edge to the seam

UPPER_ROWS = (mesh.LIP_UPPER_OUTER, *mesh.LIP_UPPER_ROWS, mesh.LIP_UPPER_INNER)
LOWER_ROWS = (mesh.LIP_LOWER_OUTER, *mesh.LIP_LOWER_ROWS, mesh.LIP_LOWER_INNER)


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """The face's own measures, in pixels of the output."""

    points: Points  # (468, 2)
    mouth: NDArray[np.float64]  # (2,) centre of the seam
    mouth_width: float
    chin: NDArray[np.float64]
    eye_distance: float
    centre: NDArray[np.float64]  # of the face's oval
    half: NDArray[np.float64]  # half width and half height of the oval
    seam: Points  # (11, 2) where the closed lips touch, corner to corner

    @property
    def drawn_up(self) -> float:
        """How much higher than is usual the corners of the mouth are, in pixels: it smiles."""
        corners = (self.seam[0, 1] + self.seam[-1, 1]) / 2
        lift = float(self.seam[len(self.seam) // 2, 1] - corners)
        return max(0.0, lift - _USUAL_LIFT * self.mouth_width)

    @staticmethod
    def of(points: Points) -> "Geometry":
        seam = (points[list(mesh.LIP_UPPER_INNER)] + points[list(mesh.LIP_LOWER_INNER)]) / 2
        corners = points[61], points[291]
        oval = points[list(mesh.OVAL)]
        eyes = [points[list(row)].mean(axis=0) for row in mesh.EYE_UPPER]
        return Geometry(
            points=points,
            mouth=seam.mean(axis=0),
            mouth_width=float(np.linalg.norm(corners[1] - corners[0])),
            chin=points[mesh.CHIN],
            eye_distance=float(np.linalg.norm(eyes[1] - eyes[0])),
            centre=(oval.min(axis=0) + oval.max(axis=0)) / 2,
            half=(oval.max(axis=0) - oval.min(axis=0)) / 2,
            seam=seam,
        )


def in_order(points: Points) -> Points:
    """The same landmarks (468, 2), but each row of a lip lies beyond the next one: in thin lips
    they are found on top of each other, and no picture can be moved both ways in one place."""
    face, ordered = Geometry.of(points), points.copy()
    for rows, sign in ((UPPER_ROWS, -1), (LOWER_ROWS, 1)):
        for depth, row in zip(_DEPTHS[:-1], rows[:-1], strict=True):
            ids = [i for i in row if i not in CORNERS]
            s = place_along(face, ids)
            seam_y = np.interp(s, np.linspace(-1, 1, len(face.seam)), face.seam[:, 1])
            away = depth * _LEAST_THICK * face.mouth_width * (1 - s**2)
            ordered[ids, 1] = seam_y + sign * np.maximum(sign * (points[ids, 1] - seam_y), away)
    return ordered


def lip_rows(
    face: Geometry, rows: tuple[tuple[int, ...], ...]
) -> Iterator[tuple[float, list[int]]]:
    """The rows of a lip's landmarks from its outer edge to the seam, and how much of what moves
    the edge against the seam each of them takes part in: 1 to 0.

    In thin lips all of it less, or the edge would be moved beyond the seam.
    """
    middle = len(rows[0]) // 2
    thick = abs(float(face.points[rows[0][middle], 1] - face.points[rows[-1][middle], 1]))
    slack = min(1.0, thick / (_THICK * face.mouth_width))
    for depth, row in zip(_DEPTHS, rows, strict=True):
        yield depth * slack, list(row)


def place_along(face: Geometry, ids: list[int]) -> NDArray[np.float64]:
    """-1 at the left corner of the mouth, 1 at the right one."""
    left, right = face.points[78, 0], face.points[308, 0]
    s: NDArray[np.float64] = (face.points[ids, 0] - (left + right) / 2) / ((right - left) / 2)
    return np.clip(s, -1, 1)


def smooth(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def _ids(*rows: tuple[int, ...]) -> list[int]:
    return sorted({i for row in rows for i in row})


def _without_corners(rows: tuple[tuple[int, ...], ...]) -> list[int]:
    return _ids(*(row[1:-1] if len(row) == len(mesh.LIP_UPPER_OUTER) else row for row in rows))


CORNERS = _ids(*mesh.LIP_CORNERS)
UPPER_LIP, LOWER_LIP = _without_corners(UPPER_ROWS), _without_corners(LOWER_ROWS)
