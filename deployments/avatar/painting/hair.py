"""Hair: thousands of strands between an inner and an outer line on either side."""

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.painting.brush import (
    CX,
    RNG,
    Image,
    Line,
    S,
    X,
    blur,
    bump,
    curve,
    darken,
    fill,
    lay,
    lay_small,
    lighten,
    ramp,
    rgb,
    shifted,
    smooth,
    stroke,
)
from deployments.avatar.painting.figure import (
    HAIR_LEFT_IN,
    HAIR_LEFT_OUT,
    HAIR_RIGHT_IN,
    HAIR_RIGHT_OUT,
)

_PARTING_BOW = -3.0  # units that the middle of the parting lies to the side


def back_hair(canvas: Image) -> None:
    outline = np.concatenate([curve(HAIR_LEFT_OUT)[::-1], curve(HAIR_RIGHT_OUT)])
    lay(canvas, fill(outline, 0.8), rgb(38, 25, 22))
    tone = blur(((X - CX) / 120).astype(np.float32), 3)
    lay(canvas, fill(outline, 0.8) * smooth(np.abs(tone) - 0.3), rgb(58, 38, 31), 0.8)
    for _ in range(260):
        side = RNG.choice((-1, 1))
        dx = RNG.uniform(46, 104)
        strand = curve(
            [
                (CX + side * (dx - 8), 290),
                (CX + side * dx, 360),
                (CX + side * (dx - RNG.uniform(2, 12)), 470),
            ],
            60,
        )
        lay_small(
            canvas,
            strand,
            (0.4, 1.0, 0.4),
            rgb(78, 51, 40) * RNG.uniform(0.5, 1.1),
            RNG.uniform(0.25, 0.6),
        )
    darken(canvas, bump(CX, 392, 62, 70), rgb(120, 104, 100), 0.75)


def hair(canvas: Image) -> None:
    silhouette = np.concatenate([curve(HAIR_LEFT_OUT)[::-1], curve(HAIR_RIGHT_OUT)])
    within = fill(silhouette, 0.3)
    roots = _bowed(curve(((163, 106), (166, 84), (168, HAIR_LEFT_OUT[0][1]))))
    for inside, outside, side in (
        (HAIR_LEFT_IN, HAIR_LEFT_OUT, -1),
        (HAIR_RIGHT_IN, HAIR_RIGHT_OUT, 1),
    ):
        a, b = curve(inside), curve(outside)
        shape = fill(np.concatenate([a, b[::-1]]), 0.5)
        below = blur(fill(np.concatenate([shifted(a, -side * 4.5, 6.0), b[::-1]]), 0), 4.5)
        darken(canvas, below * within, rgb(138, 84, 66), 0.72)
        tone = np.full(X.shape, 74, np.uint8)
        cover = (shape * 255).astype(np.uint8)
        for _ in range(1500):
            _strand(tone, cover, a, b, side)
        level = cv2.GaussianBlur(tone, (0, 0), 0.22 * S).astype(np.float32) / 255
        round_off = np.clip((X - 56) / 20, 0, 1) * np.clip((334 - X) / 20, 0, 1)
        level = level * (0.55 + 0.45 * round_off)
        parting = blur(stroke(roots, (5, 9, 12), 1.0), 5.0)
        level = level * (1 - 0.30 * np.clip(parting, 0, 1))
        colour = ramp(
            level,
            (
                (0.0, rgb(18, 11, 10)),
                (0.28, rgb(52, 32, 25)),
                (0.5, rgb(94, 61, 45)),
                (0.75, rgb(158, 112, 82)),
                (1.0, rgb(226, 186, 150)),
            ),
        )
        lay(canvas, blur(cover.astype(np.float32) / 255, 0.2), colour)
        rim = stroke(shifted(b[30:], -side * 4.0, 0), (1.0, 3.0, 3.0, 2.0, 0.5), 2.2)
        if side > 0:  # scalp glimpsed along the parting, most at the hairline
            scalp = stroke(roots[4:120], (1.3, 0.9, 0.1), 0.7)
            lay(canvas, scalp, rgb(176, 124, 102), 0.26)
        lighten(
            canvas,
            rim * within,
            rgb(255, 220, 184) if side > 0 else rgb(214, 206, 196),
            0.26 if side > 0 else 0.10,
        )


def _bowed(roots: Line) -> Line:
    along = np.linspace(0, 1, len(roots))
    return np.stack([roots[:, 0] + _PARTING_BOW * 4 * along * (1 - along), roots[:, 1]], 1)


def _strand(tone: NDArray[np.uint8], cover: NDArray[np.uint8], a: Line, b: Line, side: int) -> None:
    """One hair between the inner and the outer line; brighter where the lamp glides on it."""
    u = RNG.uniform(0, 1) ** 0.9
    drift = RNG.normal(0, 0.035)
    start, stop = sorted(RNG.uniform(0, 1, 2))
    start, stop = (0.0, 1.0) if RNG.random() < 0.45 else (start, min(1.0, stop + 0.25))
    n = 60
    t = np.linspace(start, stop, n)
    i = t * (len(a) - 1)
    at = np.clip(u + drift * t + 0.035 * np.sin(5.0 * t + 9 * u), -0.015, 1.015)[:, None]
    index = np.clip(i.astype(int), 0, len(a) - 1)
    line = a[index] * (1 - at) + b[index] * at
    # Roots follow the bow of the parting and cross it by a hair's breadth, so that it is no cut.
    across = _PARTING_BOW * 4 * u * (1 - u) - side * RNG.uniform(0, 2.6) * (1 - u)
    line[:, 0] += across * np.exp(-((t / 0.07) ** 2))
    ring = np.exp(-(((t - 0.30 - 0.06 * np.sin(7 * u)) / 0.085) ** 2)) * (1.0 if side < 0 else 0.8)
    second = 0.38 * np.exp(-(((t - 0.72 + 0.05 * np.sin(9 * u)) / 0.10) ** 2))
    base = RNG.normal(72, 22) + 20 * np.sin(u * 19 + 2.0 * side)
    value = base + (150 * ring + 120 * second) * RNG.uniform(0.35, 1.0)
    points = np.round(line * S * 16).astype(np.int32)
    thick = int(RNG.integers(1, 4)) * S // 4 or 1
    for k in range(n - 1):
        segment = [points[k : k + 2].reshape(-1, 1, 2)]
        cv2.polylines(tone, segment, False, float(np.clip(value[k], 8, 240)), thick, cv2.LINE_AA, 4)
    cv2.polylines(
        cover, [points.reshape(-1, 1, 2)], False, 255.0, max(thick - 1, 1), cv2.LINE_AA, 4
    )


def loose_hairs(canvas: Image) -> None:
    """Single hairs outside the outline and fine ones at the hairline, so that no edge is cut."""
    for _ in range(260):
        side = -1 if RNG.random() < 0.5 else 1
        edge = curve(HAIR_LEFT_OUT if side < 0 else HAIR_RIGHT_OUT)
        start = int(RNG.uniform(0.02, 0.62) * 199)
        part = edge[start : start + int(RNG.uniform(18, 60))].copy()
        swell = np.sin(np.linspace(0, np.pi, len(part)) * RNG.uniform(0.5, 1.0))
        # Close to the outline: one that stands off leaves a light line between.
        part[:, 0] += side * (RNG.uniform(-0.3, 1.5) ** 2 * swell - 0.5)
        part[:, 1] -= RNG.uniform(0.0, 1.0) * swell
        lay_small(canvas, part, (0.1, 0.5, 0.1), rgb(84, 58, 46), RNG.uniform(0.12, 0.32))
    for _ in range(150):
        side = -1 if RNG.random() < 0.42 else 1
        edge = curve(HAIR_LEFT_IN if side < 0 else HAIR_RIGHT_IN)
        start = int(RNG.uniform(0.0, 0.34) * 199)
        part = edge[start : start + int(RNG.uniform(10, 26))].copy()
        part += np.linspace(0, 1, len(part))[:, None] * (
            -side * RNG.uniform(-1.0, 2.2),
            RNG.uniform(0, 2.4),
        )
        lay_small(canvas, part, (0.5, 0.38, 0.06), rgb(66, 42, 33), RNG.uniform(0.15, 0.45))
