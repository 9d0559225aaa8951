"""What is seen between the lips: the dark of the mouth, tongue and two rows of teeth.

Painted once for each portrait, in units of its mouth's width, then placed for every frame: the
upper teeth stay with the skull, the lower teeth and the tongue go with the jaw.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.warp2d.pixels import blurred, shrunk
from deployments.types import Frame

Sprite = NDArray[np.uint8]  # (height, width, 4) BGRA, colour premultiplied by alpha

_LIT_FROM = 0.065  # how wide a gap, in widths of the mouth, lets all the light in
_OVERSAMPLE = 4  # painted larger, so that edges are smooth wherever the sprite lands
_DARK = np.array((26.0, 16.0, 44.0))  # BGR, a warm near-black
_DEEP = np.array((60.0, 44.0, 104.0))  # the flesh further front
_TONGUE = np.array((118.0, 104.0, 196.0))
_ENAMEL = np.array((230.0, 245.0, 255.0))
# Relative widths of the teeth from the middle outwards: incisors, canine, premolars.
_UPPER_TEETH = (0.108, 0.084, 0.086, 0.074, 0.060)
_LOWER_TEETH = (0.066, 0.070, 0.076, 0.070, 0.060)


@dataclass(frozen=True, slots=True, eq=False)
class Mouth:
    """Sprites at output resolution times ``scale``; ``width`` is the mouth's, in output pixels."""

    width: float
    scale: float
    upper_teeth: Sprite
    lower_teeth: Sprite
    tongue: Sprite
    parting: NDArray[np.float32]  # (3,) BGR, between lips that hardly part


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """``gap``: (rows, cols) how far below the upper lip's edge each pixel lies; ``height``:
    (cols,) how far apart the lips are there. In pixels.
    """

    gap: NDArray[np.float32]
    height: NDArray[np.float32]


def paint_mouth(
    width: float, parting: NDArray[np.float32], light: float = 1.0, scale: float = 2.0
) -> Mouth:
    """``light``: how bright its teeth are, relative to those of the built-in face."""
    unit = width * scale
    enamel = _ENAMEL * light
    return Mouth(
        width=width,
        scale=scale,
        upper_teeth=_teeth(enamel, unit, _UPPER_TEETH, 0.150, 0.026, upper=True),
        lower_teeth=_teeth(enamel, unit, _LOWER_TEETH, 0.110, 0.020, upper=False),
        tongue=_tongue(unit),
        parting=parting,
    )


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the mouth is in the frame: a point of the skull, one of the jaw, and the tilt."""

    skull: tuple[float, float]
    jaw: tuple[float, float]
    angle: float
    stretch: float  # width now, relative to rest
    tongue: float  # 0 down .. 1 up
    tucked: float  # the lower lip covers its teeth
    rounded: float  # lips forward keep the light out


def place(mouth: Mouth, pose: Pose, opening: Opening, origin: tuple[int, int]) -> Frame:
    """The inside of the mouth, (rows, cols, 3), for the region at ``origin`` in the frame."""
    gap = opening.gap
    cols = gap.shape[1]
    depth = np.clip(gap / (0.30 * mouth.width), 0.0, 1.0)[..., None]
    inside = (_DARK + (_DEEP - _DARK) * (depth * 0.8)).astype(np.float32)
    unit = mouth.width
    # The resting tongue lies low behind the lower teeth; its tip rises to the upper ones.
    lift = pose.tongue
    jaw_x, jaw_y = pose.jaw
    skull_x, skull_y = pose.skull
    low = jaw_y + (0.055 + 0.10 * pose.tucked) * unit
    tongue_y = low * (1 - lift) + min(skull_y + 0.235 * unit, low) * lift
    middle_x = (jaw_x + skull_x) / 2
    _put(inside, mouth.tongue, mouth.scale, (middle_x, tongue_y), pose.angle, 1.0, origin)
    lower = (jaw_x, jaw_y - (0.010 - 0.10 * pose.tucked) * unit)
    _put(inside, mouth.lower_teeth, mouth.scale, lower, pose.angle, 1.0, origin)
    upper = (skull_x, skull_y + 0.058 * unit)
    narrow = 0.5 + 0.5 * min(pose.stretch, 1.1)
    _put(inside, mouth.upper_teeth, mouth.scale, upper, pose.angle, narrow, origin)
    # The upper lip throws a soft shadow, and the corners are darker than the middle.
    shade = np.clip(0.80 + gap / (0.08 * unit) * 0.20, 0.80, 1.0) * (1 - 0.38 * pose.rounded)
    x = (np.arange(cols, dtype=np.float32) + origin[0] - middle_x) / (0.5 * unit * pose.stretch)
    shade = shade * (1 - 0.55 * np.clip(np.abs(x), 0, 1.1) ** 3)[None]
    # Shade inside a mouth is warm: blue light is lost first.
    tint = shade[..., None] ** np.array((1.30, 1.15, 1.0), dtype=np.float32)
    # Little light falls through a narrow gap: it is as dark as the line between closed lips, and
    # teeth come into view as it widens.
    lit = np.clip(opening.height / (_LIT_FROM * unit), 0.0, 1.0)
    lit = (lit * lit * (3 - 2 * lit))[None, :, None]
    shaded = mouth.parting + (inside * tint - mouth.parting) * lit
    clipped: Frame = np.clip(shaded, 0, 255).astype(np.uint8)
    return clipped


def _put(
    onto: NDArray[np.float32],
    sprite: Sprite,
    scale: float,
    at: tuple[float, float],
    angle: float,
    stretch: float,
    origin: tuple[int, int],
) -> None:
    """Lay ``sprite`` with its centre at ``at`` (frame pixels) over ``onto``, in place."""
    height, width = sprite.shape[:2]
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    matrix = np.array([[cos * stretch, -sin, 0.0], [sin * stretch, cos, 0.0]])
    centre = matrix[:, :2] @ ((width - 1) / 2, (height - 1) / 2)
    matrix[:, 2] = np.array(at) - origin - centre
    size = (onto.shape[1], onto.shape[0])
    placed = cv2.warpAffine(sprite, matrix, size, flags=cv2.INTER_LINEAR).astype(np.float32)
    onto *= 1 - placed[..., 3:] / 255
    onto += placed[..., :3]


def _teeth(
    enamel: NDArray[np.float64],
    unit: float,
    widths: tuple[float, ...],
    height: float,
    arch: float,
    *,
    upper: bool,
) -> Sprite:
    """A row of teeth; the sprite's centre is the middle of the biting edge's height."""
    size = unit * _OVERSAMPLE
    total = 2 * sum(widths)
    canvas_w, canvas_h = round(total * 1.06 * size), round((height + arch) * 1.5 * size)
    alpha = np.zeros((canvas_h, canvas_w), np.float32)
    light = np.zeros_like(alpha)
    base_y = canvas_h * 0.5
    for side in (-1, 1):
        x = 0.0
        for i, width in enumerate(widths):
            centre_x = canvas_w / 2 + side * (x + width / 2) * size
            x += width
            sag = arch * ((x - width / 2) / sum(widths)) ** 2 * size
            long = height * (1.0, 0.93, 0.98, 0.86, 0.76)[i] * size
            _tooth(alpha, light, (centre_x, base_y, width * size, long, sag), upper=upper)
    return _finish(enamel, alpha, light, upper=upper)


def _tooth(
    alpha: NDArray[np.float32],
    light: NDArray[np.float32],
    box: tuple[float, float, float, float, float],
    *,
    upper: bool,
) -> None:
    x, edge, width, long, sag = box
    sign = -1.0 if upper else 1.0  # towards the gum
    edge = edge + sign * sag
    mask = np.zeros(alpha.shape, np.uint8)
    half = width * 0.485
    round_px = width * 0.20
    top, bottom = sorted((edge, edge + sign * long))
    left, right = x - half, x + half
    inner = [(left + round_px, top), (right - round_px, bottom)]
    cv2.rectangle(mask, _whole(left, top + round_px), _whole(right, bottom - round_px), 255, -1)
    cv2.rectangle(mask, _whole(*inner[0]), _whole(*inner[1]), 255, -1)
    for cx in (left + round_px, right - round_px):
        for cy in (top + round_px, bottom - round_px):
            cv2.circle(mask, _whole(cx, cy), round(round_px), 255, -1)
    soft = blurred(mask, max(width * 0.03, 0.8)).astype(np.float32) / 255
    columns = (np.arange(alpha.shape[1], dtype=np.float32) - x) / half
    bulge = 1 - 0.13 * np.clip(np.abs(columns), 0, 1.2) ** 3
    np.maximum(light, soft * bulge[None], out=light)
    np.maximum(alpha, soft, out=alpha)


def _finish(
    colour: NDArray[np.float64],
    alpha: NDArray[np.float32],
    light: NDArray[np.float32],
    *,
    upper: bool,
) -> Sprite:
    rows, cols = alpha.shape
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, cols, dtype=np.float32)[None]
    # Teeth curve away to the sides, and the gum's side lies in the lip's shade.
    fade = (1 - 0.34 * x**2) * (0.90 + 0.10 * (y if upper else 1 - y))
    if not upper:
        fade *= 0.84
    # The narrow dark between two teeth is filled with a warm half-shade, not with black.
    gaps = blurred(alpha, rows * 0.04)
    body = np.clip(np.maximum(alpha, np.clip(gaps * 1.6 - 0.5, 0, 1)), 0, 1)
    body *= np.clip((0.97 - np.abs(x)) / 0.16, 0, 1)  # the last teeth are lost in the dark
    shade = np.where(body > 0, 0.83 + 0.17 * light, 1.0) * fade
    warm = np.array((0.88, 0.93, 1.0)) ** (0.3 + 2.5 * (1 - fade[..., None]))
    painted = colour * shade[..., None] * warm
    return _shrink(painted, body)


def _tongue(unit: float) -> Sprite:
    size = unit * _OVERSAMPLE
    cols, rows = round(0.62 * size), round(0.34 * size)
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : cols * 1j]
    r = np.abs(x) ** 2.6 + np.abs(y) ** 2.2
    alpha = np.clip((0.92 - r) * 7, 0, 1).astype(np.float32)
    groove = 1 - 0.16 * np.exp(-((x / 0.07) ** 2)) * (y > -0.9) * np.clip(1 - r, 0, 1)
    dome = 0.62 + 0.45 * np.clip(1 - r, 0, 1) ** 0.6
    shine = np.exp(-(((np.abs(x) - 0.28) / 0.16) ** 2) - ((y + 0.45) / 0.18) ** 2)
    colour = _TONGUE * (dome * groove)[..., None] + 26 * shine[..., None]
    return _shrink(colour, alpha)


def _shrink(colour: NDArray[np.float64], alpha: NDArray[np.float32]) -> Sprite:
    """Premultiply, and reduce to the sprite's own resolution."""
    full = np.dstack([np.clip(colour, 0, 255) * alpha[..., None], alpha * 255]).astype(np.float32)
    rows, cols = alpha.shape
    width, height = max(cols // _OVERSAMPLE, 2), max(rows // _OVERSAMPLE, 2)
    small: Sprite = shrunk(full, width, height).astype(np.uint8)
    return small


def _whole(x: float, y: float) -> tuple[int, int]:
    return round(x), round(y)
