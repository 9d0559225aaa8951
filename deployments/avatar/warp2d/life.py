"""What a face does besides speaking: it blinks, looks about, breathes and is never quite still.

Everything here is a pure function of a seed and of the number of frames since the face was at
rest, so it needs no state beyond those two numbers.
"""

import math

import numpy as np
from numpy.typing import NDArray

_BLINK_SLOT_S = 3.4  # one blink in each: about 18 a minute, the usual rate of a person who talks
_GAZE_SLOT_S = 1.7
_SETTLE_S = 1.2  # from rest to full liveliness
# A blink over time, in seconds: closes in 80 ms, stays 40, opens in 160.
_BLINK_AT_S = (0.0, 0.08, 0.12, 0.20, 0.28)
_BLINK_SHUT = (0.0, 1.0, 1.0, 0.35, 0.0)


def settle(n: NDArray[np.int64], fps: int) -> NDArray[np.float64]:
    """(n,) 0 at rest, rising smoothly to 1."""
    return smoothstep(n / (fps * _SETTLE_S))


def smoothstep(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def blink(
    n: NDArray[np.int64], fps: int, seed: int, rate: float, starts_before: int | None
) -> NDArray[np.float64]:
    """(n,) 0 open .. 1 closed; none begins at or after frame ``starts_before``."""
    shut = np.zeros(len(n))
    if rate <= 0 or not len(n):
        return shut
    slot_s = _BLINK_SLOT_S / rate
    first, last = (int(edge / fps / slot_s) for edge in (n[0], n[-1]))
    for slot in range(max(first - 1, 0), last + 1):
        start_s = (slot + 0.25 + 0.6 * chance(seed, 1, slot)) * slot_s
        if starts_before is not None and start_s * fps >= starts_before:
            continue
        shut = np.maximum(shut, np.interp(n / fps - start_s, _BLINK_AT_S, _BLINK_SHUT, 0, 0))
    return shut


def gaze(n: NDArray[np.int64], fps: int, seed: int) -> NDArray[np.float64]:
    """(n, 2) short looks aside; most of the time the eyes are on the viewer."""
    slot, within = np.divmod(n / fps, _GAZE_SLOT_S)
    here = np.array([_look(seed, int(s)) for s in slot]).reshape(-1, 2)
    before = np.array([_look(seed, int(s) - 1) for s in slot]).reshape(-1, 2)
    # Eyes jump: a saccade of this size takes about 50 ms.
    arrived = smoothstep(within / 0.06)[:, None]
    looks: NDArray[np.float64] = before + (here - before) * arrived
    return looks


def sway(n: NDArray[np.int64], fps: int, seed: int) -> NDArray[np.float64]:
    """(n, 4) yaw, pitch, roll and breath; slow sums of sines that do not repeat for minutes."""
    t = n / fps
    phase = [2 * math.pi * chance(seed, 3, i) for i in range(6)]
    yaw = 0.55 * np.sin(0.83 * t + phase[0]) + 0.35 * np.sin(1.37 * t + phase[1])
    pitch = 0.40 * np.sin(0.71 * t + phase[2]) + 0.25 * np.sin(1.73 * t + phase[3])
    roll = 0.50 * np.sin(0.59 * t + phase[4]) + 0.30 * np.sin(1.11 * t + phase[5])
    breath = 0.5 - 0.5 * np.cos(2 * math.pi * t / 4.2)  # 14 breaths a minute
    return np.stack([yaw, pitch, roll, breath], axis=1)


def chance(seed: int, kind: int, index: int) -> float:
    """A number in [0, 1) that looks random and is always the same for the same arguments."""
    # Multiply-and-shift mixing of 64 bits; the constants are large odd numbers of no meaning.
    x = (seed * 0x9E3779B97F4A7C15 + kind * 0xD1B54A32D192ED03 + index) & (2**64 - 1)
    for _ in range(3):
        x = ((x ^ (x >> 31)) * 0xD6E8FEB86659FD93) & (2**64 - 1)
    return (x >> 11) / 2**53


def _look(seed: int, slot: int) -> tuple[float, float]:
    if slot < 0 or chance(seed, 4, slot) < 0.62:
        return 0.0, 0.0
    side = chance(seed, 5, slot) * 2 - 1
    return 0.75 * side, 0.5 * (chance(seed, 6, slot) - 0.4)
