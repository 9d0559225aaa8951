"""The head: a height field under three lamps, with blood under the skin."""

import numpy as np

from deployments.avatar.painting.brush import (
    CX,
    Image,
    Mask,
    S,
    X,
    Y,
    blur,
    both,
    bump,
    curve,
    darken,
    fill,
    lay,
    lighten,
    ramp,
    rgb,
    shifted,
    smooth,
    stroke,
)
from deployments.avatar.painting.figure import EYE_DX, EYE_Y, SKIN, face_outline


def skin(canvas: Image) -> None:
    z = height_field()
    diffuse, shine, rim = light_on(z)
    hollow = np.clip((blur(z, 9) - z) / 9, 0, 1)
    tone = diffuse - 0.30 * hollow
    colour = ramp(np.clip(0.30 + 0.74 * tone, 0, 1), SKIN)
    region = fill(face_outline(), 0.6)
    # Blood under the skin: cheeks, nose and chin are redder, the brow is paler.
    warm = (
        0.55 * both(56, 284, 26, 19, 0.3)
        + 0.40 * bump(CX, 284, 13, 9)
        + 0.20 * bump(CX, 362, 22, 12)
    )
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
        lighten(
            canvas,
            stroke(shifted(fold, side * 4.5, -2.0), (0.5, 4.5, 0.5), 2.6),
            rgb(255, 232, 214),
            0.10,
        )
    nose(canvas)


def height_field() -> Mask:
    dx = X - CX
    skull = 96 * np.sqrt(
        np.clip(1.02 - np.abs(dx / 97) ** 2.3 - np.abs((Y - 238) / 150) ** 2.3, 0.0, 1)
    )
    z = skull
    ridge = np.interp(Y, (206, 222, 250, 276, 284, 292, 297), (0, 3, 8.5, 18, 19.5, 8, 0))
    z = z + blur(ridge.astype(np.float32), 1.5) * np.exp(
        -((dx / (8.5 + 2.5 * smooth((Y - 240) / 40))) ** 2)
    )
    z += 5.5 * bump(CX, 281, 10, 9) + 5.5 * both(12.2, 286, 6.0, 6.0)
    z -= 7.0 * both(40, 231, 30, 17) + 4.0 * both(17, 236, 9, 14)
    z += 5.0 * both(EYE_DX, EYE_Y, 23, 12)
    z += 3.0 * both(42, 211, 34, 9) + 4.0 * bump(CX, 160, 60, 40)
    z += 8.0 * both(55, 279, 27, 24, 0.35)
    z += 6.5 * bump(CX, 320, 38, 25) - 1.6 * bump(CX, 302, 4.5, 8)
    z -= 4.8 * bump(CX, 342, 24, 6.5) - 8.5 * bump(CX, 360, 25, 15)
    z -= 2.5 * both(46, 322, 9, 12)
    field: Mask = blur(z.astype(np.float32), 1.1)
    return field


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


def nose(canvas: Image) -> None:
    below = bump(CX + 2, 297.5, 15, 4.0) + 0.5 * bump(CX + 6, 301, 16, 6)
    darken(canvas, below, rgb(196, 130, 112), 0.50)
    for side in (-1, 1):
        x = CX + side * 7.8
        line = curve(
            [
                (x - side * 5.2, 293.6),
                (x - side * 1, 291.2),
                (x + side * 4.2, 291.6),
                (x + side * 6.2, 293.6),
            ]
        )
        darken(canvas, stroke(line, (0.8, 3.4, 3.4, 0.8), 0.8), rgb(116, 56, 50), 0.85)
        wing = curve(
            [
                (CX + side * 15.2, 281),
                (CX + side * 18.2, 286),
                (CX + side * 17.4, 291.6),
                (CX + side * 13.5, 294),
            ]
        )
        darken(canvas, stroke(wing, (0.3, 1.6, 2.2, 0.6), 1.1), rgb(176, 112, 96), 0.50)
        bridge = curve([(CX + side * 9.5, 222), (CX + side * 7.8, 240), (CX + side * 8.6, 262)])
        darken(
            canvas, stroke(bridge, (1, 4, 1), 2.6), rgb(206, 150, 128), 0.26 if side > 0 else 0.08
        )
    darken(
        canvas,
        stroke(curve([(CX - 4, 295), (CX, 296.4), (CX + 4, 295)]), (0.5, 1.6, 0.5), 0.9),
        rgb(176, 108, 94),
        0.5,
    )
    lighten(canvas, bump(CX - 2.5, 279.5, 4.6, 4.0), rgb(255, 240, 228), 0.34)
    lighten(canvas, bump(CX - 2.4, 256, 3.4, 20), rgb(255, 240, 226), 0.10)
