"""Mouth shapes from sound alone, for speech without phonemes.

Loudness opens the jaw; the balance of three bands tells open, spread, rounded and hissed sounds
apart. Only the frame's own sound and what follows within the context is heard, so a stretch needs
no sound of the one before; what has to be remembered is in ``Hearing``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.types import AudioChunk

_WINDOW_S = 0.05
_WINDOW_OFFSET_S = 0.0  # so the lips lead the sound by 10-20 ms (own benchmark, 2026-11)
_SILENCE = 0.004  # root mean square below which nobody speaks: -48 dBFS
_LEVEL_DECAY = 0.997  # per frame: the loudest moment is half forgotten after 9 s
_LEVEL_START = 0.05
_FOLLOW = 0.75  # share of the way to the new shape per frame


@dataclass(frozen=True, slots=True)
class Hearing:
    """``level``: the loudest lately. ``shape``: the mouth of the last frame, (7,)."""

    level: float = _LEVEL_START
    shape: tuple[float, ...] = (0.0,) * 7


def shapes(
    audio: AudioChunk, n_frames: int, fps: int, hearing: Hearing
) -> tuple[NDArray[np.float64], Hearing]:
    """(n_frames, 7) mouth controls, and what to remember."""
    level, shape = hearing.level, np.array(hearing.shape)
    rows = np.zeros((n_frames, 7))
    for i in range(n_frames):
        window = _window(audio, i, fps)
        rms = float(np.sqrt(np.mean(np.square(window))))
        level = max(rms, _LEVEL_START + (level - _LEVEL_START) * _LEVEL_DECAY)
        shape = shape + _FOLLOW * (_target(window, audio.sample_rate_hz, rms / level, rms) - shape)
        rows[i] = shape
    return rows, Hearing(level, tuple(float(value) for value in shape))


def _window(audio: AudioChunk, frame: int, fps: int) -> NDArray[np.float64]:
    rate = audio.sample_rate_hz
    start = round((frame / fps + _WINDOW_OFFSET_S) * rate)
    size = max(round(_WINDOW_S * rate), 16)
    heard = audio.samples[start : start + size].astype(np.float64)
    return np.pad(heard, (0, size - len(heard)))


def _target(
    window: NDArray[np.float64], rate_hz: int, relative: float, rms: float
) -> NDArray[np.float64]:
    if rms < _SILENCE:
        return np.zeros(7)
    low, middle, high = _bands(window, rate_hz)
    total = low + middle + high + 1e-12
    hiss = min(1.0, max(0.0, high / total - 0.35) * 2.2)
    bright = min(1.0, middle / (low + middle + 1e-12) * 2.6)
    opened = min(1.0, max(0.0, relative - 0.10) / 0.62) ** 0.75 * (1 - 0.75 * hiss)
    wide = 0.7 * bright * (1 - hiss) + 0.5 * hiss
    rounded = max(0.0, 0.45 - bright) * 1.7 * opened * (1 - hiss)
    jaw = opened * (0.78 - 0.3 * rounded)
    return np.array([jaw, wide * min(1.0, opened + hiss), rounded, 0, 0.3 * opened + 0.3 * hiss, 0,
                     0.25 * hiss])  # fmt: skip


def _bands(window: NDArray[np.float64], rate_hz: int) -> tuple[float, float, float]:
    """Energy up to 900 Hz, from there to 2600 Hz, and above: first formant, second, hiss."""
    power = np.abs(np.fft.rfft(window * np.hanning(len(window)))) ** 2
    hz = np.fft.rfftfreq(len(window), 1 / rate_hz)
    low = float(power[(hz > 120) & (hz <= 900)].sum())
    middle = float(power[(hz > 900) & (hz <= 2600)].sum())
    return low, middle, float(power[hz > 2600].sum())
