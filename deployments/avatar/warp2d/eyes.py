"""Eyes: the gaze shifts what lies between the lids; a blink lays a lid of skin over it.

A blink by warping alone smears the lashes over the eye, so each phase of the lid is painted once
for each portrait, from the skin above the eye, and only laid over the frame's eye.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.warp2d import mesh
from deployments.avatar.warp2d.pixels import blurred, remap
from deployments.types import Frame

N_PHASES = 16
_PAINTED, _FOUND = 0.55, 0.8  # how much a lid takes the colour that the layout says, or the skin's
_GAZE_X = 0.085  # of the eye's width: how far the iris moves at full gaze
_GAZE_Y = 0.040


@dataclass(frozen=True, slots=True, eq=False)
class Eye:
    """One eye in the source picture; ``lids[0]`` is open.

    ``rest``: (rows, cols, 3) the picture there. ``ball``: the same with the eyeball continued
    under the lids, so that a moving gaze drags no lashes along. ``opening``: (rows, cols, 1)
    0..1 between the lids. ``lids``: for each phase the lid's premultiplied colour (rows, cols, 3)
    and what it leaves of the eye (rows, cols, 1).
    """

    x: int
    y: int
    rest: NDArray[np.float32]
    ball: NDArray[np.float32]
    opening: NDArray[np.float32]
    identity: NDArray[np.float32]
    shift: NDArray[np.float32]
    lids: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]

    def draw_on(self, picture: Frame, shut: float, gaze_x: float, gaze_y: float) -> None:
        """Overwrite this eye's part of ``picture``."""
        rows, cols = self.rest.shape[:2]
        eye = self.rest
        if abs(gaze_x) > 0.01 or abs(gaze_y) > 0.01:
            where = self.identity - self.shift * np.array((gaze_x, gaze_y), dtype=np.float32)
            looking = remap(self.ball, where)
            eye = eye + (looking - eye) * self.opening
        # The upper lid follows the eye down.
        phase = round(min(max(shut, 0.16 * gaze_y, 0.0), 1.0) * (N_PHASES - 1))
        if phase:
            colour, left = self.lids[phase]
            eye = eye * left + colour
        picture[self.y : self.y + rows, self.x : self.x + cols] = eye


class LidColour(NamedTuple):
    """``bgr``: (3,). ``share``: 0..1 how much a closed lid takes of it."""

    bgr: NDArray[np.float64]
    share: float


def find_eyes(
    image: Frame, landmarks: NDArray[np.float64], layout: Mapping[str, Any]
) -> tuple[Eye, Eye]:
    """Both eyes of ``image``; ``landmarks`` are in its pixels."""
    lid = _lid_colour(image, landmarks, layout)
    left, right = (
        _eye(image, landmarks, upper, lower, lid)
        for upper, lower in zip(mesh.EYE_UPPER, mesh.EYE_LOWER, strict=True)
    )
    return left, right


def _lid_colour(
    image: Frame, landmarks: NDArray[np.float64], layout: Mapping[str, Any]
) -> LidColour:
    """As the layout says it; else that of the skin below the eyes, since what lies above them in a
    photograph may be shade, a crease, make-up or a pair of glasses."""
    if "lid_color_bgr" in layout:
        return LidColour(np.array(layout["lid_color_bgr"], dtype=np.float64), _PAINTED)
    height, width = image.shape[:2]
    x, y = np.clip(landmarks[list(mesh.UPPER_CHEEKS)].round(), 0, (width - 1, height - 1)).T
    patches = blurred(image, 0.01 * width)[y.astype(int), x.astype(int)]
    return LidColour(np.median(patches, axis=0).astype(np.float64), _FOUND)


def _eye(
    image: Frame,
    landmarks: NDArray[np.float64],
    upper_ids: tuple[int, ...],
    lower_ids: tuple[int, ...],
    lid_colour: LidColour,
) -> Eye:
    upper, lower = landmarks[list(upper_ids)], landmarks[list(lower_ids)]
    width = float(np.linalg.norm(upper[-1] - upper[0]))
    above, below = np.array((0.22, 0.42)) * width, np.array((0.22, 0.22)) * width
    x0, y0 = np.maximum(np.floor(upper.min(axis=0) - above).astype(int), 0)
    x1, y1 = np.ceil(lower.max(axis=0) + below).astype(int)
    rest = image[y0:y1, x0:x1].astype(np.float32)
    rows, cols = rest.shape[:2]
    origin = np.array((x0, y0))
    columns = np.arange(cols) + x0
    top = _curve(upper, columns) - y0
    bottom = _curve(lower, columns) - y0
    identity = np.stack(np.meshgrid(np.arange(cols), np.arange(rows)), axis=-1).astype(np.float32)
    contour = np.concatenate([upper, lower[::-1]]) - origin
    opening = _fill(contour, rows, cols)
    return Eye(
        x=int(x0),
        y=int(y0),
        rest=rest,
        ball=_ball(rest, opening),
        opening=opening,
        identity=identity,
        shift=_gaze_shift(identity, contour, width),
        lids=tuple(
            _lid(rest, top, bottom, upper - origin, width, phase / (N_PHASES - 1), lid_colour)
            for phase in range(N_PHASES)
        ),
    )


def _curve(points: NDArray[np.float64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """The lid's y at each column, by a parabola-like smooth fit through the landmarks."""
    order = np.argsort(points[:, 0])
    x, y = points[order].T
    middle, half = (x[0] + x[-1]) / 2, (x[-1] - x[0]) / 2
    fit = np.polynomial.Polynomial.fit((x - middle) / half, y, 4)
    return np.asarray(fit(np.clip((columns - middle) / half, -1, 1)))


def _fill(contour: NDArray[np.float64], rows: int, cols: int) -> NDArray[np.float32]:
    mask = np.zeros((rows, cols), np.uint8)
    cv2.fillPoly(mask, [np.round(contour * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    # Drawn in a little: the lashes' dark edge stays the picture's own.
    inner = np.asarray(cv2.erode(mask, np.ones((4, 4), np.uint8)))
    soft = blurred(inner, 1.0)
    return (soft / 255).astype(np.float32)[..., None]


def _ball(rest: NDArray[np.float32], opening: NDArray[np.float32]) -> NDArray[np.float32]:
    """What lies well inside the opening, carried on beyond it."""
    known = cv2.erode((opening[..., 0] > 0.9).astype(np.uint8), np.ones((2, 2), np.uint8))
    near = cv2.dilate(known, np.ones((15, 15), np.uint8))
    hidden = ((near > 0) & (known == 0)).astype(np.uint8)
    filled = cv2.inpaint(rest.astype(np.uint8), hidden, 5.0, cv2.INPAINT_TELEA)
    return np.asarray(filled).astype(np.float32)


def _gaze_shift(
    identity: NDArray[np.float32], contour: NDArray[np.float64], width: float
) -> NDArray[np.float32]:
    """(rows, cols, 2) pixels moved at full gaze: the iris wholly, the corners not at all."""
    centre_x = (contour[:, 0].min() + contour[:, 0].max()) / 2
    t = np.clip(np.abs(identity[..., 0] - centre_x) / (0.5 * width), 0, 1)
    moved = np.clip((1 - t) / 0.5, 0, 1)
    moved = moved * moved * (3 - 2 * moved)
    most = np.array((_GAZE_X, _GAZE_Y)) * width
    shift: NDArray[np.float32] = (moved[..., None] * most).astype(np.float32)
    return shift


def _lid(
    rest: NDArray[np.float32],
    top: NDArray[np.float64],
    bottom: NDArray[np.float64],
    upper: NDArray[np.float64],
    width: float,
    shut: float,
    lid_colour: LidColour,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One phase: premultiplied colour of the lid, and what is left of what lies under it."""
    rows, cols = rest.shape[:2]
    lash = 0.085 * width  # the dark edge keeps its thickness while the skin above is stretched
    reach = 0.26 * width  # the skin that unfolds, up to the crease
    y = np.arange(rows, dtype=np.float64)[:, None]
    x = np.broadcast_to(np.arange(cols, dtype=np.float64), (rows, cols))
    edge = top + shut * (bottom + 0.02 * width - top)
    fold = top - reach
    # Skin: rows between the fold and the lashes come from the strip above the open eye.
    skin_part = np.clip((y - fold) / np.maximum(edge - lash - fold, 1e-3), 0, 1)
    skin_y = fold + skin_part * (reach - lash * 1.35)
    lash_y = top + (y - edge)
    smooth = blurred(rest, 0.02 * width)
    skin = remap(smooth, np.dstack([x, skin_y]))
    lashes = remap(rest, np.dstack([x, lash_y]))
    t = np.clip((y - (edge - lash)) / (0.35 * lash), 0, 1)[..., None]
    # A closed lid is a ball under skin: light on its middle, darker towards the lashes.
    along = (x - (upper[0, 0] + upper[-1, 0]) / 2) / (0.5 * width)
    ball = np.exp(-((along / 0.8) ** 2) - ((skin_part - 0.45) / 0.4) ** 2)
    share = lid_colour.share * shut * np.clip(skin_part * 1.6, 0, 1)
    skin = skin + (lid_colour.bgr - skin) * share[..., None]
    skin = skin * (1 + shut * (0.05 * ball - 0.07 * skin_part**3))[..., None]
    colour = skin + (lashes - skin) * t
    inside = (np.abs(along) < 1.06).astype(np.float64) * np.clip(
        (1.06 - np.abs(along)) / 0.08, 0, 1
    )
    alpha = np.clip(edge - y + 0.5, 0, 1) * np.clip((y - fold) / (0.3 * reach), 0, 1) * inside
    alpha = alpha * min(1.0, shut * 8)
    return (colour * alpha[..., None]).astype(np.float32), (1 - alpha[..., None]).astype(np.float32)
