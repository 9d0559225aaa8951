"""What a caller may ask of a face, in ranges: emotion, gaze, blinks, head and expression.

All of them may change from one stretch to the next. What the checkpoint's own configuration asks
for stays; a caller's wishes are added to it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from deployments.avatar.ditto.condition import EMOTIONS, emotion_of
from deployments.avatar.ditto.stitcher import (
    Controls,
    StitchSettings,
    looking,
    usual_gains,
)
from deployments.avatar.ditto.vector import POSE, FloatArray
from deployments.types import ControlRange

_EMOTION = "emotion_"
BLINK_RATE = "blink_rate"  # of blinks from a table: without one, they come with the sound
CONTROLS = (
    *(ControlRange(_EMOTION + name, 0.0, 1.0, 0.0) for name in EMOTIONS),  # how much of each
    ControlRange("expression", 0.0, 1.5, 1.0),  # how widely the mouth and the eyes move
    ControlRange("head_motion", 0.0, 2.0, 1.0),  # how widely the head does
    *(ControlRange(f"head_{angle}_deg", -20.0, 20.0, 0.0) for angle in POSE),
    ControlRange("gaze_x", -1.0, 1.0, 0.0),
    ControlRange("gaze_y", -1.0, 1.0, 0.0),
    ControlRange(BLINK_RATE, 0.0, 3.0, 1.0),
    # A reply begins in the portrait and ends in it, within these times; the latter in the frames
    # that the graph lets it come to rest in.
    ControlRange("fade_in_s", 0.0, 2.0, 0.2),
    ControlRange("fade_out_s", 0.0, 0.32, 0.32),
)

# A gaze of 1 moves the eyes as far as they go along with a head that turned by so much.
_WIDEST_GAZE_DEG = 60.0


def emotion(usual: FloatArray, controls: Mapping[str, float]) -> FloatArray:
    """(m, 8): ``usual`` (m, 8) as far as the emotions asked for leave room, and their blend."""
    shares = np.array([controls[_EMOTION + name] for name in EMOTIONS])
    total = float(shares.sum())
    if not total:
        return usual
    blend = sum(share * emotion_of([i]) for i, share in enumerate(shares)) / max(total, 1.0)
    return np.asarray(max(1.0 - total, 0.0) * usual + blend, np.float32)


def stitching(
    settings: StitchSettings, controls: Mapping[str, float], is_video: bool
) -> StitchSettings:
    """``settings`` with gains, turns of the head and gaze as asked for."""
    gains = usual_gains(is_video) if settings.gains is None else settings.gains
    by = {"exp": controls["expression"], **dict.fromkeys((*POSE, "t"), controls["head_motion"])}
    gains = {key: gain * by.get(key, 1.0) for key, gain in gains.items()}
    overall = {**settings.overall, "delta_exp": _shift(settings.overall, controls)}
    for angle in POSE:
        if turned := controls[f"head_{angle}_deg"]:
            name = f"delta_{angle}"
            overall[name] = overall.get(name, 0.0) + turned
    return replace(settings, gains=gains, overall=overall)


def fading(frames: range, n_in: int, n_out: int) -> dict[int, Controls]:
    """Controls of these frames of a reply, which comes out of the portrait in its first ``n_in``
    frames; in its last ``n_out``, which are all among these, it goes back, and the very last one
    is the portrait."""
    alphas = {}
    for frame in frames:
        begun = min(frame / n_in, 1.0) if n_in else 1.0
        left = min((frames.stop - 1 - frame) / n_out, 1.0) if n_out else 1.0
        alphas[frame] = begun * left
    return {frame: {"fade_alpha": alpha} for frame, alpha in alphas.items() if alpha < 1}


def _shift(overall: Controls, controls: Mapping[str, float]) -> FloatArray:
    """(63,) of the expression: what the settings ask for, and the gaze."""
    shift = np.zeros(63, np.float32) + np.asarray(overall.get("delta_exp", 0.0), np.float32)
    x, y = (_WIDEST_GAZE_DEG * controls[name] for name in ("gaze_x", "gaze_y"))
    return looking(shift, x, y)
