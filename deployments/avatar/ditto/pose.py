"""From a frame's motion to 21 key points: head pose, expression and shift.

Source: the key point formula of LivePortrait, which the published networks were trained with
(goldens 01).
"""

import numpy as np

from deployments.avatar.ditto.vector import POSE, FloatArray, Info

N_POINTS = 21
_N_BINS, _BIN_DEG, _FIRST_BIN_DEG = 66, 3.0, -97.5


def degrees(angle: FloatArray) -> FloatArray:
    """(..., 1) degrees of logits (..., 66); of degrees (..., 1), the same."""
    if angle.shape[-1] != _N_BINS:
        return angle
    logits = angle.astype(np.float64)
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    odds /= odds.sum(axis=-1, keepdims=True)
    mean = (odds * np.arange(_N_BINS)).sum(axis=-1, keepdims=True)
    return np.asarray(mean * _BIN_DEG + _FIRST_BIN_DEG, dtype=np.float32)


def rotation(pitch: FloatArray, yaw: FloatArray, roll: FloatArray) -> FloatArray:
    """(..., 3, 3), to be multiplied from the right, of angles in degrees (..., 1)."""
    (cp, sp), (cy, sy), (cr, sr) = (_turn(angle[..., 0]) for angle in (pitch, yaw, roll))
    zero, one = np.zeros_like(cp), np.ones_like(cp)
    about_x = _matrix((one, zero, zero), (zero, cp, -sp), (zero, sp, cp))
    about_y = _matrix((cy, zero, sy), (zero, one, zero), (-sy, zero, cy))
    about_z = _matrix((cr, -sr, zero), (sr, cr, zero), (zero, zero, one))
    return np.swapaxes(about_z @ about_y @ about_x, -1, -2).astype(np.float32)


def key_points(info: Info) -> FloatArray:
    """(..., 21, 3) of the parts (..., k) with ``kp``; pose as logits or degrees."""
    turned = _points(info["kp"]) @ rotation(*(degrees(info[key]) for key in POSE))
    placed = info["scale"][..., None] * (turned + _points(info["exp"]))
    placed[..., :2] += info["t"][..., None, :2]
    return placed


def _turn(angle_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    radians = np.deg2rad(angle_deg)
    return np.cos(radians), np.sin(radians)


def _matrix(*rows: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _points(flat: FloatArray) -> FloatArray:
    return flat.reshape(*flat.shape[:-1], N_POINTS, 3)
