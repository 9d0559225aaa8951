"""Windows of motion are joined as the published implementation joins them, for every length."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.condition import Conditions, emotion_of
from deployments.avatar.ditto.vector import FloatArray, from_vector
from deployments.avatar.ditto.windows import (
    WindowRequest,
    Windows,
    WindowSettings,
    WindowState,
    frame_before,
    joined,
    smoothed,
)
from deployments.errors import ConfigError
from tests.ditto.fill_weights import det_normal
from tests.ditto.golden import golden
from tests.ditto.recipes import cases_of, character

_CASES = cases_of("07_windows")
_OFFLINE = WindowSettings(overlap=10, smooth=3)
_LIVE = WindowSettings(overlap=70, is_live=True, smooth=3, renew_every=1, kept=(0, 202))
_LATE = WindowSettings(overlap=75, is_live=True, smooth=5)


def close(got: Any, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


def settings_of(case: dict[str, Any]) -> WindowSettings:
    kept = case["fix_kp_cond_dim"]
    return WindowSettings(
        overlap=case["overlap_v2"],
        is_live=case["online_mode"],
        smooth=case["smo_k_d"],
        renew_every=case["fix_kp_cond"],
        kept=tuple(kept) if kept else None,
    )


@pytest.mark.parametrize("case", _CASES, ids=lambda case: str(case["name"]))
def test_windows_are_blended_smoothed_and_continued(case: dict[str, Any]) -> None:
    want, settings, name = golden("07_windows"), settings_of(case), case["name"]
    source, motion, seen = character(1).vector(), np.zeros((0, 265), np.float32), []
    for w in range(case["n_windows"]):
        seen.append(frame_before(motion, source, w, settings))
        window = 0.2 * det_normal(case["noise_base"] + w, (80, 265))
        motion = joined(motion, window, settings)
    close(np.stack(seen), want[f"{name}_kpcond"], 1e-6)
    after = frame_before(motion, source, case["n_windows"], settings)
    close(after, want[f"{name}_kpcond_after"][0], 1e-6)
    close(motion[:, want["columns"]], want[f"{name}_res"], 1e-6)
    close(motion.sum(axis=1, dtype=np.float64), want[f"{name}_res_sum"], 1e-4)
    if not settings.is_live:
        cut = motion[: len(motion) - 13]
        final = smoothed(cut, settings.smooth, 0, len(cut))
        close(final[:, want["columns"]], want[f"{name}_final_smo"], 1e-6)


def windows(settings: WindowSettings, limits: FloatArray | None = None) -> Windows:
    return Windows(settings, Conditions(character(1), emotion_of([4])[None]), limits)


def network(request: WindowRequest) -> FloatArray:
    """A stand-in for the diffusion that listens: to the sound, to what came before, to its turn."""
    turn = det_normal(7000 + request.index, (80, 265))
    heard = request.condition[:, :265]
    return np.asarray(0.2 * turn + heard + 0.3 * request.before, np.float32)


def drive(
    stream: Windows, state: WindowState, features: FloatArray, is_last: bool
) -> tuple[FloatArray, WindowState]:
    steps = stream.advance(state, features, is_last)
    try:
        request = next(steps)
        while True:
            request = steps.send(network(request))
    except StopIteration as end:
        motion, after = end.value
        return motion, after


def in_pieces(
    stream: Windows,
    features: FloatArray,
    size: int,
    carried: Callable[[WindowState], WindowState] = lambda state: state,
) -> FloatArray:
    silence = det_normal(1, (stream.settings.overlap, 1024))
    state, motion = stream.begin(silence), []
    for first in range(0, len(features), size):
        is_last = first + size >= len(features)
        rows, state = drive(stream, carried(state), features[first : first + size], is_last)
        motion.append(rows)
    return np.concatenate(motion)


@pytest.mark.parametrize("settings", [_OFFLINE, _LIVE, _LATE], ids=["offline", "live", "late"])
@pytest.mark.parametrize("n", [1, 7, 9, 10, 11, 40, 79, 80, 81, 160, 333])
def test_motion_has_a_row_for_every_row_of_sound(settings: WindowSettings, n: int) -> None:
    features = det_normal(2, (n, 1024))
    whole = in_pieces(windows(settings), features, n)
    assert whole.shape == (n, 265)
    for size in (1, 5, 64):
        assert np.array_equal(in_pieces(windows(settings), features, size), whole)


@pytest.mark.parametrize("overlap", [10, 39, 41])
def test_a_live_stream_may_have_any_overlap(overlap: int) -> None:
    settings = WindowSettings(overlap=overlap, is_live=True)
    features = det_normal(3, (200, 1024))
    whole = in_pieces(windows(settings), features, 200)
    assert whole.shape == (200, 265)
    assert np.array_equal(in_pieces(windows(settings), features, 7), whole)


def test_a_live_frame_is_out_after_twice_what_a_window_adds() -> None:
    stream = windows(_LIVE)
    state = stream.begin(det_normal(1, (70, 1024)))
    n_out = []
    for first in range(0, 50, 5):
        rows, state = drive(stream, state, det_normal(first, (5, 1024)), is_last=False)
        n_out.append(len(rows))
    assert n_out == [0, 0, 0, 10, 0, 10, 0, 10, 0, 10]


def test_motion_that_goes_out_is_limited() -> None:
    limits = np.stack((np.full(265, -0.1), np.full(265, 0.15))).astype(np.float32)
    stream = windows(_OFFLINE, limits)
    rows = joined(np.zeros((0, 265), np.float32), 0.2 * det_normal(7000, (80, 265)), _OFFLINE)
    parts = from_vector(stream.limited(rows[5]))
    close(np.concatenate(list(parts.values())), golden("07_windows")["clip_frame5"], 1e-6)


def test_silence_that_nobody_speaks_in_moves_nothing() -> None:
    stream = windows(_LIVE)
    state = stream.begin(det_normal(1, (70, 1024)))
    rows, _ = drive(stream, state, np.zeros((0, 1024), np.float32), is_last=True)
    assert rows.shape == (0, 265)


@pytest.mark.parametrize("wrong", [{"overlap": 80}, {"overlap": 0}, {"smooth": 4}])
def test_windows_that_cannot_be_joined_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        WindowSettings(**wrong)  # type: ignore[arg-type]
