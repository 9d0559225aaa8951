"""Paints the built-in face: run this file to make ``mira.png`` and ``mira.json`` again.

An original character, drawn by the numbers below and by nothing else. Lengths are in units of the
final frame (384x576); ``S`` is how many pixels of the canvas a unit has. The head is a height
field lit by three lamps, on which eyes, brows, lips and hair are painted.
"""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]  # (rows, cols, 3) RGB in 0..1
Mask = NDArray[np.float32]  # (rows, cols) 0..1
Line = NDArray[np.float64]  # (n, 2) units

FOLDER = Path(__file__).parent
WIDTH, HEIGHT = 384, 576
MASTER = 2  # the committed picture is twice the frame's size
S = 4
CX = 192.0  # the face's axis
EYE_Y, EYE_DX = 236.0, 42.0
IRIS = 11.8
RNG = np.random.default_rng(7)

FACE = ((0, 106), (44, 114), (74, 146), (87, 194), (89, 238), (84.5, 280), (72.5, 317), (51.5, 348), (28, 366.5), (12, 372.2), (0, 373.2))
EYE_TOP = ((-24, 4.0), (-18.5, -3.0), (-9.5, -9.2), (0.5, -11.4), (10.5, -10.6), (19, -6.6), (25.5, -2.2))
EYE_BOTTOM = ((-24, 4.0), (-17.5, 6.8), (-8.5, 9.2), (0.5, 9.8), (10.5, 8.4), (19, 4.0), (25.5, -2.2))
SEAM = ((-36.5, 315.4), (-24, 319.4), (-11, 322.4), (0, 321.9), (11, 322.4), (24, 319.4), (36.5, 315.4))
LIP_TOP = ((-36.5, 315.4), (-24, 313.0), (-8.5, 310.2), (0, 312.0), (8.5, 310.2), (24, 313.0), (36.5, 315.4))
LIP_BOTTOM = ((-36.5, 315.4), (-26.5, 325.0), (-13, 333.2), (0, 335.6), (13, 333.2), (26.5, 325.0), (36.5, 315.4))
BROW = ((-25, 3.4), (-13, -0.8), (3, -4.6), (17, -5.8), (25, -3.6), (33, 1.8))  # from the nose outwards
BROW_Y = 203.5
HAIR_LEFT_IN = ((163, 106), (143, 120), (121, 152), (109, 190), (104.5, 228), (101, 270), (102, 320), (111, 366), (118, 410), (112, 446), (104, 490))
HAIR_LEFT_OUT = ((168, 64), (128, 76), (95, 118), (79, 180), (72, 245), (63, 305), (58, 360), (64, 410), (66, 446), (58, 490))
HAIR_RIGHT_IN = ((163, 106), (196, 124), (232, 148), (262, 180), (276, 214), (281, 254), (282, 300), (275, 350), (268, 400), (273, 446), (280, 490))
HAIR_RIGHT_OUT = ((168, 64), (214, 58), (264, 78), (300, 126), (316, 190), (322, 250), (329, 310), (332, 360), (325, 405), (321, 446), (328, 490))

Y, X = np.mgrid[0 : HEIGHT * S, 0 : WIDTH * S].astype(np.float32)
X = (X + 0.5) / S
Y = (Y + 0.5) / S


def rgb(*values: int) -> NDArray[np.float32]:
    return np.array(values, np.float32) / 255


def curve(points: Any, n: int = 200) -> Line:
    """A smooth line through ``points`` (Catmull-Rom by chord length), ``n`` points long."""
    p = np.asarray(points, dtype=np.float64)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    knots = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1) ** 0.5)])
    at = np.linspace(knots[1], knots[-2], n)
    i = np.clip(np.searchsorted(knots, at, side="right") - 1, 1, len(p) - 3)
    k0, k1, k2, k3 = (knots[i + o][:, None] for o in (-1, 0, 1, 2))
    t = at[:, None]
    a1 = (k1 - t) / (k1 - k0) * p[i - 1] + (t - k0) / (k1 - k0) * p[i]
    a2 = (k2 - t) / (k2 - k1) * p[i] + (t - k1) / (k2 - k1) * p[i + 1]
    a3 = (k3 - t) / (k3 - k2) * p[i + 1] + (t - k2) / (k3 - k2) * p[i + 2]
    b1 = (k2 - t) / (k2 - k0) * a1 + (t - k0) / (k2 - k0) * a2
    b2 = (k3 - t) / (k3 - k1) * a2 + (t - k1) / (k3 - k1) * a3
    c: Line = (k2 - t) / (k2 - k1) * b1 + (t - k1) / (k2 - k1) * b2
    return c


def fill(polygon: Line, soft: float = 0.35) -> Mask:
    canvas = np.zeros(X.shape, np.uint8)
    cv2.fillPoly(canvas, [np.round(polygon * S * 16 - 8).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return blur(canvas.astype(np.float32) / 255, soft)


def stroke(line: Line, widths: Any, soft: float = 0.3) -> Mask:
    """A brush stroke along ``line`` whose width follows ``widths`` (any number of values)."""
    w = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths)
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / (np.linalg.norm(along, axis=1)[:, None] + 1e-9)
    return fill(np.concatenate([line + normal * w[:, None] / 2, (line - normal * w[:, None] / 2)[::-1]]), soft)


def blur(mask: Any, sigma: float) -> Any:
    """Gaussian of ``sigma`` units; wide ones are computed on a smaller picture."""
    if sigma <= 0:
        return mask
    pixels = sigma * S
    if pixels < 12:
        return cv2.GaussianBlur(mask, (0, 0), pixels)
    small = cv2.resize(mask, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), pixels / 8)
    return cv2.resize(small, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_CUBIC)


def lay(canvas: Image, mask: Mask, colour: Any, opacity: float = 1.0) -> None:
    """Paint ``colour`` (one, or an image) through ``mask``, in place."""
    m = np.clip(mask, 0, 1)[..., None] * opacity
    canvas += (np.asarray(colour, np.float32) - canvas) * m


def darken(canvas: Image, mask: Mask, colour: Any, opacity: float = 1.0) -> None:
    """Multiply by ``colour`` through ``mask``, in place."""
    m = np.clip(mask, 0, 1)[..., None] * opacity
    canvas *= 1 + (np.asarray(colour, np.float32) - 1) * m


def lighten(canvas: Image, mask: Mask, colour: Any, opacity: float = 1.0) -> None:
    """Screen with ``colour`` through ``mask``, in place."""
    light = np.asarray(colour, np.float32) * (np.clip(mask, 0, 1)[..., None] * opacity)
    canvas[:] = 1 - (1 - canvas) * (1 - light)


def bump(x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Mask:
    """A Gaussian hill of height 1."""
    c, s = np.cos(angle), np.sin(angle)
    dx, dy = X - x, Y - y
    return np.exp(-(((dx * c + dy * s) / rx) ** 2) - ((dy * c - dx * s) / ry) ** 2)


def both(dx: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Mask:
    """The same hill on either side of the face."""
    return bump(CX - dx, y, rx, ry, -angle) + bump(CX + dx, y, rx, ry, angle)


def ramp(value: Mask, stops: Any) -> Image:
    """A colour for each value: ``stops`` are (value, colour) in order."""
    at = [s[0] for s in stops]
    channels = [np.interp(value, at, [float(s[1][c]) for s in stops]) for c in range(3)]
    return np.dstack(channels).astype(np.float32)


def smooth(x: Any) -> Any:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def face_outline() -> Line:
    right = curve([(CX + dx, y) for dx, y in FACE])
    left = curve([(CX - dx, y) for dx, y in FACE])
    return np.concatenate([right, left[::-1]])


def eye_lines(side: int) -> tuple[Line, Line]:
    """Upper and lower lid of the eye at ``side`` (-1 left, 1 right), from the nose outwards."""
    x = CX + side * EYE_DX
    return tuple(  # type: ignore[return-value]
        curve([(x + side * dx, EYE_Y + dy) for dx, dy in line]) for line in (EYE_TOP, EYE_BOTTOM)
    )


def mouth_line(points: Any) -> Line:
    return curve([(CX + dx, y) for dx, y in points])


# The head as a height field


def height_field() -> Mask:
    dx, ax = X - CX, np.abs(X - CX)
    skull = 96 * np.sqrt(np.clip(1.02 - np.abs(dx / 97) ** 2.3 - np.abs((Y - 238) / 150) ** 2.3, 0.0, 1))
    z = skull
    ridge = np.interp(Y, (206, 222, 250, 276, 284, 292, 297), (0, 3, 8.5, 18, 19.5, 8, 0))
    z = z + blur(ridge.astype(np.float32), 1.5) * np.exp(-((dx / (8.5 + 2.5 * smooth((Y - 240) / 40))) ** 2))
    z += 5.5 * bump(CX, 281, 10, 9) + 5.5 * both(12.2, 286, 6.0, 6.0)
    z -= 7.0 * both(40, 231, 30, 17) + 4.0 * both(17, 236, 9, 14)
    z += 5.0 * both(EYE_DX, EYE_Y, 23, 12)
    z += 3.0 * both(42, 211, 34, 9) + 4.0 * bump(CX, 160, 60, 40)
    z += 8.0 * both(55, 279, 27, 24, 0.35)
    z += 6.5 * bump(CX, 320, 38, 25) - 1.6 * bump(CX, 302, 4.5, 8)
    z -= 4.8 * bump(CX, 342, 24, 6.5) - 8.5 * bump(CX, 360, 25, 15)
    z -= 2.5 * both(46, 322, 9, 12)
    del ax
    return blur(z.astype(np.float32), 1.1)


def light_on(z: Mask) -> tuple[Mask, Mask, Mask]:
    """Diffuse, specular and rim light on the height field."""
    gy, gx = np.gradient(z, 1 / S)
    n = np.dstack([-gx, -gy, np.full_like(z, 1.25)])
    n /= np.linalg.norm(n, axis=2, keepdims=True)

    def towards(x: float, y: float, depth: float) -> Mask:
        lamp = np.array((x, y, depth)) / np.linalg.norm((x, y, depth))
        facing: Mask = (n @ lamp).astype(np.float32)
        return facing

    key = np.clip((towards(-0.52, -0.50, 0.70) + 0.30) / 1.30, 0, 1)
    fill_in = np.clip((towards(0.75, 0.05, 0.65) + 0.4) / 1.4, 0, 1)
    diffuse = 0.80 * key + 0.20 * fill_in
    shine = np.clip(towards(-0.28, -0.30, 0.91), 0, 1) ** 26
    rim = np.clip(towards(0.97, -0.10, 0.20), 0, 1) ** 3
    return diffuse, shine, rim


LID = rgb(226, 174, 150)
SKIN = (
    (0.00, rgb(112, 62, 50)),
    (0.30, rgb(158, 98, 78)),
    (0.52, rgb(203, 144, 117)),
    (0.72, rgb(230, 180, 152)),
    (0.88, rgb(245, 207, 182)),
    (1.00, rgb(252, 226, 206)),
)


def background() -> Image:
    glow = np.exp(-(((X - 150) / 230) ** 2) - ((Y - 210) / 300) ** 2)
    canvas = ramp(glow, ((0, rgb(128, 146, 150)), (0.5, rgb(176, 191, 191)), (1, rgb(222, 227, 222))))
    # Out of focus behind: a warm lamp and the edge of a wall, barely there.
    lay(canvas, blur((X > 300).astype(np.float32), 14), canvas * rgb(232, 236, 238), 0.8)
    lighten(canvas, bump(332, 120, 46, 70), rgb(255, 226, 186), 0.22)
    lighten(canvas, bump(46, 330, 60, 90), rgb(255, 240, 220), 0.10)
    return canvas


def back_hair(canvas: Image) -> None:
    outline = np.concatenate([curve(HAIR_LEFT_OUT)[::-1], curve(HAIR_RIGHT_OUT)])
    lay(canvas, fill(outline, 0.8), rgb(38, 25, 22))
    tone = blur(((X - CX) / 120).astype(np.float32), 3)
    lay(canvas, fill(outline, 0.8) * smooth(np.abs(tone) - 0.3), rgb(58, 38, 31), 0.8)
    for _ in range(260):
        side = RNG.choice((-1, 1))
        dx = RNG.uniform(46, 104)
        strand = curve([(CX + side * (dx - 8), 290), (CX + side * dx, 360), (CX + side * (dx - RNG.uniform(2, 12)), 470)], 60)
        lay_small(canvas, strand, (0.4, 1.0, 0.4), rgb(78, 51, 40) * RNG.uniform(0.5, 1.1), RNG.uniform(0.25, 0.6))
    darken(canvas, bump(CX, 392, 62, 70), rgb(120, 104, 100), 0.75)


def body(canvas: Image) -> None:
    """Neck, top and jacket."""
    neck_l = curve(((143, 330), (146, 372), (147, 400), (138, 424), (108, 446), (80, 470)))
    neck_r = curve(((241, 330), (238, 372), (237, 400), (246, 424), (276, 446), (304, 470)))
    tube = np.clip(0.62 - 0.30 * ((X - 172) / 62) - 0.22 * np.abs((X - CX) / 50) ** 2.4, 0, 1)
    chest = np.clip(0.70 - 0.22 * ((X - 160) / 130) ** 2 + 0.10 * smooth((Y - 420) / 40), 0, 1)
    tone = tube + (chest - tube) * smooth((Y - 405) / 34)
    tone += 0.10 * both(30, 449, 34, 4.5, 0.16) - 0.13 * both(30, 456, 36, 5, 0.16)  # collar bones
    tone -= 0.13 * bump(CX, 446, 8, 12)
    tone -= 0.035 * bump(168, 415, 6, 34, 0.32) + 0.035 * bump(216, 415, 6, 34, -0.32)
    tone += 0.05 * bump(178, 410, 9, 40)
    skin = ramp(tone.astype(np.float32), SKIN)
    region = fill(np.concatenate([neck_l, np.array([(80, 580), (304, 580)]), neck_r[::-1]]), 0.5)
    lay(canvas, region, skin)
    shadow = blur(fill(face_outline() + (7, 17), 0), 6.5) * region
    darken(canvas, shadow, rgb(150, 96, 82), 0.95)
    darken(canvas, blur(fill(face_outline() + (2, 5), 0), 2.5) * region, rgb(178, 128, 116), 0.75)
    hair_shade = blur(((X < 136) | (X > 250)).astype(np.float32), 9) * region * smooth((462 - Y) / 50)
    darken(canvas, hair_shade, rgb(128, 84, 74), 0.75)
    _top(canvas)


def _top(canvas: Image) -> None:
    neckline = curve(((112, 462), (142, 482), (170, 496), (192, 500), (214, 496), (242, 482), (272, 462)))
    region = fill(np.concatenate([neckline, np.array([(290, 600), (94, 600)])]), 0.5)
    tone = 0.86 - 0.10 * ((X - 165) / 90) ** 2 - 0.05 * smooth((Y - 520) / 60)
    tone = tone - 0.06 * bump(176, 545, 6, 40, 0.2) - 0.05 * bump(214, 550, 7, 40, -0.25) + 0.05 * bump(196, 545, 6, 40)
    cloth = ramp(tone.astype(np.float32), ((0.3, rgb(150, 138, 128)), (0.7, rgb(222, 212, 200)), (0.95, rgb(250, 245, 236))))
    darken(canvas, blur(region, 3), rgb(190, 140, 122), 0.5)
    lay(canvas, region, cloth)
    darken(canvas, stroke(neckline + (0, 3.4), (0.7,) * 3, 0.4), rgb(196, 182, 170), 0.7)
    lighten(canvas, stroke(neckline + (0, 1.2), (1.2,) * 3, 0.5), rgb(255, 250, 240), 0.35)


def jacket(canvas: Image) -> None:
    for side in (-1, 1):
        def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
            return [(CX + side * dx, y) for dx, y in points]  # noqa: B023

        shoulder = curve(at((62, 434), (84, 442), (118, 456), (150, 474), (176, 500), (190, 545), (196, 600)))
        front = curve(at((62, 434), (66, 458), (62, 492), (46, 536), (26, 580), (18, 600)))
        region = fill(np.concatenate([shoulder, front[::-1]]), 0.5)
        lit = 0.50 - 0.17 * side * ((X - CX) * side / 190) - 0.20 * smooth((Y - 470) / 120)
        lit = lit + 0.22 * blur(stroke(shoulder + (0, 9), (4, 10, 14, 12, 8), 2), 5)
        lit = lit - 0.10 * bump(CX + side * 138, 560, 8, 60, side * 0.18) + 0.05 * bump(CX + side * 152, 556, 9, 60, side * 0.18)
        cloth = ramp(lit.astype(np.float32), ((0.1, rgb(14, 34, 42)), (0.4, rgb(30, 66, 76)), (0.75, rgb(62, 112, 120))))
        darken(canvas, blur(region, 4.5), rgb(120, 110, 108), 0.55)
        lay(canvas, region, cloth)
        lapel = np.concatenate([
            curve(at((62, 434), (66, 458), (62, 492), (46, 536), (26, 580), (18, 600))),
            curve(at((54, 600), (70, 556), (92, 516))),
            np.array(at((84, 507), (97, 498))),
            curve(at((97, 498), (90, 470), (78, 446))),
        ])
        cut = fill(lapel, 0.4)
        darken(canvas, blur(cut, 3) * region, rgb(120, 130, 136), 0.8)
        lay(canvas, cut * region, cloth * 1.16 + 0.012)
        edge = curve(at((54, 600), (70, 556), (92, 516)))
        lighten(canvas, stroke(edge, (0.8, 0.8), 0.4), rgb(120, 170, 176), 0.30)
        lighten(canvas, stroke(front + (side * 1.0, 0), (0.9, 0.9), 0.5), rgb(130, 180, 186), 0.35)


def skin(canvas: Image) -> None:
    z = height_field()
    diffuse, shine, rim = light_on(z)
    hollow = np.clip((blur(z, 9) - z) / 9, 0, 1)
    tone = diffuse - 0.30 * hollow
    colour = ramp(np.clip(0.30 + 0.74 * tone, 0, 1), SKIN)
    region = fill(face_outline(), 0.6)
    # Blood under the skin: cheeks, nose and chin are redder, the brow is paler.
    warm = 0.55 * both(56, 284, 26, 19, 0.3) + 0.40 * bump(CX, 284, 13, 9) + 0.20 * bump(CX, 362, 22, 12)
    darken(colour, warm.astype(np.float32), rgb(252, 206, 196), 0.62)
    darken(colour, both(EYE_DX, EYE_Y + 15, 24, 7).astype(np.float32), rgb(240, 214, 214), 0.35)
    darken(colour, both(EYE_DX - 2, EYE_Y - 13, 28, 9).astype(np.float32), rgb(232, 198, 186), 0.5)
    lighten(colour, shine, rgb(255, 238, 222), 0.20)
    lighten(colour, rim * smooth((X - CX - 30) / 50), rgb(255, 236, 220), 0.18)
    # The hair throws a soft shadow on the forehead and on the sides.
    lay(canvas, region, colour)
    for side in (-1, 1):  # the fold from the nose to the mouth, as soft as a young face has it
        fold = curve([(CX + side * 20, 292), (CX + side * 32, 301), (CX + side * 41.5, 313)])
        darken(canvas, stroke(fold, (0.5, 2.6, 0.5), 2.0), rgb(204, 142, 122), 0.30)
        lighten(canvas, stroke(fold + (side * 4.5, -2.0), (0.5, 4.5, 0.5), 2.6), rgb(255, 232, 214), 0.10)
    nose(canvas)


def nose(canvas: Image) -> None:
    below = bump(CX + 2, 297.5, 15, 4.0) + 0.5 * bump(CX + 6, 301, 16, 6)
    darken(canvas, below, rgb(196, 130, 112), 0.50)
    for side in (-1, 1):
        x = CX + side * 7.8
        line = curve([(x - side * 5.2, 293.6), (x - side * 1, 291.2), (x + side * 4.2, 291.6), (x + side * 6.2, 293.6)])
        darken(canvas, stroke(line, (0.8, 3.4, 3.4, 0.8), 0.8), rgb(116, 56, 50), 0.85)
        wing = curve([(CX + side * 15.2, 281), (CX + side * 18.2, 286), (CX + side * 17.4, 291.6), (CX + side * 13.5, 294)])
        darken(canvas, stroke(wing, (0.3, 1.6, 2.2, 0.6), 1.1), rgb(176, 112, 96), 0.50)
        bridge = curve([(CX + side * 9.5, 222), (CX + side * 7.8, 240), (CX + side * 8.6, 262)])
        darken(canvas, stroke(bridge, (1, 4, 1), 2.6), rgb(206, 150, 128), 0.26 if side > 0 else 0.08)
    darken(canvas, stroke(curve([(CX - 4, 295), (CX, 296.4), (CX + 4, 295)]), (0.5, 1.6, 0.5), 0.9), rgb(176, 108, 94), 0.5)
    lighten(canvas, bump(CX - 2.5, 279.5, 4.6, 4.0), rgb(255, 240, 228), 0.34)
    lighten(canvas, bump(CX - 2.4, 256, 3.4, 20), rgb(255, 240, 226), 0.10)


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
        shade = np.clip(1 - (Y - np.interp(X, *_by_x(top))) / 7.5, 0, 1)
        darken(ball, smooth(shade).astype(np.float32), rgb(108, 88, 92), 0.70)
        _catch_light(ball, x, y)
        lay(canvas, opening, ball)
        _lids(canvas, side, top, bottom)


def _by_x(line: Line) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    order = np.argsort(line[:, 0])
    return line[order, 0], line[order, 1]


def _iris(ball: Image, x: float, y: float) -> None:
    r = np.hypot(X - x, Y - y)
    angle = np.arctan2(Y - y, X - x)
    radius = IRIS
    fibre = sum(np.sin(angle * k + p) * a for k, p, a in ((23, 1.0, 0.5), (37, 2.2, 0.4), (61, 0.3, 0.4), (11, 4.0, 0.3)))
    t = np.clip(r / radius, 0, 1)
    tone = 0.52 + 0.10 * fibre * smooth((t - 0.3) / 0.3) * (1 - smooth((t - 0.75) / 0.25))
    tone = tone + 0.30 * np.clip((Y - y) / radius, -1, 1) * (t > 0)  # light gathers opposite the lamp
    colour = ramp(tone.astype(np.float32), ((0.1, rgb(46, 30, 20)), (0.4, rgb(92, 62, 38)), (0.65, rgb(146, 106, 62)), (0.95, rgb(196, 158, 100))))
    darken(colour, smooth((t - 0.72) / 0.28).astype(np.float32), rgb(64, 42, 32), 0.92)
    lay(ball, np.clip((radius - r) * 1.1 + 0.5, 0, 1).astype(np.float32), colour)
    lay(ball, blur(np.clip((4.7 - r) * 2 + 0.5, 0, 1).astype(np.float32), 0.35), rgb(14, 9, 8))


def _catch_light(ball: Image, x: float, y: float) -> None:
    window = fill(np.array([(x - 6.2, y - 6.0), (x - 2.2, y - 6.8), (x - 1.9, y - 2.8), (x - 5.8, y - 2.2)]), 0.45)
    lay(ball, window, rgb(255, 255, 252), 0.95)
    lighten(ball, bump(x + 4.6, y + 4.8, 2.6, 1.8), rgb(255, 236, 206), 0.45)


def _lids(canvas: Image, side: int, top: Line, bottom: Line) -> None:
    liner = rgb(40, 24, 22)
    # A little beyond the outer corner the lashes sweep up.
    wing = np.concatenate([top, [(top[-1, 0] + side * 3.2, top[-1, 1] - 1.6)]])
    darken(canvas, stroke(wing + (0, -1.0), (1.0, 3.2, 4.2, 4.6, 4.0, 1.2), 1.2), rgb(120, 84, 76), 0.6)
    lay(canvas, stroke(wing + (0, -0.5), (0.7, 1.9, 2.5, 2.9, 2.9, 0.5), 0.3), liner, 0.95)
    for i in range(26):
        t = 0.26 + 0.73 * i / 25
        root = top[int(t * (len(top) - 1))]
        lean = (t - 0.40) * 1.35 + RNG.normal(0, 0.10)
        length = (2.0 + 3.4 * t**1.5) * RNG.uniform(0.75, 1.15)
        tip = root + (side * length * np.sin(lean), -length * np.cos(lean) - 0.4)
        middle = (root + tip) / 2 + (side * 0.6, 0.5)
        lay(canvas, stroke(curve([root, middle, tip], 24), (0.62, 0.36, 0.08), 0.2), liner, 0.62)
    crease = top[20:] + np.stack([np.zeros(len(top) - 20), np.interp(np.linspace(0, 1, len(top) - 20), (0, 0.4, 1), (-4.4, -7.2, -4.6))], 1)
    darken(canvas, stroke(crease, (0.3, 1.7, 2.0, 1.7, 0.3), 0.7), rgb(150, 92, 80), 0.72)
    lighten(canvas, blur(stroke(top[40:170] + (0, -4.3), (1, 3, 1), 0.5), 0.9), rgb(255, 226, 206), 0.20)
    lay(canvas, stroke(bottom[12:-4] + (0, 0.5), (0.4, 1.1, 1.2, 0.4), 0.35), rgb(232, 180, 164), 0.75)
    darken(canvas, stroke(bottom[40:] + (0, 1.4), (0.3, 1.0, 1.5, 1.2), 0.5), rgb(120, 74, 66), 0.62)
    darken(canvas, stroke(bottom[30:-10] + (0, 6.0), (0.5, 2.2, 0.5), 1.6), rgb(206, 156, 142), 0.32)


def brows(canvas: Image) -> None:
    for side in (-1, 1):
        spine = curve([(CX + side * (EYE_DX + dx), BROW_Y + dy) for dx, dy in BROW])
        lay(canvas, stroke(spine[6:], (1.5, 4.6, 6.0, 5.4, 3.6, 0.4), 1.5), rgb(92, 62, 50), 0.62)
        lay(canvas, stroke(spine[40:], (1.0, 4.0, 3.8, 2.6, 0.3), 0.8), rgb(76, 50, 40), 0.45)
        for _ in range(320):
            t = RNG.uniform(0, 0.96)
            at = spine[int(t * 199)]
            along = spine[min(int(t * 199) + 4, 199)] - spine[max(int(t * 199) - 4, 0)]
            along = along / np.linalg.norm(along)
            thick = np.interp(t, (0, 0.12, 0.3, 0.65, 1), (3.6, 5.4, 6.2, 4.8, 0.8))
            off = RNG.uniform(-0.5, 0.5)
            root = at + np.array((0, off * thick))
            # Hairs stand up near the nose, lie flat further out, and close over the brow's spine.
            rise = np.interp(t, (0, 0.2, 0.5, 1), (0.95, 0.45, 0.10, 0.0)) - 0.75 * off * min(1.0, t * 4)
            way = np.array((along[0], along[1] - rise))
            tip = root + way / np.linalg.norm(way) * RNG.uniform(3.2, 5.6) * (1 - 0.30 * t)
            bend = (root + tip) / 2 + (0, -0.3)
            tint = rgb(66, 43, 34) * RNG.uniform(0.8, 1.35)
            faint = 0.22 + 0.20 * min(1.0, t / 0.25)
            lay_small(canvas, curve([root, bend, tip], 12), (0.5, 0.42, 0.1), tint, faint)


def lay_small(canvas: Image, line: Line, widths: Any, colour: Any, opacity: float) -> None:
    """``lay`` of a short ``stroke``, computed only where it is."""
    x0, y0 = np.maximum(np.floor(line.min(0) * S).astype(int) - 6 * S // 2, 0)
    x1, y1 = np.ceil(line.max(0) * S).astype(int) + 6 * S // 2
    w = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths)
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / (np.linalg.norm(along, axis=1)[:, None] + 1e-9)
    shape = np.concatenate([line + normal * w[:, None] / 2, (line - normal * w[:, None] / 2)[::-1]])
    part = canvas[y0:y1, x0:x1]
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round((shape * S - (x0, y0)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    part += (np.asarray(colour, np.float32) - part) * (mask.astype(np.float32)[..., None] / 255 * opacity)


def lips(canvas: Image) -> None:
    seam, top, bottom = (mouth_line(p) for p in (SEAM, LIP_TOP, LIP_BOTTOM))
    darken(canvas, bump(CX, 340, 24, 5), rgb(190, 122, 106), 0.42)
    upper = fill(np.concatenate([top, seam[::-1]]), 0.7)
    lower = fill(np.concatenate([seam, bottom[::-1]]), 0.8)
    down = np.interp(X, *_by_x(bottom)) - np.interp(X, *_by_x(seam))
    t = np.clip((Y - np.interp(X, *_by_x(seam))) / np.maximum(down, 1), 0, 1)
    side = 0.16 * ((X - CX + 6) / 35) ** 2
    body_tone = 0.44 + 0.36 * np.sin(np.pi * np.clip(t * 0.95 + 0.08, 0, 1)) - side
    wrinkle = 0.022 * np.sin((X - CX) * 1.9 + 2.0 * np.sin(X * 0.31)) * np.sin(np.pi * t)
    colours = ((0.0, rgb(112, 50, 52)), (0.3, rgb(164, 84, 82)), (0.55, rgb(198, 112, 106)), (0.85, rgb(226, 152, 140)))
    lay(canvas, lower, ramp((body_tone + wrinkle).astype(np.float32), colours), 0.94)
    up = np.interp(X, *_by_x(seam)) - np.interp(X, *_by_x(top))
    t = np.clip((np.interp(X, *_by_x(seam)) - Y) / np.maximum(up, 1), 0, 1)
    tone = 0.30 + 0.22 * t - side + 0.05 * both(8, 313, 6, 4)
    lay(canvas, upper, ramp(tone.astype(np.float32), colours), 0.92)
    lighten(canvas, stroke(top[30:-30] + (0, -1.3), (0.4, 1.3, 0.9, 1.3, 0.4), 0.9), rgb(255, 226, 208), 0.30)
    shine = bump(CX - 5, 327.6, 10, 2.2) + 0.6 * bump(CX + 9, 327.8, 6, 1.8)
    lighten(canvas, shine.astype(np.float32), rgb(255, 222, 214), 0.34)
    lay(canvas, stroke(seam[6:-6], (0.2, 0.9, 1.6, 1.4, 1.6, 0.9, 0.2), 0.4), rgb(96, 40, 42), 0.88)
    darken(canvas, stroke(seam + (0, 1.6), (0.5, 2.4, 2.6, 2.4, 0.5), 1.0), rgb(150, 84, 84), 0.5)
    darken(canvas, both(38.2, 315.4, 3.2, 2.6), rgb(190, 132, 116), 0.38)


def hair(canvas: Image) -> None:
    silhouette = np.concatenate([curve(HAIR_LEFT_OUT)[::-1], curve(HAIR_RIGHT_OUT)])
    within = fill(silhouette, 0.3)
    roots = np.concatenate([curve(((163, 106), (166, 84), (168, 64)))])
    for inside, outside, side in ((HAIR_LEFT_IN, HAIR_LEFT_OUT, -1), (HAIR_RIGHT_IN, HAIR_RIGHT_OUT, 1)):
        a, b = curve(inside), curve(outside)
        shape = fill(np.concatenate([a, b[::-1]]), 0.5)
        below = blur(fill(np.concatenate([a + (-side * 4.5, 6.0), b[::-1]]), 0), 4.5)
        darken(canvas, below * within, rgb(138, 84, 66), 0.72)
        tone = np.full(X.shape, 74, np.uint8)
        cover = (shape * 255).astype(np.uint8)
        for _ in range(1500):
            _strand(tone, cover, a, b, side)
        level = cv2.GaussianBlur(tone, (0, 0), 0.22 * S).astype(np.float32) / 255
        round_off = np.clip((X - 56) / 20, 0, 1) * np.clip((334 - X) / 20, 0, 1)
        level = level * (0.55 + 0.45 * round_off)
        parting = blur(stroke(roots, (9, 12, 9), 1.0), 4.0)
        level = level * (1 - 0.42 * np.clip(parting, 0, 1))
        colour = ramp(level, ((0.0, rgb(18, 11, 10)), (0.28, rgb(52, 32, 25)), (0.5, rgb(94, 61, 45)), (0.75, rgb(158, 112, 82)), (1.0, rgb(226, 186, 150))))
        lay(canvas, blur(cover.astype(np.float32) / 255, 0.2), colour)
        rim = stroke(b[30:] + (-side * 1.4, 0), (1.0, 3.0, 3.0, 2.0, 0.5), 1.2)
        if side > 0:  # scalp along the parting
            lay(canvas, stroke(roots[:170], (1.5, 1.1, 0.8, 0.2), 0.5), rgb(196, 146, 122), 0.50)
        lighten(canvas, rim * within, rgb(255, 220, 184) if side > 0 else rgb(214, 206, 196), 0.30 if side > 0 else 0.16)


def loose_hairs(canvas: Image) -> None:
    """Single hairs outside the outline and fine ones at the hairline, so that no edge is cut."""
    for _ in range(90):
        line, side = (HAIR_LEFT_OUT, -1) if RNG.random() < 0.5 else (HAIR_RIGHT_OUT, 1)
        edge = curve(line)
        start = int(RNG.uniform(0.02, 0.62) * 199)
        part = edge[start : start + int(RNG.uniform(18, 60))].copy()
        swell = np.sin(np.linspace(0, np.pi, len(part)) * RNG.uniform(0.5, 1.0))
        part[:, 0] += side * RNG.uniform(0.4, 3.2) * swell
        part[:, 1] -= RNG.uniform(0.0, 1.6) * swell
        lay(canvas, stroke(part, (0.1, 0.36, 0.1), 0.2), rgb(84, 58, 46), RNG.uniform(0.2, 0.5))
    for _ in range(150):
        line, side = (HAIR_LEFT_IN, -1) if RNG.random() < 0.42 else (HAIR_RIGHT_IN, 1)
        edge = curve(line)
        start = int(RNG.uniform(0.0, 0.34) * 199)
        part = edge[start : start + int(RNG.uniform(10, 26))].copy()
        part += np.linspace(0, 1, len(part))[:, None] * (-side * RNG.uniform(-1.0, 2.2), RNG.uniform(0, 2.4))
        lay(canvas, stroke(part, (0.5, 0.36, 0.06), 0.2), rgb(66, 42, 33), RNG.uniform(0.2, 0.55))


def necklace(canvas: Image) -> None:
    chain = curve(((134, 436), (156, 456), (178, 466), (192, 468.5), (206, 466), (228, 456), (250, 436)))
    darken(canvas, stroke(chain + (0.8, 1.8), (1.1, 1.1), 0.7), rgb(160, 100, 84), 0.55)
    lay(canvas, stroke(chain, (0.9, 0.9), 0.2), rgb(190, 146, 84))
    for i in range(8, 196, 4):
        lay_small(canvas, chain[i : i + 2] - 0.15, (0.5, 0.5), rgb(255, 232, 178), 0.9)
    x, y, r = 192.0, 472.6, 3.6
    turn = np.linspace(0, 2 * np.pi, 60)
    disc = np.stack([x + r * np.cos(turn), y + r * np.sin(turn)], 1)
    darken(canvas, fill(disc + (1.0, 1.8), 0.9), rgb(160, 100, 84), 0.6)
    tone = np.clip(0.5 - 0.5 * ((X - x) + (Y - y)) / (1.6 * r), 0, 1).astype(np.float32)
    lay(canvas, fill(disc, 0.2), ramp(tone, ((0, rgb(140, 98, 48)), (0.6, rgb(214, 172, 104)), (1, rgb(255, 240, 200)))))


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
    ring = np.exp(-(((t - 0.30 - 0.06 * np.sin(7 * u)) / 0.085) ** 2)) * (1.0 if side < 0 else 0.8)
    second = 0.38 * np.exp(-(((t - 0.72 + 0.05 * np.sin(9 * u)) / 0.10) ** 2))
    base = RNG.normal(72, 22) + 20 * np.sin(u * 19 + 2.0 * side)
    value = base + (150 * ring + 120 * second) * RNG.uniform(0.35, 1.0)
    points = np.round(line * S * 16).astype(np.int32)
    thick = int(RNG.integers(1, 4)) * S // 4 or 1
    for k in range(n - 1):
        segment = [points[k : k + 2].reshape(-1, 1, 2)]
        cv2.polylines(tone, segment, False, float(np.clip(value[k], 8, 240)), thick, cv2.LINE_AA, 4)
    cv2.polylines(cover, [points.reshape(-1, 1, 2)], False, 255.0, max(thick - 1, 1), cv2.LINE_AA, 4)


def finish(canvas: Image) -> NDArray[np.uint8]:
    """Grade, add the faintest grain against banding, and reduce to the master's size."""
    canvas = np.clip(canvas, 0, 1)
    vignette = 1 - 0.16 * smooth((np.hypot((X - CX) / 300, (Y - 270) / 420) - 0.45) / 0.7)
    canvas = canvas * vignette[..., None]
    size = (WIDTH * MASTER, HEIGHT * MASTER)
    small = cv2.resize(canvas.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    grain = RNG.normal(0, 0.0035, small.shape[:2]).astype(np.float32)[..., None]
    return np.clip((small + grain) * 255 + 0.5, 0, 255).astype(np.uint8)[..., ::-1].copy()


def paint() -> NDArray[np.uint8]:
    canvas = background()
    back_hair(canvas)
    body(canvas)
    skin(canvas)
    eyes(canvas)
    lips(canvas)
    brows(canvas)
    hair(canvas)
    loose_hairs(canvas)
    necklace(canvas)
    jacket(canvas)
    return finish(canvas)


# Landmarks: what was drawn is known exactly; the rest of the mesh is pulled along with it.

LIP_ROWS = {
    "top": (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    "bottom": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
    "seam above": (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    "seam below": (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
}
LIP_BETWEEN = (  # (row, share of the way from the outline to the seam, outline)
    ((184, 74, 73, 72, 11, 302, 303, 304, 408), 0.33, "top"),
    ((183, 42, 41, 38, 12, 268, 271, 272, 407), 0.67, "top"),
    ((77, 90, 180, 85, 16, 315, 404, 320, 307), 0.33, "bottom"),
    ((96, 89, 179, 86, 15, 316, 403, 319, 325), 0.67, "bottom"),
)
EYE_ROWS = {  # (side, which lid): from the nose outwards
    (-1, 0): (133, 173, 157, 158, 159, 160, 161, 246, 33),
    (-1, 1): (133, 155, 154, 153, 145, 144, 163, 7, 33),
    (1, 0): (362, 398, 384, 385, 386, 387, 388, 466, 263),
    (1, 1): (362, 382, 381, 380, 374, 373, 390, 249, 263),
}


def exact_points() -> dict[int, tuple[float, float]]:
    """Where the landmarks of lips and eyes were drawn, by their number in the mesh."""
    found: dict[int, tuple[float, float]] = {}

    def put(row: tuple[int, ...], line: Line) -> None:
        for i, point in zip(row, line[np.linspace(0, len(line) - 1, len(row)).astype(int)], strict=True):
            found[i] = (float(point[0]), float(point[1]))

    top, bottom, seam = (mouth_line(p) for p in (LIP_TOP, LIP_BOTTOM, SEAM))
    for row, share, outline in LIP_BETWEEN:
        edge = top if outline == "top" else bottom
        put(row, (edge * (1 - share) + seam * share)[16:-16])
    put(LIP_ROWS["top"], top)
    put(LIP_ROWS["bottom"], bottom)
    # The lips part a little inside the corners.
    put(LIP_ROWS["seam above"], seam[8:-8])
    put(LIP_ROWS["seam below"], seam[8:-8])
    for left, right, t in ((76, 306, 0.012), (62, 292, 0.025)):
        put((left, right), seam[[int(t * 199), 199 - int(t * 199)]])
    for (side, lid), row in EYE_ROWS.items():
        put(row, eye_lines(side)[lid])
    return found


def landmarks() -> Line:
    """(478, 2) in units: the face mesh and five points for each iris."""
    measured: Line = np.array(json.loads((FOLDER / "mesh.json").read_text(encoding="utf-8")))
    exact = exact_points()
    known = np.array(list(exact))
    moved = np.array(list(exact.values())) - measured[known]
    away = np.linalg.norm(measured[:, None] - measured[None, known], axis=2)
    pull = np.exp(-((away / 9.0) ** 2))
    mesh: Line = measured + (pull @ moved) / np.maximum(pull.sum(axis=1), 1.0)[:, None]
    mesh[known] = np.array(list(exact.values()))
    around = np.array(((0, 0), (1, 0), (0, -1), (-1, 0), (0, 1))) * IRIS
    irises = [around + (CX + side * EYE_DX, EYE_Y - 0.9) for side in (-1, 1)]
    return np.concatenate([mesh, *irises])


def facts() -> dict[str, Any]:
    pixels = landmarks() * MASTER - 0.5
    return {
        "name": "Mira",
        "layout": {"lid_color_bgr": [int(v) for v in (LID[::-1] * 255).round()]},
        "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in pixels],
    }


if __name__ == "__main__":
    cv2.imwrite(str(FOLDER / "mira.png"), paint(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    (FOLDER / "mira.json").write_text(json.dumps(facts()) + "\n", encoding="utf-8")
