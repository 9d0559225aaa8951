"""How far the lips lead or trail the sound, measured on decoded frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.media import Mp4
from deployments.avatar.portraits import builtin_portraits

Signal = NDArray[np.float64]
"""(n,) float64."""

MOUTH = (61, 291, 0, 17)
"""Of MediaPipe's face mesh: the mouth's corners, top and bottom of the lips."""

LEAST_RED, RED_RANGE = 45.0, 25.0
"""Red over blue: the face's skin and lips have at least 45, teeth and the dark far less."""

STEP_S = 0.01
MAX_LAG_S = 0.2

_LEAST_DEVIATION = 1e-6  # of what does not move at all


@dataclass(frozen=True, slots=True)
class LipSync:
    """Where lips and loudness agree best.

    ``av_offset_ms``: by how much sound leads the lips; negative where the lips lead.
    ``correlation``: Pearson's, there. It depends on the language and the voice as much as on the
    face: judge the offset first.
    """

    av_offset_ms: float
    correlation: float


def lip_sync(video: Mp4, portrait_id: str | None = None) -> LipSync:
    """Compare the mouth's opening with the loudness, moved against each other by up to 0.2 s.

    Their square roots are compared, or a few wide vowels would outweigh all the others.

    Args:
        video: with frames.
        portrait_id: whose face it is, of those built in; the default one if not given.

    Raises:
        ValueError: no such portrait, it has no landmarks, or nothing moves or sounds.
    """
    times = np.arange(0.0, video.video_end_s, STEP_S)
    opening = _opening(video, portrait_id)
    lips = np.interp(times, video.frame_times_s, np.sqrt(opening))
    return best_fit(lips, np.sqrt(_loudness(video, times)))


def best_fit(lips: Signal, loud: Signal) -> LipSync:
    """The lag at which two signals, both in steps of 10 ms, agree best.

    Raises:
        ValueError: one of them is constant.
    """
    first, second = _standardised(lips, "lips"), _standardised(loud, "sound")
    n = round(MAX_LAG_S / STEP_S)
    fits = [_fit(first, second, shift) for shift in range(-n, n + 1)]
    best = int(np.argmax(fits))
    return LipSync((best - n) * STEP_S * 1000, fits[best])


def _fit(lips: Signal, loud: Signal, shift: int) -> float:
    """Their correlation when the lips are ``shift`` steps late."""
    if shift >= 0:
        return float(np.mean(lips[shift:] * loud[: len(loud) - shift]))
    return float(np.mean(lips[:shift] * loud[-shift:]))


def _opening(video: Mp4, portrait_id: str | None) -> Signal:
    """(frames,) pixels around the mouth that are neither skin nor lips, which are red.

    A mere difference from the closed mouth would also see the head sway and the lips purse.
    """
    height, width = video.frames[0].shape[:2]
    points = _mouth(portrait_id) * (width, height)
    (left, top), (right, bottom) = points.min(0).astype(int) - 4, points.max(0).astype(int) + 14
    mouths = np.array([frame[top:bottom, left:right] for frame in video.frames], np.float64)
    redness = mouths[..., 2] - mouths[..., 0]
    return np.asarray(np.clip((LEAST_RED - redness) / RED_RANGE, 0, 1).sum(axis=(1, 2)))


def _mouth(portrait_id: str | None) -> Signal:
    """(4, 2) where the mouth is at rest, x and y as parts of the picture's width and height."""
    for portrait in builtin_portraits():
        if portrait_id in (None, portrait.id) and portrait.landmarks is not None:
            return np.asarray(portrait.landmarks[list(MOUTH)] / portrait.image.shape[1::-1])
    raise ValueError(f"there are no landmarks of the portrait {portrait_id!r}")


def _loudness(video: Mp4, times: Signal) -> Signal:
    window = round(0.04 * video.sample_rate_hz)
    power = np.convolve(video.sound.astype(np.float64) ** 2, np.ones(window) / window, "same")
    indexes = np.minimum((times * video.sample_rate_hz).astype(int), len(power) - 1)
    return np.asarray(np.sqrt(power[indexes]))


def _standardised(signal: Signal, name: str) -> Signal:
    if signal.std() < _LEAST_DEVIATION:
        raise ValueError(f"the {name} never change")
    return np.asarray((signal - signal.mean()) / signal.std())
