"""A photograph's open mouth, closed once: every movement begins and ends at closed lips.

Somebody who smiles shows teeth, which no warp takes away. So the picture itself is changed first:
the lips are moved until they meet, with the skin around them, and what lay between them is left
out. When they part again, ``mouth`` paints what is seen there.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.warp2d import mesh
from deployments.avatar.warp2d.fields import STEP_PX, anchors_of, grid_nodes, hinge, spread
from deployments.avatar.warp2d.geometry import (
    LOWER_LIP,
    UPPER_LIP,
    Geometry,
    Points,
    place_along,
)
from deployments.avatar.warp2d.pixels import remap, resized
from deployments.avatar.warp2d.seam import below_seam
from deployments.types import Frame

_CLOSED_PX = 1.5  # landmarks of closed lips lie so far apart at most
# So much of each lip's inner edge is left out, too: landmarks do not lie exactly there, and a line
# of teeth would remain. Of the gap, and at most of the mouth's width.
_EDGE, _MOST_EDGE = 0.1, 0.012
_BY_LIPS = 0.16  # of the mouth's width; what a gap has more than that is closed by the jaw
# Grey levels: less is the dark of the mouth; what a painted tooth comes out as; and its bounds.
_LEAST_TOOTH, _PAINTED_TOOTH, _DIMMEST, _BRIGHTEST = 110.0, 175.0, 0.8, 1.3
_SHADE, _SHADE_PX = 0.4, 1.2  # the line where lips meet is darker than they are


def closed(picture: Frame, points: Points, scale: float) -> tuple[Frame, Points]:
    """The picture with its lips closed, and its landmarks (468, 2) then.

    Args:
        picture: a frame, enlarged ``scale`` times.
        points: its landmarks, in the frame's pixels.
    """
    face = Geometry.of(points)
    gaps = points[list(mesh.LIP_LOWER_INNER)] - points[list(mesh.LIP_UPPER_INNER)]
    if gaps[:, 1].max() < _CLOSED_PX:
        return picture, points
    moved, seam, edge = _closed_points(face, gaps[:, 1])
    rest = Geometry.of(moved)
    # Backwards: where in the open picture each landmark of the closed one comes from.
    upper, lower = points - moved, points - moved
    upper[list(mesh.LIP_UPPER_INNER[1:-1]), 1] -= edge
    lower[list(mesh.LIP_LOWER_INNER[1:-1]), 1] += edge
    width, height = (round(side / scale) for side in picture.shape[1::-1])
    nodes, anchors = grid_nodes(width, height), anchors_of(rest, width, height)
    fields = spread(rest, upper[None], lower[None], anchors, nodes)
    return _redrawn(picture, fields, (seam + 0.5) * scale - 0.5, scale), moved


def teeth_light(picture: Frame, points: Points, scale: float) -> float:
    """How bright teeth are in this picture, relative to painted ones; 1 where it shows none."""
    inner = [*mesh.LIP_UPPER_INNER, *reversed(mesh.LIP_LOWER_INNER)]
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round((points[inner] + 0.5) * scale - 0.5).astype(np.int32)], 1)
    shown = picture[mask > 0].mean(axis=1)
    gap = points[list(mesh.LIP_LOWER_INNER), 1] - points[list(mesh.LIP_UPPER_INNER), 1]
    if gap.max() < _CLOSED_PX or (bright := float(np.percentile(shown, 80))) < _LEAST_TOOTH:
        return 1.0
    return min(max(bright / _PAINTED_TOOTH, _DIMMEST), _BRIGHTEST)


def _closed_points(face: Geometry, gaps: NDArray[np.float64]) -> tuple[Points, Points, float]:
    """The landmarks with closed lips, the seam (11, 2), and how much of each edge is left out."""
    width = face.mouth_width
    edge = min(_EDGE * float(gaps.max()), _MOST_EDGE * width)
    by_jaw = max(0.0, float(gaps.max()) - _BY_LIPS * width)
    upper = face.points[list(mesh.LIP_UPPER_INNER)]
    lower = face.points[list(mesh.LIP_LOWER_INNER)]
    seam = (upper + lower) / 2
    seam[:, 1] -= by_jaw / 2 * gaps / gaps.max()
    points = face.points.copy()
    points[:, 1] -= by_jaw * hinge(face)
    for lip, inner, sign in ((UPPER_LIP, upper, 1), (LOWER_LIP, lower, -1)):
        along, places = place_along(face, lip), np.linspace(-1, 1, len(seam))
        moves = [np.interp(along, places, move) for move in (seam - inner).T]
        points[lip] = face.points[lip] + np.stack(moves, axis=1) + (0, sign * edge)
    points[list(mesh.LIP_UPPER_INNER)] = points[list(mesh.LIP_LOWER_INNER)] = seam
    return points, seam, edge


def _redrawn(
    picture: Frame,
    fields: tuple[NDArray[np.float32], NDArray[np.float32]],
    seam: Points,
    scale: float,
) -> Frame:
    """Everything above the seam by the first field, everything below by the second."""
    height, width = picture.shape[:2]
    rows, cols = round(height / scale) // STEP_PX, round(width / scale) // STEP_PX
    upper, lower = (
        resized(field.reshape(rows, cols, 2) * np.float32(scale), width, height) for field in fields
    )
    weight = np.ones((height, width), np.float32)
    part = below_seam(seam, width, 0)
    weight[: len(part)] = part
    here = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    drawn = remap(picture, here + upper + (lower - upper) * weight[..., None])
    closed_picture: Frame = (drawn * _light(here, seam, _SHADE_PX * scale)).astype(np.uint8)
    return closed_picture


def _light(here: NDArray[np.float32], seam: Points, thickness_px: float) -> NDArray[np.float32]:
    """(height, width, 1) 1, less on the seam, as before at its ends."""
    x = here[0, :, 0]
    y = np.interp(x, seam[:, 0], seam[:, 1])
    along = np.interp(x, seam[:, 0], np.linspace(-1, 1, len(seam)), -1, 1)
    line = np.exp(-(((here[..., 1] - y) / thickness_px) ** 2)) * (1 - along**4)
    light: NDArray[np.float32] = (1 - _SHADE * line[..., None]).astype(np.float32)
    return light
