"""The face mesh of the painting: what was drawn is known exactly, the rest is pulled along."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from deployments.avatar.painting.brush import CX, MASTER, Line, shifted
from deployments.avatar.painting.figure import (
    EYE_DX,
    EYE_Y,
    IRIS,
    LID,
    LIP_BOTTOM,
    LIP_TOP,
    SEAM,
    eye_lines,
    mouth_line,
)

FOLDER = Path(__file__).parents[1] / "portraits"

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
        for i, point in zip(
            row, line[np.linspace(0, len(line) - 1, len(row)).astype(int)], strict=True
        ):
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
    irises = [shifted(around, CX + side * EYE_DX, EYE_Y - 0.9) for side in (-1, 1)]
    return np.concatenate([mesh, *irises])


def facts() -> dict[str, Any]:
    pixels = landmarks() * MASTER - 0.5
    return {
        "name": "Mira",
        "layout": {"lid_color_bgr": [int(v) for v in (LID[::-1] * 255).round()]},
        "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in pixels],
    }
