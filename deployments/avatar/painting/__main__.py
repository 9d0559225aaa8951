"""Paints ``portraits/mira.png`` and writes ``portraits/mira.json``; takes about a minute."""

import json

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.painting.brush import CX, HEIGHT, MASTER, RNG, WIDTH, Image, X, Y, smooth
from deployments.avatar.painting.clothes import background, body, jacket, necklace
from deployments.avatar.painting.features import brows, eyes, lips
from deployments.avatar.painting.hair import back_hair, hair, loose_hairs
from deployments.avatar.painting.landmarks import FOLDER, facts
from deployments.avatar.painting.skin import skin


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


def finish(canvas: Image) -> NDArray[np.uint8]:
    """Grade, add the faintest grain against banding, and reduce to the master's size."""
    canvas = np.clip(canvas, 0, 1)
    vignette = 1 - 0.16 * smooth((np.hypot((X - CX) / 300, (Y - 270) / 420) - 0.45) / 0.7)
    canvas = canvas * vignette[..., None]
    size = (WIDTH * MASTER, HEIGHT * MASTER)
    small = cv2.resize(canvas.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    grain = RNG.normal(0, 0.0035, small.shape[:2]).astype(np.float32)[..., None]
    painted = np.clip((small + grain) * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(painted[..., ::-1])


if __name__ == "__main__":
    cv2.imwrite(str(FOLDER / "mira.png"), paint(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    (FOLDER / "mira.json").write_text(json.dumps(facts()) + "\n", encoding="utf-8")
