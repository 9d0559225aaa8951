"""The sound of stretches as one sound at 16 kHz, each sample once.

A stretch brings sound from its first frame on, much of which the one before has brought already.
"""

import numpy as np

from deployments.avatar.ditto.features import N_FRAME, SAMPLE_RATE_HZ
from deployments.avatar.ditto.vector import FloatArray
from deployments.resample import resampled
from deployments.types import AudioChunk

REACH_S = 0.004
"""Sound beyond a sample that the resampling asks for, and some: 32 zero crossings at 16 kHz."""
_N_REACH = round(REACH_S * SAMPLE_RATE_HZ)


def unheard(
    audio: AudioChunk, n_frames_before: int, n_frames: int, n_heard: int, is_last: bool
) -> FloatArray:
    """(n,) samples at 16 kHz that follow the ``n_heard`` first ones.

    Args:
        audio: from the stretch's first frame on.
        n_frames_before: frames before that, since the sound began.
        n_frames: of the stretch.
        n_heard: samples that earlier stretches brought.
        is_last: nothing comes after this.
    """
    sound = resampled(audio, SAMPLE_RATE_HZ).samples
    if audio.sample_rate_hz != SAMPLE_RATE_HZ and not is_last:
        # What comes next would change the end; it may wait, as far as no frame needs it now.
        sound = sound[: max(len(sound) - _N_REACH, n_frames * N_FRAME)]
    n_known = n_heard - n_frames_before * N_FRAME
    silence = np.zeros(max(-n_known, 0), np.float32)  # that sound ended before its frames did
    return np.concatenate((silence, sound[max(n_known, 0) :]))
