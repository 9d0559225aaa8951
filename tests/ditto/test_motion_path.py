"""From sound to key points in any pieces, in any process; sessions share a batch."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from deployments.avatar.ditto.condition import Conditions, emotion_of
from deployments.avatar.ditto.features import Chunk, Features, frames_in
from deployments.avatar.ditto.jobs import Job, Noise, run, seeded_noise
from deployments.avatar.ditto.motion import MotionPath, MotionState, frames_ahead
from deployments.avatar.ditto.stitcher import Stitcher, StitchSettings
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import WindowRequest, Windows, WindowSettings
from deployments.errors import EngineInputError
from tests.ditto.fill_weights import det_uniform
from tests.ditto.recipes import character

OFFLINE = WindowSettings(overlap=10)
LIVE = WindowSettings(overlap=70, is_live=True, renew_every=1, kept=(0, 202))
EITHER = pytest.mark.parametrize("settings", [OFFLINE, LIVE], ids=["offline", "live"])
_SEED = 2**63 + 5


class Diffusion:
    """Fulfils ``Sampler`` with a sum of all that a window depends on; counts its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def windows(
        self, requests: Sequence[WindowRequest], noises: Sequence[Noise]
    ) -> list[FloatArray]:
        self.batches.append(len(requests))
        return [_window(one, noise) for one, noise in zip(requests, noises, strict=True)]


def _window(request: WindowRequest, noise: Noise) -> FloatArray:
    heard = 0.05 * request.condition[:, :265] + 0.3 * request.before
    return np.asarray(heard + 0.02 * noise(4 + request.index), np.float32)


def hubert(samples: FloatArray) -> FloatArray:
    """Hears 16 numbers of each row's sound."""
    rows = np.zeros(((len(samples) - 400) // 320 + 1, 1024), np.float32)
    for r, row in enumerate(rows):
        row[:256] = np.repeat(samples[320 * r : 320 * r + 400 : 25], 16)
    return rows


def path(settings: WindowSettings) -> MotionPath:
    face = character(1)
    stitch = StitchSettings(fade_to="s", overall={"delta_pitch": 2.0, "fade_alpha": 0.9})
    features = Features(hubert, Chunk(is_live=settings.is_live))
    return MotionPath(
        features,
        Windows(settings, Conditions(face, emotion_of([4])[None])),
        Stitcher(face, stitch, lambda source, driven: driven + 0.01 * source),
        features.silence(settings.overlap),
    )


def moved(
    motion: MotionPath, state: MotionState, samples: FloatArray, n_frames: int
) -> tuple[FloatArray, MotionState]:
    noise = seeded_noise(state.seed, 80, 265)
    [out] = run([Job(motion.move(state, samples, n_frames), noise)], Diffusion())
    return out


def ahead(motion: MotionPath) -> int:
    return frames_ahead(motion.windows.settings, motion.features.chunk)


def whole(settings: WindowSettings, samples: FloatArray) -> FloatArray:
    motion = path(settings)
    return moved(motion, motion.begin(_SEED), samples, frames_in(len(samples)))[0]


def cut(settings: WindowSettings, samples: FloatArray, first: int) -> FloatArray:
    """Key points of all frames, with the state carried as bytes after ``first`` of them."""
    n, motion = frames_in(len(samples)), path(settings)
    at = min((first + ahead(motion)) * 640, len(samples))
    begin, state = moved(motion, motion.begin(_SEED), samples[:at], first)
    carried = MotionState.unpack(state.pack())
    end, _ = moved(path(settings), carried, samples[at:], n - first)
    return np.concatenate((begin, end))


@EITHER
@pytest.mark.parametrize("n", [1, 7, 9, 10, 11, 40, 333])
def test_a_reply_has_exactly_the_frames_of_its_sound(settings: WindowSettings, n: int) -> None:
    for n_samples in (640 * n, 640 * n - 639):
        points = whole(settings, det_uniform(6, (n_samples,)))
        assert points.shape == (n, 2, 21, 3)
        assert np.isfinite(points).all()


@EITHER
def test_a_reply_cut_anywhere_goes_on_from_its_state(settings: WindowSettings) -> None:
    samples = det_uniform(7, (640 * 230 - 77,))
    want = whole(settings, samples)
    for first in (1, 2, 9, 50, 103, 215, 229):
        np.testing.assert_allclose(cut(settings, samples, first), want, rtol=0, atol=1e-6)


def test_another_process_goes_on_with_the_same_motion() -> None:
    samples = det_uniform(8, (640 * 120,))
    state = moved(path(LIVE), path(LIVE).begin(_SEED), samples[:48000], 20)[1]
    code = (
        "import sys; from tests.ditto.test_motion_path import *\n"
        "state = MotionState.unpack(sys.stdin.buffer.read())\n"
        "rest = det_uniform(8, (640 * 120,))[48000:]\n"
        "sys.stdout.buffer.write(moved(path(LIVE), state, rest, 100)[0].tobytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=state.pack(), capture_output=True, check=True
    )
    there = np.frombuffer(done.stdout, np.float32).reshape(100, 2, 21, 3)
    np.testing.assert_allclose(there, whole(LIVE, samples)[20:], rtol=0, atol=1e-6)


@EITHER
def test_the_state_stays_small(settings: WindowSettings) -> None:
    motion = path(settings)
    state, sizes = motion.begin(_SEED), []
    for i in range(100):
        n = 640 * (8 if i else 8 + ahead(motion))
        _, state = moved(motion, state, det_uniform(i, (n,)), 8)
        sizes.append(len(state.pack()))
    assert max(sizes) < 1_000_000
    assert max(sizes[50:]) <= max(sizes[:50]) + 16  # the counters' digits


def test_sessions_are_moved_in_one_batch_and_know_nothing_of_each_other() -> None:
    motion, sounds = path(LIVE), [det_uniform(i, (640 * n,)) for i, n in enumerate((40, 11, 25))]
    jobs = [
        Job(
            motion.move(motion.begin(seed), sound, len(sound) // 640),
            seeded_noise(seed, 80, 265),
        )
        for seed, sound in enumerate(sounds)
    ]
    diffusion = Diffusion()
    together = [points for points, _ in run(jobs, diffusion)]
    assert diffusion.batches == [3, 3, 3, 2, 1, 1]
    for seed, (sound, points) in enumerate(zip(sounds, together, strict=True)):
        alone, _ = moved(motion, motion.begin(seed), sound, len(sound) // 640)
        assert np.array_equal(alone, points)


def test_another_seed_moves_otherwise() -> None:
    motion, samples = path(LIVE), det_uniform(9, (640 * 20,))
    one, other = (moved(motion, motion.begin(seed), samples, 20)[0] for seed in (1, 2))
    assert not np.allclose(one, other)


def early(settings: WindowSettings, samples: FloatArray, cuts: Sequence[int]) -> FloatArray:
    """Key points of frames up to each of ``cuts`` and to the end, each with no sound beyond it."""
    motion, parts = path(settings), []
    state, first = motion.begin(_SEED), 0
    for end in (*cuts, frames_in(len(samples))):
        sound = samples[640 * first : 640 * end]
        points, state = moved(motion, state, sound, end - first)
        parts.append(points)
        state, first = MotionState.unpack(state.pack()), end
    return np.concatenate(parts)


@EITHER
def test_frames_whose_sound_is_not_there_are_moved_as_if_silence_followed(
    settings: WindowSettings,
) -> None:
    motion, sound = path(settings), det_uniform(10, (640 * 12,))
    known = np.concatenate((sound, np.zeros(640 * (20 + ahead(motion)), np.float32)))
    want, _ = moved(motion, motion.begin(_SEED), known, 30)
    got, state = moved(motion, motion.begin(_SEED), sound, 20)
    np.testing.assert_array_equal(got, want[:20])
    more, _ = moved(motion, state, np.zeros(640 * 8, np.float32), 10)
    np.testing.assert_allclose(more, want[20:], rtol=0, atol=1e-6)


@EITHER
def test_sound_that_comes_late_moves_the_frames_that_are_left(settings: WindowSettings) -> None:
    samples = det_uniform(11, (640 * 150,))
    want, got = whole(settings, samples), early(settings, samples, (10, 20, 45))
    assert got.shape == want.shape
    assert not np.allclose(got[5:10], want[5:10], atol=1e-3)  # there the sound was yet unknown
    np.testing.assert_allclose(got[60:], want[60:], rtol=0, atol=1e-6)
    steps = np.abs(np.diff(got[:, 1], axis=0)).max(axis=(1, 2))
    assert steps[[9, 19, 44]].max() <= np.abs(np.diff(want[:, 1], axis=0)).max()


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda state: b"W2D1" + state[4:], "another engine"),
        (lambda state: b"", "another engine"),
        (lambda state: b"DTO1", "another engine"),
        (lambda state: state[:-9], "damaged"),
        (lambda state: state[:99] + b"!" + state[100:], "damaged"),
    ],
)
def test_a_foreign_or_damaged_state_is_refused(spoil: Callable[[bytes], bytes], text: str) -> None:
    with pytest.raises(EngineInputError, match=text):
        MotionState.unpack(spoil(path(LIVE).begin(1).pack()))
