"""How far the lips lead or trail the sound, measured on decoded frames."""

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.portraits import builtin_portraits
from tests.media import Mp4

MOUTH = (61, 291, 0, 17)
"""Of MediaPipe's face mesh: the mouth's corners, top and bottom of the lips."""

LEAST_RED, RED_RANGE = 45.0, 25.0
"""Red over blue: the face's skin and lips have at least 45, teeth and the dark far less."""

STEP_S = 0.01
MAX_LAG_S = 0.2


def av_offset_ms(video: Mp4) -> float:
    """Milliseconds by which sound leads the lips, where the two agree best; negative: lips lead.

    Their square roots are compared, or a few wide vowels would outweigh all the others.
    """
    times = np.arange(0.0, video.video_end_s, STEP_S)
    lips = _standardised(np.interp(times, video.frame_times_s, np.sqrt(_opening(video))))
    loud = _standardised(np.sqrt(_loudness(video, times)))
    lags = np.arange(-MAX_LAG_S, MAX_LAG_S + STEP_S / 2, STEP_S)
    fits = [_fit(lips, loud, round(lag / STEP_S)) for lag in lags]
    return float(lags[int(np.argmax(fits))] * 1000)


def _fit(lips: NDArray[np.float64], loud: NDArray[np.float64], shift: int) -> float:
    """Their correlation when the lips are ``shift`` steps late."""
    if shift >= 0:
        return float(np.mean(lips[shift:] * loud[: len(loud) - shift]))
    return float(np.mean(lips[:shift] * loud[-shift:]))


def _opening(video: Mp4) -> NDArray[np.float64]:
    """(frames,) pixels around the mouth that are neither skin nor lips, which are red.

    A mere difference from the closed mouth would also see the head sway and the lips purse.
    """
    portrait = builtin_portraits()[0]
    landmarks = portrait.landmarks
    if landmarks is None:
        raise ValueError("the portrait has no landmarks")
    height, width = video.frames[0].shape[:2]
    scale = np.array([width, height]) / np.array(portrait.image.shape[1::-1])
    points = landmarks[list(MOUTH)] * scale
    (left, top), (right, bottom) = points.min(0).astype(int) - 4, points.max(0).astype(int) + 14
    mouths = np.array([frame[top:bottom, left:right] for frame in video.frames], np.float64)
    redness = mouths[..., 2] - mouths[..., 0]
    return np.asarray(np.clip((LEAST_RED - redness) / RED_RANGE, 0, 1).sum(axis=(1, 2)))


def _loudness(video: Mp4, times: NDArray[np.float64]) -> NDArray[np.float64]:
    window = round(0.04 * video.sample_rate_hz)
    power = np.convolve(video.sound.astype(np.float64) ** 2, np.ones(window) / window, "same")
    indexes = np.minimum((times * video.sample_rate_hz).astype(int), len(power) - 1)
    return np.asarray(np.sqrt(power[indexes]))


def _standardised(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((signal - signal.mean()) / signal.std())
