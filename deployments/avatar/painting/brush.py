"""Brushes: masks, strokes and ways to lay colour on a canvas.

Lengths are in units of the final frame (384x576); the canvas has ``S`` pixels to a unit.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]  # (rows, cols, 3) RGB in 0..1
Mask = NDArray[np.float32]  # (rows, cols) 0..1
Line = NDArray[np.float64]  # (n, 2) units
WIDTH, HEIGHT = 384, 576
MASTER = 2  # the committed picture is twice the frame's size
S = 4
CX = 192.0  # the face's axis
RNG = np.random.default_rng(7)
Y, X = np.mgrid[0 : HEIGHT * S, 0 : WIDTH * S].astype(np.float32)
X = (X + 0.5) / S
Y = (Y + 0.5) / S


def rgb(*values: int) -> NDArray[np.float32]:
    return (np.array(values) / 255).astype(np.float32)


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


def shifted(line: Line, dx: float, dy: float) -> Line:
    moved: Line = line + np.array((dx, dy))
    return moved


def fill(polygon: Line, soft: float = 0.35) -> Mask:
    canvas = np.zeros(X.shape, np.uint8)
    cv2.fillPoly(canvas, [np.round(polygon * S * 16 - 8).astype(np.int32)], 255, cv2.LINE_AA, 4)
    mask: Mask = blur(canvas.astype(np.float32) / 255, soft)
    return mask


def ribbon(line: Line, widths: Any) -> Line:
    """The outline of ``line`` with a width that follows ``widths`` (any number of values)."""
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1)
    across /= np.linalg.norm(along, axis=1)[:, None] + 1e-9
    w = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths)
    side = across * w[:, None] / 2
    return np.concatenate([line + side, (line - side)[::-1]])


def stroke(line: Line, widths: Any, soft: float = 0.3) -> Mask:
    """A brush stroke along ``line``."""
    return fill(ribbon(line, widths), soft)


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


def lay_small(canvas: Image, line: Line, widths: Any, colour: Any, opacity: float) -> None:
    """``lay`` of a short ``stroke``, computed only where it is."""
    x0, y0 = np.maximum(np.floor(line.min(0) * S).astype(int) - 6 * S // 2, 0)
    x1, y1 = np.ceil(line.max(0) * S).astype(int) + 6 * S // 2
    shape = ribbon(line, widths)
    part = canvas[y0:y1, x0:x1]
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(
        mask, [np.round((shape * S - (x0, y0)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4
    )
    part += (np.asarray(colour, np.float32) - part) * (
        mask.astype(np.float32)[..., None] / 255 * opacity
    )


def bump(x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> Mask:
    """A Gaussian hill of height 1."""
    c, s = np.cos(angle), np.sin(angle)
    dx, dy = X - x, Y - y
    hill: Mask = np.exp(-(((dx * c + dy * s) / rx) ** 2) - ((dy * c - dx * s) / ry) ** 2)
    return hill


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


def by_x(line: Line) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    order = np.argsort(line[:, 0])
    return line[order, 0], line[order, 1]
