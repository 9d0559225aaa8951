"""Who is painted: the lines that everything else follows, in units, mostly from the face's axis."""

from typing import Any

import numpy as np

from deployments.avatar.painting.brush import CX, Line, curve, rgb

EYE_Y, EYE_DX = 236.0, 42.0
IRIS = 11.8
FACE = (
    (0, 106),
    (44, 114),
    (74, 146),
    (87, 194),
    (89, 238),
    (84.5, 280),
    (72.5, 317),
    (51.5, 348),
    (28, 366.5),
    (12, 372.2),
    (0, 373.2),
)
EYE_TOP = (
    (-24, 4.0),
    (-18.5, -3.0),
    (-9.5, -9.2),
    (0.5, -11.4),
    (10.5, -10.6),
    (19, -6.6),
    (25.5, -2.2),
)
EYE_BOTTOM = (
    (-24, 4.0),
    (-17.5, 6.8),
    (-8.5, 9.2),
    (0.5, 9.8),
    (10.5, 8.4),
    (19, 4.0),
    (25.5, -2.2),
)
SEAM = (
    (-36.5, 315.4),
    (-24, 319.4),
    (-11, 322.4),
    (0, 321.9),
    (11, 322.4),
    (24, 319.4),
    (36.5, 315.4),
)
LIP_TOP = (
    (-36.5, 315.4),
    (-24, 313.0),
    (-8.5, 310.2),
    (0, 312.0),
    (8.5, 310.2),
    (24, 313.0),
    (36.5, 315.4),
)
LIP_BOTTOM = (
    (-36.5, 315.4),
    (-26.5, 325.0),
    (-13, 333.2),
    (0, 335.6),
    (13, 333.2),
    (26.5, 325.0),
    (36.5, 315.4),
)
# From the nose outwards, about y ``BROW_Y``.
BROW = ((-25, 1.8), (-13, -1.6), (3, -4.6), (17, -5.6), (25, -3.4), (33, 2.0))
BROW_Y = 203.5
HAIR_LEFT_IN = (
    (163, 106),
    (143, 120),
    (121, 152),
    (109, 190),
    (104.5, 228),
    (101, 270),
    (102, 320),
    (111, 366),
    (118, 410),
    (112, 446),
    (104, 490),
)
HAIR_LEFT_OUT = (
    (168, 61),
    (149, 64.5),
    (122, 80),
    (95, 118),
    (79, 180),
    (72, 245),
    (63, 305),
    (58, 360),
    (64, 410),
    (66, 446),
    (58, 490),
)
HAIR_RIGHT_IN = (
    (163, 106),
    (196, 124),
    (232, 148),
    (262, 180),
    (276, 214),
    (281, 254),
    (282, 300),
    (275, 350),
    (268, 400),
    (273, 446),
    (280, 490),
)
HAIR_RIGHT_OUT = (
    (168, 61),
    (212, 58.5),
    (264, 78),
    (300, 126),
    (316, 190),
    (322, 250),
    (329, 310),
    (332, 360),
    (325, 405),
    (321, 446),
    (328, 490),
)
LID = rgb(226, 174, 150)
SKIN = (
    (0.00, rgb(112, 62, 50)),
    (0.30, rgb(158, 98, 78)),
    (0.52, rgb(203, 144, 117)),
    (0.72, rgb(230, 180, 152)),
    (0.88, rgb(245, 207, 182)),
    (1.00, rgb(252, 226, 206)),
)


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
