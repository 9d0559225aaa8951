"""The sound of stretches as one sound at 16 kHz, each sample once.

A stretch brings sound from its first frame on, much of which the one before has brought already.
"""

import math
from dataclasses import replace

import numpy as np

from deployments.avatar.ditto.features import N_FRAME, SAMPLE_RATE_HZ
from deployments.avatar.ditto.vector import FloatArray
from deployments.resample import resampled
from deployments.types import AudioChunk

REACH_S = 0.004
"""Sound beyond a sample that the resampling asks for, and some: 32 zero crossings at 16 kHz."""
_N_REACH = round(REACH_S * SAMPLE_RATE_HZ)


def needed(audio: AudioChunk, n_frames: int, n_ahead: int) -> AudioChunk:
    """As much of a stretch's sound as its ``n_frames`` take that are moved ``n_ahead`` frames
    later: what comes after those would only make the state larger, and is brought again."""
    seconds = (n_frames + n_ahead) * N_FRAME / SAMPLE_RATE_HZ + REACH_S
    n = math.ceil(seconds * audio.sample_rate_hz)
    return replace(audio, samples=audio.samples[:n])


def unheard(
    audio: AudioChunk, n_frames_before: int, n_frames: int, n_heard: int
) -> tuple[FloatArray, FloatArray]:
    """(n,) samples at 16 kHz that follow the ``n_heard`` first ones, and (m,) more of them that
    what comes next may still change.

    Args:
        audio: from the stretch's first frame on.
        n_frames_before: frames before that, since the sound began.
        n_frames: of the stretch.
        n_heard: samples that earlier stretches brought.
    """
    sound = resampled(audio, SAMPLE_RATE_HZ).samples
    n_open = 0 if audio.sample_rate_hz == SAMPLE_RATE_HZ else _N_REACH
    # Of the stretch's own frames everything is given: the next one brings them no more.
    n_sure = max(len(sound) - n_open, min(n_frames * N_FRAME, len(sound)))
    n_known = n_heard - n_frames_before * N_FRAME
    silence = np.zeros(max(-n_known, 0), np.float32)  # that sound ended before its frames did
    n_known = max(n_known, 0)
    return np.concatenate((silence, sound[n_known:n_sure])), sound[max(n_known, n_sure) :]
