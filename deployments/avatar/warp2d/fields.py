"""Displacement fields: how each column of the motion moves each point of the picture.

A column's effect is written down for the landmarks, spread over the whole picture by radial basis
functions, and kept on a coarse grid (one node per 4 pixels), since it is smooth. The lips are a
cut: there is one set of fields for what is above the mouth's seam and one for what is below.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.warp2d import mesh
from deployments.avatar.warp2d.columns import N_COLUMNS, Column

Points = NDArray[np.float64]  # (n, 2) pixels
Field = NDArray[np.float32]  # (columns, rows, cols, 2) pixels per unit of each column

STEP_PX = 4


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


def face_fields(
    face: Geometry, width_px: int, height_px: int
) -> tuple[Field, Field, NDArray[np.float64], NDArray[np.float64]]:
    """Fields above and below the seam, and the seam's own movement with each of them.

    Returns:
        ``upper`` and ``lower``: (16, rows, cols, 2); ``upper_seam`` and ``lower_seam``:
        (16, 11, 2).
    """
    nodes = grid_nodes(width_px, height_px)
    upper_moves, lower_moves = _landmark_moves(face)
    anchors = _anchors(face, width_px, height_px)
    lower_lip = _ids(mesh.LIP_LOWER_OUTER[1:-1], mesh.LIP_LOWER_INNER[1:-1], *mesh.LIP_LOWER_ROWS)
    upper_lip = _ids(mesh.LIP_UPPER_OUTER[1:-1], mesh.LIP_UPPER_INNER[1:-1], *mesh.LIP_UPPER_ROWS)
    upper = _spread(face.points, upper_moves, lower_lip, anchors, nodes, face.seam)
    lower = _spread(face.points, lower_moves, upper_lip, anchors, nodes, face.seam)
    rows, cols = height_px // STEP_PX, width_px // STEP_PX
    shape = (N_COLUMNS, rows, cols, 2)
    n_nodes = rows * cols
    return (
        upper[:, :n_nodes].reshape(shape).astype(np.float32),
        lower[:, :n_nodes].reshape(shape).astype(np.float32),
        upper[:, n_nodes:],
        lower[:, n_nodes:],
    )


def head_fields(face: Geometry, points: Points) -> NDArray[np.float64]:
    """(16, n, 2) movement of ``points`` with the head's columns.

    The head turns as a shape with depth: the nose moves further than the ears. It fades out
    towards the background and down the neck; the shoulders only breathe.
    """
    fields = np.zeros((N_COLUMNS, len(points), 2))
    unit = face.eye_distance
    x, y = ((points - face.centre) / face.half).T
    head = _head_mask(x, y)
    depth = np.exp(-0.9 * (x**2 + (0.9 * (y - 0.1)) ** 2))
    fields[Column.YAW, :, 0] = unit * (0.030 * head + 0.055 * depth * head)
    fields[Column.PITCH, :, 1] = unit * (0.022 * head + 0.045 * depth * head)
    # Roll turns about the neck, a face's half below the centre of its chin.
    pivot = face.chin + np.array((0.0, 0.5 * face.half[1]))
    arm = points - pivot
    angle = 0.016
    fields[Column.ROLL, :, 0] = -angle * arm[:, 1] * head
    fields[Column.ROLL, :, 1] = angle * arm[:, 0] * head
    shoulders = _smooth((y - 0.75) / 0.7)
    fields[Column.BREATH, :, 1] = -unit * (0.018 * shoulders + 0.006 * head * (1 - shoulders))
    return fields


def grid_nodes(width_px: int, height_px: int) -> Points:
    """(rows * cols, 2) where the coarse grid's nodes lie, as ``cv2.resize`` will place them."""
    x = np.arange(width_px // STEP_PX) * STEP_PX + (STEP_PX - 1) / 2
    y = np.arange(height_px // STEP_PX) * STEP_PX + (STEP_PX - 1) / 2
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _head_mask(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 on head and hair, fading to 0 in the background; ``x``, ``y`` in half faces."""
    above = np.hypot(x / 1.15, np.minimum(y, 0) / 1.15)
    sides = 1 - _smooth((above - 1.05) / 0.75)
    neck = 1 - _smooth((y - 0.85) / 0.75)
    mask: NDArray[np.float64] = sides * neck
    return mask


def _landmark_moves(face: Geometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(16, 468, 2) each: how landmarks move, with the seam's points as the upper or lower lip's."""
    moves = np.zeros((N_COLUMNS, mesh.N_POINTS, 2))
    _skin(face, moves)
    upper, lower = moves.copy(), moves
    _upper_lip(face, upper)
    _lower_lip(face, lower)
    # Each set of fields needs the other lip's outline only for what lies beyond the corners.
    corners = _ids(*mesh.LIP_CORNERS)
    _corners(face, upper, corners)
    _corners(face, lower, corners)
    return upper, lower


def _skin(face: Geometry, moves: NDArray[np.float64]) -> None:
    """Jaw, cheeks and brows."""
    width = face.mouth_width
    away = face.points - face.mouth
    jaw_length = float(face.chin[1] - face.mouth[1])
    down = away[:, 1] / jaw_length
    side = np.abs(away[:, 0]) / face.half[0]
    hinge = _smooth((down + 0.15) / 0.8) * (1 - 0.75 * _smooth((side - 0.25) / 0.75))
    moves[Column.JAW, :, 1] = 0.27 * width * hinge
    moves[Column.JAW, :, 0] = -0.03 * width * np.sign(away[:, 0]) * _near_corner(face)
    for column, out, up in ((Column.WIDE, 0.085, 0.012), (Column.SMILE, 0.075, 0.070)):
        moves[column, :, 0] = out * width * np.sign(away[:, 0]) * _near_corner(face)
        moves[column, :, 1] = -up * width * _near_corner(face)
    moves[Column.ROUND, :, 0] = -0.15 * width * np.sign(away[:, 0]) * _near_corner(face)
    for brow, lid in zip(mesh.BROWS, mesh.EYE_UPPER, strict=True):
        middle = face.points[list(brow)].mean(axis=0)
        reach = np.array((0.42, 0.30)) * face.eye_distance
        near = np.exp(-np.sum(((face.points - middle) / reach) ** 2, axis=1))
        # Nothing moves at the lid itself, or a raised brow would open the eye.
        above = face.points[list(lid), 1].min() - face.points[:, 1]
        free = _smooth(above / (0.9 * (face.points[list(lid), 1].min() - middle[1])) - 0.1)
        moves[Column.BROW, :, 1] -= 0.060 * face.eye_distance * near * free


def _near_corner(face: Geometry) -> NDArray[np.float64]:
    away = np.abs(face.points - face.mouth)
    away[:, 0] -= face.mouth_width / 2
    reach = np.array((0.42, 0.40)) * face.mouth_width
    near: NDArray[np.float64] = np.exp(-np.sum((away / reach) ** 2, axis=1))
    return near


def _upper_lip(face: Geometry, moves: NDArray[np.float64]) -> None:
    width = face.mouth_width
    rows = (
        mesh.LIP_UPPER_OUTER,
        mesh.LIP_UPPER_ROWS[0],
        mesh.LIP_UPPER_ROWS[1],
        mesh.LIP_UPPER_INNER,
    )
    for depth, row in zip((1.0, 0.66, 0.33, 0.0), rows, strict=True):
        ids = list(row)
        s = _along(face, ids)
        arch = np.clip(1 - s**2, 0, 1) ** 0.75
        _set_lip(face, moves, ids, s)
        moves[Column.JAW, ids, 1] = width * (0.075 * (1 - arch) - 0.030 * arch)
        moves[Column.RAISE, ids, 1] = -0.075 * width * arch * (0.85 + 0.15 * depth)
        moves[Column.PRESS, ids, 1] = 0.030 * width * arch * depth
        moves[Column.ROUND, ids, 1] = -0.035 * width * np.sqrt(np.clip(1 - s**2, 0, 1)) * depth
        moves[Column.WIDE, ids, 1] = -0.012 * width * (1 - arch) + 0.012 * width * arch * depth
        moves[Column.TUCK, ids, 1] = -0.025 * width * arch


def _lower_lip(face: Geometry, moves: NDArray[np.float64]) -> None:
    width = face.mouth_width
    rows = (
        mesh.LIP_LOWER_OUTER,
        mesh.LIP_LOWER_ROWS[0],
        mesh.LIP_LOWER_ROWS[1],
        mesh.LIP_LOWER_INNER,
    )
    for depth, row in zip((1.0, 0.66, 0.33, 0.0), rows, strict=True):
        ids = list(row)
        s = _along(face, ids)
        arch = np.clip(1 - np.abs(s) ** 2.1, 0, 1) ** 0.8
        _set_lip(face, moves, ids, s)
        moves[Column.JAW, ids, 1] = width * (0.075 * (1 - arch) + (0.335 - 0.03 * depth) * arch)
        moves[Column.RAISE, ids, 1] = 0.0
        moves[Column.PRESS, ids, 1] = -0.035 * width * arch * depth
        moves[Column.ROUND, ids, 1] = 0.045 * width * np.sqrt(np.clip(1 - s**2, 0, 1)) * depth
        moves[Column.WIDE, ids, 1] = -0.012 * width * (1 - arch) - 0.018 * width * arch * depth
        moves[Column.TUCK, ids, 1] = -width * arch * (0.020 + 0.055 * depth)


def _set_lip(
    face: Geometry, moves: NDArray[np.float64], ids: list[int], s: NDArray[np.float64]
) -> None:
    """Sideways movement: the lips stretch evenly between their corners."""
    width = face.mouth_width
    moves[Column.WIDE, ids, 0] = 0.085 * width * s
    moves[Column.SMILE, ids, 0] = 0.075 * width * s
    moves[Column.SMILE, ids, 1] = -0.070 * width * s**2
    moves[Column.ROUND, ids, 0] = -0.15 * width * s
    moves[Column.JAW, ids, 0] = -0.03 * width * s


def _corners(face: Geometry, moves: NDArray[np.float64], ids: list[int]) -> None:
    width = face.mouth_width
    s = np.sign(face.points[ids, 0] - face.mouth[0])
    _set_lip(face, moves, ids, s)
    moves[Column.JAW, ids, 1] = 0.075 * width
    moves[Column.WIDE, ids, 1] = -0.012 * width
    for column in (Column.RAISE, Column.PRESS, Column.TUCK):
        moves[column, ids, 1] = 0.0
    moves[Column.ROUND, ids, 1] = 0.0


def _along(face: Geometry, ids: list[int]) -> NDArray[np.float64]:
    """-1 at the left corner of the mouth, 1 at the right one."""
    left, right = face.points[78, 0], face.points[308, 0]
    s: NDArray[np.float64] = (face.points[ids, 0] - (left + right) / 2) / ((right - left) / 2)
    return np.clip(s, -1, 1)


def _anchors(face: Geometry, width_px: int, height_px: int) -> Points:
    """Points that no face column moves: a ring around the face, and the picture's border."""
    oval = face.points[list(mesh.OVAL)] - face.centre
    below = oval[:, 1:] > 0
    ring = face.centre + oval * np.where(below, 1.55, 1.35)
    outer = face.centre + oval * 2.0
    x = np.linspace(0, width_px, 7)
    y = np.linspace(0, height_px, 9)
    border = [(px, py) for px in x for py in y if px in (x[0], x[-1]) or py in (y[0], y[-1])]
    return np.concatenate([ring, outer, np.array(border)])


def _spread(
    points: Points,
    moves: NDArray[np.float64],
    left_out: list[int],
    anchors: Points,
    nodes: Points,
    seam: Points,
) -> NDArray[np.float64]:
    """(16, nodes + seam, 2) the moves of the landmarks, interpolated everywhere."""
    kept = np.setdiff1d(np.arange(mesh.N_POINTS), left_out)
    # The two rows of the seam may coincide; a lip's own row stands for it.
    centres = np.concatenate([points[kept], anchors])
    known = np.concatenate([moves[:, kept], np.zeros((N_COLUMNS, len(anchors), 2))], axis=1)
    kernel = _kernel(centres, centres) + 1e-6 * np.eye(len(centres))
    weights = np.linalg.solve(kernel, known.transpose(1, 0, 2).reshape(len(centres), -1))
    wanted = np.concatenate([nodes, seam])
    found = _kernel(wanted, centres) @ weights
    return found.reshape(len(wanted), N_COLUMNS, 2).transpose(1, 0, 2)


def _kernel(a: Points, b: Points) -> NDArray[np.float64]:
    """Wendland's C2 function: smooth, positive definite, nothing beyond its radius."""
    radius = 150.0
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    r = np.sqrt(np.clip(squared, 0, None)) / radius
    inside: NDArray[np.float64] = np.clip(1 - r, 0, None) ** 4 * (4 * r + 1)
    return inside


def _smooth(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def _ids(*rows: tuple[int, ...]) -> list[int]:
    return sorted({i for row in rows for i in row})
