"""Eyes, brows and lips."""

import numpy as np

from deployments.avatar.painting.brush import (
    CX,
    RNG,
    Image,
    Line,
    X,
    Y,
    blur,
    both,
    bump,
    by_x,
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
    BROW,
    BROW_Y,
    EYE_DX,
    EYE_Y,
    IRIS,
    LIP_BOTTOM,
    LIP_TOP,
    SEAM,
    eye_lines,
    mouth_line,
)


def eyes(canvas: Image) -> None:
    for side in (-1, 1):
        top, bottom = eye_lines(side)
        opening = fill(np.concatenate([top, bottom[::-1]]), 0.25)
        x, y = CX + side * EYE_DX, EYE_Y - 0.9
        ball = rgb(238, 232, 226) * np.ones_like(canvas)
        darken(ball, np.clip(1 - bump(x, y, 25, 16) * 1.15, 0, 1), rgb(206, 184, 176), 0.9)
        inner = CX + side * (EYE_DX - 21.5)
        lay(ball, bump(inner, EYE_Y + 3.0, 4.0, 3.2), rgb(214, 142, 130), 0.9)
        _iris(ball, x, y)
        # The upper lid's shade falls on the ball.
        shade = np.clip(1 - (Y - np.interp(X, *by_x(top))) / 7.5, 0, 1)
        darken(ball, smooth(shade).astype(np.float32), rgb(108, 88, 92), 0.70)
        _catch_light(ball, x, y)
        lay(canvas, opening, ball)
        _lids(canvas, side, top, bottom)


def _iris(ball: Image, x: float, y: float) -> None:
    r = np.hypot(X - x, Y - y)
    angle = np.arctan2(Y - y, X - x)
    radius = IRIS
    fibre = sum(
        np.sin(angle * k + p) * a
        for k, p, a in ((23, 1.0, 0.5), (37, 2.2, 0.4), (61, 0.3, 0.4), (11, 4.0, 0.3))
    )
    t = np.clip(r / radius, 0, 1)
    tone = 0.52 + 0.10 * fibre * smooth((t - 0.3) / 0.3) * (1 - smooth((t - 0.75) / 0.25))
    tone = tone + 0.30 * np.clip((Y - y) / radius, -1, 1) * (
        t > 0
    )  # light gathers opposite the lamp
    colour = ramp(
        tone.astype(np.float32),
        (
            (0.1, rgb(46, 30, 20)),
            (0.4, rgb(92, 62, 38)),
            (0.65, rgb(146, 106, 62)),
            (0.95, rgb(196, 158, 100)),
        ),
    )
    darken(colour, smooth((t - 0.72) / 0.28).astype(np.float32), rgb(64, 42, 32), 0.92)
    lay(ball, np.clip((radius - r) * 1.1 + 0.5, 0, 1).astype(np.float32), colour)
    lay(ball, blur(np.clip((4.7 - r) * 2 + 0.5, 0, 1).astype(np.float32), 0.35), rgb(14, 9, 8))


def _catch_light(ball: Image, x: float, y: float) -> None:
    window = fill(
        np.array([(x - 6.2, y - 6.0), (x - 2.2, y - 6.8), (x - 1.9, y - 2.8), (x - 5.8, y - 2.2)]),
        0.45,
    )
    lay(ball, window, rgb(255, 255, 252), 0.95)
    lighten(ball, bump(x + 4.6, y + 4.8, 2.6, 1.8), rgb(255, 236, 206), 0.45)


def _lids(canvas: Image, side: int, top: Line, bottom: Line) -> None:
    liner = rgb(40, 24, 22)
    # A little beyond the outer corner the lashes sweep up.
    wing = np.concatenate([top, [(top[-1, 0] + side * 3.2, top[-1, 1] - 1.6)]])
    darken(
        canvas,
        stroke(shifted(wing, 0, -1.0), (1.0, 3.2, 4.2, 4.6, 4.0, 1.2), 1.2),
        rgb(120, 84, 76),
        0.6,
    )
    lay(canvas, stroke(shifted(wing, 0, -0.5), (0.7, 1.9, 2.5, 2.9, 2.9, 0.5), 0.3), liner, 0.95)
    for i in range(26):
        t = 0.26 + 0.73 * i / 25
        root = top[int(t * (len(top) - 1))]
        lean = (t - 0.40) * 1.35 + RNG.normal(0, 0.10)
        length = (2.0 + 3.4 * t**1.5) * RNG.uniform(0.75, 1.15)
        tip = shifted(root, side * length * np.sin(lean), -length * np.cos(lean) - 0.4)
        middle = shifted((root + tip) / 2, side * 0.6, 0.5)
        lay_small(canvas, curve([root, middle, tip], 24), (0.7, 0.42, 0.1), liner, 0.55)
    crease = top[20:] + np.stack(
        [
            np.zeros(len(top) - 20),
            np.interp(np.linspace(0, 1, len(top) - 20), (0, 0.4, 1), (-4.4, -7.2, -4.6)),
        ],
        1,
    )
    darken(canvas, stroke(crease, (0.3, 1.7, 2.0, 1.7, 0.3), 0.7), rgb(150, 92, 80), 0.72)
    lighten(
        canvas,
        blur(stroke(shifted(top[40:170], 0, -4.3), (1, 3, 1), 0.5), 0.9),
        rgb(255, 226, 206),
        0.20,
    )
    lay(
        canvas,
        stroke(shifted(bottom[12:-4], 0, 0.5), (0.4, 1.1, 1.2, 0.4), 0.35),
        rgb(232, 180, 164),
        0.75,
    )
    darken(
        canvas,
        stroke(shifted(bottom[40:], 0, 1.4), (0.3, 1.0, 1.5, 1.2), 0.5),
        rgb(120, 74, 66),
        0.62,
    )
    darken(
        canvas,
        stroke(shifted(bottom[30:-10], 0, 6.0), (0.5, 2.2, 0.5), 1.6),
        rgb(206, 156, 142),
        0.32,
    )


def brows(canvas: Image) -> None:
    for side in (-1, 1):
        spine = curve([(CX + side * (EYE_DX + dx), BROW_Y + dy) for dx, dy in BROW])
        lay(canvas, stroke(spine[6:], (0.6, 3.6, 5.6, 5.4, 3.6, 0.4), 1.7), rgb(92, 62, 50), 0.66)
        lay(canvas, stroke(spine[40:], (1.0, 4.0, 3.8, 2.6, 0.3), 0.8), rgb(76, 50, 40), 0.45)
        for _ in range(320):
            t = RNG.uniform(0, 0.96)
            at = spine[int(t * 199)]
            along = spine[min(int(t * 199) + 4, 199)] - spine[max(int(t * 199) - 4, 0)]
            along = along / np.linalg.norm(along)
            thick = np.interp(t, (0, 0.12, 0.3, 0.65, 1), (2.4, 4.6, 5.6, 4.4, 0.8))
            off = RNG.uniform(-0.5, 0.5)
            root = at + np.array((0, off * thick))
            # Hairs stand up near the nose, lie flat further out, and close over the brow's spine.
            rise = np.interp(t, (0, 0.2, 0.5, 1), (0.70, 0.36, 0.08, 0.0)) - 0.75 * off * min(
                1.0, t * 4
            )
            way = np.array((along[0], along[1] - rise))
            tip = root + way / np.linalg.norm(way) * RNG.uniform(3.2, 5.6) * (1 - 0.30 * t)
            bend = shifted((root + tip) / 2, 0, -0.3)
            tint = rgb(66, 43, 34) * RNG.uniform(0.8, 1.35)
            faint = 0.12 + 0.26 * min(1.0, t / 0.3)
            lay_small(canvas, curve([root, bend, tip], 12), (0.5, 0.42, 0.1), tint, faint)


def lips(canvas: Image) -> None:
    seam, top, bottom = (mouth_line(p) for p in (SEAM, LIP_TOP, LIP_BOTTOM))
    darken(canvas, bump(CX, 340, 24, 5), rgb(190, 122, 106), 0.42)
    upper = fill(np.concatenate([top, seam[::-1]]), 0.7)
    lower = fill(np.concatenate([seam, bottom[::-1]]), 0.8)
    down = np.interp(X, *by_x(bottom)) - np.interp(X, *by_x(seam))
    t = np.clip((Y - np.interp(X, *by_x(seam))) / np.maximum(down, 1), 0, 1)
    side = 0.16 * ((X - CX + 6) / 35) ** 2
    body_tone = 0.44 + 0.36 * np.sin(np.pi * np.clip(t * 0.95 + 0.08, 0, 1)) - side
    wrinkle = 0.022 * np.sin((X - CX) * 1.9 + 2.0 * np.sin(X * 0.31)) * np.sin(np.pi * t)
    colours = (
        (0.0, rgb(112, 50, 52)),
        (0.3, rgb(164, 84, 82)),
        (0.55, rgb(198, 112, 106)),
        (0.85, rgb(226, 152, 140)),
    )
    lay(canvas, lower, ramp((body_tone + wrinkle).astype(np.float32), colours), 0.94)
    up = np.interp(X, *by_x(seam)) - np.interp(X, *by_x(top))
    t = np.clip((np.interp(X, *by_x(seam)) - Y) / np.maximum(up, 1), 0, 1)
    tone = 0.30 + 0.22 * t - side + 0.05 * both(8, 313, 6, 4)
    lay(canvas, upper, ramp(tone.astype(np.float32), colours), 0.92)
    lighten(
        canvas,
        stroke(shifted(top[30:-30], 0, -1.3), (0.4, 1.3, 0.9, 1.3, 0.4), 0.9),
        rgb(255, 226, 208),
        0.30,
    )
    shine = bump(CX - 5, 327.6, 10, 2.2) + 0.6 * bump(CX + 9, 327.8, 6, 1.8)
    lighten(canvas, shine.astype(np.float32), rgb(255, 222, 214), 0.34)
    lay(canvas, stroke(seam[6:-6], (0.2, 0.9, 1.6, 1.4, 1.6, 0.9, 0.2), 0.4), rgb(96, 40, 42), 0.88)
    darken(
        canvas, stroke(shifted(seam, 0, 1.6), (0.5, 2.4, 2.6, 2.4, 0.5), 1.0), rgb(150, 84, 84), 0.5
    )
    darken(canvas, both(38.2, 315.4, 3.2, 2.6), rgb(190, 132, 116), 0.38)
