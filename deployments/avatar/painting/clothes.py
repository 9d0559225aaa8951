"""Backdrop, neck, clothes and a chain."""

import numpy as np

from deployments.avatar.painting.brush import (
    CX,
    Image,
    X,
    Y,
    blur,
    both,
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
from deployments.avatar.painting.figure import SKIN, face_outline


def background() -> Image:
    glow = np.exp(-(((X - 150) / 230) ** 2) - ((Y - 210) / 300) ** 2)
    canvas = ramp(
        glow, ((0, rgb(128, 146, 150)), (0.5, rgb(176, 191, 191)), (1, rgb(222, 227, 222)))
    )
    # Out of focus behind: a warm lamp and the edge of a wall, barely there.
    lay(canvas, blur((X > 300).astype(np.float32), 14), canvas * rgb(232, 236, 238), 0.8)
    lighten(canvas, bump(332, 120, 46, 70), rgb(255, 226, 186), 0.22)
    lighten(canvas, bump(46, 330, 60, 90), rgb(255, 240, 220), 0.10)
    return canvas


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
    shadow = blur(fill(shifted(face_outline(), 7, 17), 0), 6.5) * region
    darken(canvas, shadow, rgb(150, 96, 82), 0.95)
    contact = blur(fill(shifted(face_outline(), 2, 5), 0), 2.5) * region
    darken(canvas, contact, rgb(178, 128, 116), 0.75)
    hair_shade = (
        blur(((X < 136) | (X > 250)).astype(np.float32), 9) * region * smooth((462 - Y) / 50)
    )
    darken(canvas, hair_shade, rgb(128, 84, 74), 0.75)
    _top(canvas)


def _top(canvas: Image) -> None:
    neckline = curve(
        ((112, 462), (142, 482), (170, 496), (192, 500), (214, 496), (242, 482), (272, 462))
    )
    region = fill(np.concatenate([neckline, np.array([(290, 600), (94, 600)])]), 0.5)
    tone = 0.86 - 0.10 * ((X - 165) / 90) ** 2 - 0.05 * smooth((Y - 520) / 60)
    tone = (
        tone
        - 0.06 * bump(176, 545, 6, 40, 0.2)
        - 0.05 * bump(214, 550, 7, 40, -0.25)
        + 0.05 * bump(196, 545, 6, 40)
    )
    cloth = ramp(
        tone.astype(np.float32),
        ((0.3, rgb(150, 138, 128)), (0.7, rgb(222, 212, 200)), (0.95, rgb(250, 245, 236))),
    )
    darken(canvas, blur(region, 3), rgb(190, 140, 122), 0.5)
    lay(canvas, region, cloth)
    darken(canvas, stroke(shifted(neckline, 0, 3.4), (0.7,) * 3, 0.4), rgb(196, 182, 170), 0.7)
    lighten(canvas, stroke(shifted(neckline, 0, 1.2), (1.2,) * 3, 0.5), rgb(255, 250, 240), 0.35)


def jacket(canvas: Image) -> None:
    for side in (-1, 1):

        def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
            return [(CX + side * dx, y) for dx, y in points]  # noqa: B023

        shoulder = curve(
            at((62, 434), (84, 442), (118, 456), (150, 474), (176, 500), (190, 545), (196, 600))
        )
        front = curve(at((62, 434), (66, 458), (62, 492), (46, 536), (26, 580), (18, 600)))
        region = fill(np.concatenate([shoulder, front[::-1]]), 0.5)
        lit = 0.50 - 0.17 * side * ((X - CX) * side / 190) - 0.20 * smooth((Y - 470) / 120)
        lit = lit + 0.22 * blur(stroke(shifted(shoulder, 0, 9), (4, 10, 14, 12, 8), 2), 5)
        lit = (
            lit
            - 0.10 * bump(CX + side * 138, 560, 8, 60, side * 0.18)
            + 0.05 * bump(CX + side * 152, 556, 9, 60, side * 0.18)
        )
        cloth = ramp(
            lit.astype(np.float32),
            ((0.1, rgb(14, 34, 42)), (0.4, rgb(30, 66, 76)), (0.75, rgb(62, 112, 120))),
        )
        darken(canvas, blur(region, 4.5), rgb(120, 110, 108), 0.55)
        lay(canvas, region, cloth)
        lapel = np.concatenate(
            [
                curve(at((62, 434), (66, 458), (62, 492), (46, 536), (26, 580), (18, 600))),
                curve(at((54, 600), (70, 556), (92, 516))),
                np.array(at((84, 507), (97, 498))),
                curve(at((97, 498), (90, 470), (78, 446))),
            ]
        )
        cut = fill(lapel, 0.4)
        darken(canvas, blur(cut, 3) * region, rgb(120, 130, 136), 0.8)
        lay(canvas, cut * region, cloth * 1.16 + 0.012)
        edge = curve(at((54, 600), (70, 556), (92, 516)))
        lighten(canvas, stroke(edge, (0.8, 0.8), 0.4), rgb(120, 170, 176), 0.30)
        lighten(
            canvas, stroke(shifted(front, side * 1.0, 0), (0.9, 0.9), 0.5), rgb(130, 180, 186), 0.35
        )


def necklace(canvas: Image) -> None:
    chain = curve(
        ((134, 436), (156, 456), (178, 466), (192, 468.5), (206, 466), (228, 456), (250, 436))
    )
    darken(canvas, stroke(shifted(chain, 0.8, 1.8), (1.1, 1.1), 0.7), rgb(160, 100, 84), 0.55)
    lay(canvas, stroke(chain, (0.9, 0.9), 0.2), rgb(190, 146, 84))
    for i in range(8, 196, 4):
        lay_small(canvas, chain[i : i + 2] - 0.15, (0.5, 0.5), rgb(255, 232, 178), 0.9)
    x, y, r = 192.0, 472.6, 3.6
    turn = np.linspace(0, 2 * np.pi, 60)
    disc = np.stack([x + r * np.cos(turn), y + r * np.sin(turn)], 1)
    darken(canvas, fill(shifted(disc, 1.0, 1.8), 0.9), rgb(160, 100, 84), 0.6)
    tone = np.clip(0.5 - 0.5 * ((X - x) + (Y - y)) / (1.6 * r), 0, 1).astype(np.float32)
    lay(
        canvas,
        fill(disc, 0.2),
        ramp(tone, ((0, rgb(140, 98, 48)), (0.6, rgb(214, 172, 104)), (1, rgb(255, 240, 200)))),
    )
