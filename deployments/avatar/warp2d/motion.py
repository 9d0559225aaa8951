"""Speech to motion: mouth, stress and liveliness brought together, frame by frame."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.controls import checked
from deployments.avatar.warp2d import life, sound, visemes
from deployments.avatar.warp2d.columns import MOUTH, N_COLUMNS, Column
from deployments.avatar.warp2d.sound import Hearing
from deployments.avatar.warp2d.state import MotionState
from deployments.avatar.warp2d.visemes import US, Sound
from deployments.types import ControlRange, Motion, Phoneme, Stretch

FPS = 25
CONTEXT_S = 0.16
CONTROLS = (
    ControlRange("expression", 0.3, 1.3, 1.0),  # how widely the mouth and the brows move
    ControlRange("smile", -0.5, 1.0, 0.0),
    ControlRange("blink_rate", 0.0, 3.0, 1.0),
    ControlRange("head_motion", 0.0, 2.0, 1.0),
    ControlRange("gaze_x", -1.0, 1.0, 0.0),
    ControlRange("gaze_y", -1.0, 1.0, 0.0),
)

# The mouth is posed for a moment later than the frame's, so that lips lead the sound a little. It
# may be one frame at most: further ahead is no context. At this value, on decoded frames against
# the sound's loudness, lips lead by 0 ms EN, 0-10 ES, 40-50 ZH (espeak, two films of 7-9 s each,
# own benchmark, 2026-11); in none of them the sound led, which is noticed sooner.
_LEAD_US = 40_000
_CONTEXT_US = round(CONTEXT_S * US)
_FRAME_US = US // FPS
_MEMORY_US = 800_000  # the longest that a sound acts: the nod after a stressed vowel
_NO_PHONEMES_US = 500_000  # so long without phonemes, and the sound alone moves the mouth


def move(avatar_id: str, stretch: Stretch) -> tuple[Motion, bytes]:
    """(n_frames, 16) float32 motion as ``Column`` names it, and the next stretch's state."""
    controls = checked(CONTROLS, stretch.controls)
    state = _state(avatar_id, stretch)
    n_rest = min(stretch.n_rest_frames, stretch.n_frames)
    sounds = _merge(state.past, _sounds(stretch.phonemes, stretch.first_frame))
    n = np.arange(state.n_moving, state.n_moving + stretch.n_frames, dtype=np.int64)
    times_us = np.arange(stretch.n_frames, dtype=np.int64) * _FRAME_US + _LEAD_US

    rows = np.zeros((stretch.n_frames, N_COLUMNS))
    rows[:, MOUTH], hearing = _mouth(stretch, sounds, times_us, state.hearing)
    rows[:, MOUTH] *= controls["expression"]
    rest_from = state.n_moving + stretch.n_frames - n_rest if n_rest else None
    _enliven(rows, n, state.seed, controls, rest_from)
    _stress(rows, sounds, times_us, controls)
    rows *= _come_to_rest(stretch.n_frames, n_rest)[:, None]
    return rows.astype(np.float32), _next(state, stretch, sounds, hearing, n_rest).pack()


def _state(avatar_id: str, stretch: Stretch) -> MotionState:
    if stretch.motion_state is None:
        return MotionState(stretch.first_frame, 0, zlib.crc32(avatar_id.encode()))
    return MotionState.unpack(stretch.motion_state)


def _sounds(phonemes: Sequence[Phoneme], first_frame: int) -> list[Sound]:
    """On the stretch's own clock, where 0 is the start of its first frame."""
    origin_us = first_frame * _FRAME_US
    return [
        Sound(p.ipa, round(p.start_s * US) - origin_us, round(p.end_s * US) - origin_us)
        for p in phonemes
    ]


def _merge(past: Sequence[Sound], given: Sequence[Sound]) -> list[Sound]:
    """What was heard before and what comes now; a sound across the joint may be in both."""
    again = {s.start_us for s in given}
    return [s for s in past if s.start_us not in again] + list(given)


def _mouth(
    stretch: Stretch, sounds: Sequence[Sound], times_us: NDArray[np.int64], hearing: Hearing
) -> tuple[NDArray[np.float64], Hearing]:
    spelled = visemes.shapes(sounds, times_us, _CONTEXT_US)
    heard, hearing = sound.shapes(stretch.audio, stretch.n_frames, FPS, hearing)
    trust = _trust_in_phonemes(sounds, times_us)[:, None]
    return trust * spelled + (1 - trust) * heard, hearing


def _trust_in_phonemes(sounds: Sequence[Sound], times_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) 1 near phonemes, 0 where none has been for a while."""
    away_us = np.full(len(times_us), 2 * _NO_PHONEMES_US, dtype=np.int64)
    for s in sounds:
        if_heard = s.start_us < times_us + _CONTEXT_US
        away = np.where(if_heard, np.maximum(times_us - s.end_us, 0), 2 * _NO_PHONEMES_US)
        away_us = np.minimum(away_us, away)
    return np.clip((_NO_PHONEMES_US - away_us) / 200_000, 0.0, 1.0)


def _enliven(
    rows: NDArray[np.float64],
    n: NDArray[np.int64],
    seed: int,
    controls: Mapping[str, float],
    rest_from: int | None,
) -> None:
    """Add blinks, looks, breath and the head's slow movement to ``rows``, in place."""
    settled = life.settle(n, FPS)[:, None]
    rows[:, Column.BLINK] = life.blink(n, FPS, seed, controls["blink_rate"], rest_from)
    looks = life.gaze(n, FPS, seed) + np.array((controls["gaze_x"], controls["gaze_y"]))
    rows[:, [Column.GAZE_X, Column.GAZE_Y]] = np.clip(looks, -1, 1) * settled
    sway = life.sway(n, FPS, seed)
    sway[:, :3] *= controls["head_motion"]
    rows[:, Column.YAW : Column.BREATH + 1] = sway * settled
    rows[:, Column.YAW] += 0.25 * rows[:, Column.GAZE_X] * controls["head_motion"]
    rows[:, Column.SMILE] = controls["smile"] * settled[:, 0]


def _stress(
    rows: NDArray[np.float64],
    sounds: Sequence[Sound],
    times_us: NDArray[np.int64],
    controls: Mapping[str, float],
) -> None:
    """Nod a little and lift the brows on emphasised vowels, in place."""
    nod = np.zeros(len(times_us))
    for s in sounds:
        strength = visemes.emphasis(s)
        since_s = (times_us - s.start_us + 80_000) / US
        heard = s.start_us < times_us + _CONTEXT_US
        swing = np.sin(np.pi * np.clip(since_s / 0.6, 0, 1)) ** 2
        nod = np.maximum(nod, swing * strength * heard)
    rows[:, Column.PITCH] += 0.45 * nod * controls["head_motion"]
    rows[:, Column.BROW] += 0.30 * nod * controls["expression"]


def _come_to_rest(n_frames: int, n_rest: int) -> NDArray[np.float64]:
    """(n_frames,) 1, falling smoothly to exactly 0 over the last ``n_rest`` frames."""
    left = np.ones(n_frames)
    if n_rest:
        left[-n_rest:] = 1 - life.smoothstep(np.arange(1, n_rest + 1) / n_rest)
    return left


def _next(
    state: MotionState,
    stretch: Stretch,
    sounds: Sequence[Sound],
    hearing: Hearing,
    n_rest: int,
) -> MotionState:
    frame = stretch.first_frame + stretch.n_frames
    if n_rest:  # the face is at rest again: nothing that was said still acts
        return replace(state, frame=frame, n_moving=0, hearing=Hearing(hearing.level), past=())
    length_us = stretch.n_frames * _FRAME_US
    past = tuple(
        Sound(s.ipa, s.start_us - length_us, s.end_us - length_us)
        for s in sounds
        if s.start_us < length_us and s.end_us > length_us - _MEMORY_US
    )
    n_moving = state.n_moving + stretch.n_frames
    return replace(state, frame=frame, n_moving=n_moving, hearing=hearing, past=past)
