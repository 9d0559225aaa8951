"""Displacement fields: how each column of the motion moves each point of the picture.

A column's effect is written down for the landmarks, spread over the whole picture by radial basis
functions, and kept on a coarse grid (one node per 4 pixels), since it is smooth. The lips are a
cut: there is one set of fields for what is above the mouth's seam and one for what is below.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.warp2d import mesh
from deployments.avatar.warp2d.columns import N_COLUMNS, Column
from deployments.avatar.warp2d.geometry import (
    CORNERS,
    LOWER_LIP,
    LOWER_ROWS,
    UPPER_LIP,
    UPPER_ROWS,
    Geometry,
    Points,
    lip_rows,
    place_along,
    smooth,
)

FloatT = TypeVar("FloatT", bound=np.floating[Any])
Field = NDArray[np.float32]  # (columns, rows, cols, 2) pixels per unit of each column

STEP_PX = 4
_RADIUS = 1.65  # of a landmark's influence, in half widths of the face
_BLOCK = 512  # nodes at a time: what is computed of them stays in the processor's cache


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
    anchors = anchors_of(face, width_px, height_px)
    wanted = np.concatenate([nodes, face.seam])
    upper, lower = spread(face, upper_moves, lower_moves, anchors, wanted)
    rows, cols = height_px // STEP_PX, width_px // STEP_PX
    shape = (N_COLUMNS, rows, cols, 2)
    n_nodes = rows * cols
    return (
        upper[:, :n_nodes].reshape(shape),
        lower[:, :n_nodes].reshape(shape),
        upper[:, n_nodes:].astype(np.float64),
        lower[:, n_nodes:].astype(np.float64),
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
    shoulders = smooth((y - 0.75) / 0.7)
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
    sides = 1 - smooth((above - 1.05) / 0.75)
    neck = 1 - smooth((y - 0.85) / 0.75)
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
    corners = CORNERS
    _corners(face, upper, corners)
    _corners(face, lower, corners)
    return upper, lower


def _skin(face: Geometry, moves: NDArray[np.float64]) -> None:
    """Jaw, cheeks and brows."""
    width = face.mouth_width
    away = face.points - face.mouth
    moves[Column.JAW, :, 1] = 0.27 * width * hinge(face)
    moves[Column.JAW, :, 0] = -0.03 * width * np.sign(away[:, 0]) * _near_corner(face)
    for column, out, up in ((Column.WIDE, 0.085, 0.012), (Column.SMILE, 0.075, 0.070)):
        moves[column, :, 0] = out * width * np.sign(away[:, 0]) * _near_corner(face)
        moves[column, :, 1] = -up * width * _near_corner(face)
    moves[Column.ROUND, :, 0] = -0.15 * width * np.sign(away[:, 0]) * _near_corner(face)
    moves[Column.ROUND, :, 1] = face.drawn_up * _near_corner(face)
    for brow, lid in zip(mesh.BROWS, mesh.EYE_UPPER, strict=True):
        middle = face.points[list(brow)].mean(axis=0)
        reach = np.array((0.42, 0.30)) * face.eye_distance
        near = np.exp(-np.sum(((face.points - middle) / reach) ** 2, axis=1))
        # Nothing moves at the lid itself, or a raised brow would open the eye.
        above = face.points[list(lid), 1].min() - face.points[:, 1]
        free = smooth(above / (0.9 * (face.points[list(lid), 1].min() - middle[1])) - 0.1)
        moves[Column.BROW, :, 1] -= 0.060 * face.eye_distance * near * free


def hinge(face: Geometry) -> NDArray[np.float64]:
    """(468,) 0..1 how far the skin at each landmark goes with the jaw."""
    away = face.points - face.mouth
    down = away[:, 1] / float(face.chin[1] - face.mouth[1])
    side = np.abs(away[:, 0]) / face.half[0]
    follows: NDArray[np.float64] = smooth((down + 0.15) / 0.8)
    follows *= 1 - 0.75 * smooth((side - 0.25) / 0.75)
    return follows


def _near_corner(face: Geometry) -> NDArray[np.float64]:
    away = np.abs(face.points - face.mouth)
    away[:, 0] -= face.mouth_width / 2
    reach = np.array((0.42, 0.40)) * face.mouth_width
    near: NDArray[np.float64] = np.exp(-np.sum((away / reach) ** 2, axis=1))
    return near


def _upper_lip(face: Geometry, moves: NDArray[np.float64]) -> None:
    width = face.mouth_width
    for depth, ids in lip_rows(face, UPPER_ROWS):
        s = place_along(face, ids)
        arch = np.clip(1 - s**2, 0, 1) ** 0.75
        _set_lip(face, moves, ids, s)
        moves[Column.JAW, ids, 1] = width * (0.075 * (1 - arch) - 0.030 * arch)
        moves[Column.RAISE, ids, 1] = -0.075 * width * arch * (0.85 + 0.15 * depth)
        moves[Column.PRESS, ids, 1] = 0.030 * width * arch * depth
        moves[Column.ROUND, ids, 1] -= 0.035 * width * np.sqrt(np.clip(1 - s**2, 0, 1)) * depth
        moves[Column.WIDE, ids, 1] = -0.012 * width * (1 - arch) + 0.012 * width * arch * depth
        moves[Column.TUCK, ids, 1] = -0.025 * width * arch


def _lower_lip(face: Geometry, moves: NDArray[np.float64]) -> None:
    width = face.mouth_width
    for depth, ids in lip_rows(face, LOWER_ROWS):
        s = place_along(face, ids)
        arch = np.clip(1 - np.abs(s) ** 2.1, 0, 1) ** 0.8
        _set_lip(face, moves, ids, s)
        moves[Column.JAW, ids, 1] = width * (0.075 * (1 - arch) + (0.335 - 0.03 * depth) * arch)
        moves[Column.RAISE, ids, 1] = 0.0
        moves[Column.PRESS, ids, 1] = -0.035 * width * arch * depth
        moves[Column.ROUND, ids, 1] += 0.045 * width * np.sqrt(np.clip(1 - s**2, 0, 1)) * depth
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
    # Corners that a smile has drawn up come down again.
    moves[Column.ROUND, ids, 1] = face.drawn_up * s**2
    moves[Column.JAW, ids, 0] = -0.03 * width * s


def _corners(face: Geometry, moves: NDArray[np.float64], ids: list[int]) -> None:
    width = face.mouth_width
    s = np.sign(face.points[ids, 0] - face.mouth[0])
    _set_lip(face, moves, ids, s)
    moves[Column.JAW, ids, 1] = 0.075 * width
    moves[Column.WIDE, ids, 1] = -0.012 * width
    for column in (Column.RAISE, Column.PRESS, Column.TUCK):
        moves[column, ids, 1] = 0.0


def anchors_of(face: Geometry, width_px: int, height_px: int) -> Points:
    """Points that no face column moves: a ring around the face, and the picture's border."""
    oval = face.points[list(mesh.OVAL)] - face.centre
    below = oval[:, 1:] > 0
    ring = face.centre + oval * np.where(below, 1.55, 1.35)
    outer = face.centre + oval * 2.0
    x = np.linspace(0, width_px, 7)
    y = np.linspace(0, height_px, 9)
    border = [(px, py) for px in x for py in y if px in (x[0], x[-1]) or py in (y[0], y[-1])]
    return np.concatenate([ring, outer, np.array(border)])


def spread(
    face: Geometry,
    upper_moves: NDArray[np.float64],
    lower_moves: NDArray[np.float64],
    anchors: Points,
    wanted: Points,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(columns, wanted, 2) each: the moves (columns, 468, 2) of the landmarks, interpolated at
    ``wanted``, once for what is above the mouth's seam and once for what is below.

    The two rows of the seam may coincide; each lip's own row stands for it.
    """
    centres = np.concatenate([face.points, anchors])
    radius = _RADIUS * float(face.half[0])
    kernel = _kernel(centres, centres, radius) + 1e-6 * np.eye(len(centres))
    upper = _weights(kernel, upper_moves, LOWER_LIP)
    lower = _weights(kernel, lower_moves, UPPER_LIP)
    weights = np.concatenate([upper, lower], axis=1).astype(np.float32)
    # Relative to the mouth, so that single precision, which takes half the time, is enough.
    near, far = (centres - face.mouth), (wanted - face.mouth)
    parts = [
        _kernel(part, near.astype(np.float32), radius) @ weights
        for part in np.array_split(far.astype(np.float32), max(1, len(far) // _BLOCK))
    ]
    found = np.concatenate(parts).reshape(len(wanted), 2, -1, 2).transpose(1, 2, 0, 3)
    return found[0], found[1]


def _weights(
    kernel: NDArray[np.float64], moves: NDArray[np.float64], left_out: list[int]
) -> NDArray[np.float64]:
    """(centres, columns * 2); 0 for the landmarks that are left out. Anchors do not move."""
    kept = np.setdiff1d(np.arange(len(kernel)), left_out)
    known = np.zeros((len(kernel), moves.shape[0] * 2))
    known[: mesh.N_POINTS] = moves.transpose(1, 0, 2).reshape(mesh.N_POINTS, -1)
    weights = np.zeros_like(known)
    weights[kept] = np.linalg.solve(kernel[np.ix_(kept, kept)], known[kept])
    return weights


def _kernel(a: NDArray[FloatT], b: NDArray[FloatT], radius: float) -> NDArray[FloatT]:
    """Wendland's C2 function: smooth, positive definite, nothing beyond its radius."""
    r = a @ b.T
    r *= -2
    r += (a * a).sum(1)[:, None]
    r += (b * b).sum(1)
    np.sqrt(np.maximum(r, 0, out=r), out=r)
    r /= radius
    inside: NDArray[FloatT] = np.maximum(1 - r, 0)
    inside *= inside
    inside *= inside
    r *= 4
    r += 1
    inside *= r
    return inside
