"""The diffusion and the whole motion path, against the published implementation."""

import copy
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.blink import blink_rows
from deployments.avatar.ditto.condition import Character, Conditions, emotion_of
from deployments.avatar.ditto.jobs import Job, Noise, run
from deployments.avatar.ditto.schedule import schedule
from deployments.avatar.ditto.stitcher import (
    Blinks,
    Stitcher,
    StitchSettings,
    StitchState,
    scale_ratio,
)
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import Stream, WindowRequest, Windows, WindowSettings
from tests.ditto.conftest import FilledNetwork
from tests.ditto.fill_weights import det_normal, det_uniform
from tests.ditto.golden import golden
from tests.ditto.recipes import cases_of, character, stitch_net, xs

pytest.importorskip("torch", reason="the diffusion needs torch, which make test installs")

_CASES = cases_of("21_motion_pipelines")
_FEATURES = (0.3 * det_normal(8000, (200, 1024))).astype(np.float32)
_SILENCE = (0.3 * det_normal(8100, (75, 1024))).astype(np.float32)


def noise_from(base: int) -> Noise:
    return lambda k: det_normal(base + k, (80, 265))


@pytest.mark.parametrize("n_steps", [5, 10, 50])
def test_the_diffusion_ends_where_the_published_one_does(
    n_steps: int, filled_network: FilledNetwork
) -> None:
    from deployments.avatar.ditto.networks.sampler import DiffusionSampler

    want = golden("06_ddim")
    before, condition = 0.3 * det_uniform(52, (265,)), 0.3 * det_normal(53, (80, 1103))
    sampler = DiffusionSampler(filled_network("lmdm"), schedule(n_steps))
    request = WindowRequest(0, before.astype(np.float32), condition.astype(np.float32))
    noise = noise_from(int(want[f"S{n_steps}_noise_base"]))
    [window] = sampler.windows([request], [noise])
    np.testing.assert_allclose(window, want[f"S{n_steps}_out"][0], rtol=0, atol=5e-3)


@pytest.fixture(scope="module")
def sampler(filled_network: FilledNetwork) -> Any:
    """Of five steps, with the small last layer that goldens 21 were made with."""
    import torch

    from deployments.avatar.ditto.networks.sampler import DiffusionSampler

    denoiser = copy.deepcopy(filled_network("lmdm"))
    with torch.no_grad():
        denoiser.final_layer.weight.mul_(0.003)
        denoiser.final_layer.bias.mul_(0.003)
    return DiffusionSampler(denoiser, schedule(5))


def reference() -> Character:
    return replace(character(2, eyes_from=2), infos=[xs(2, scale=1.5)])


def limits() -> FloatArray:
    rows = np.stack((np.full(265, -0.25), np.full(265, 0.3)))
    rows[:, 1:199] = [[-30], [30]]
    return rows.astype(np.float32)


def emotions() -> FloatArray:
    odds = np.exp(4 * det_uniform(8301, (600, 8)).astype(np.float64))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)


def windows_of(case: dict[str, Any]) -> Windows:
    asked, is_full = case["kwargs"], "ch_info" in case["kwargs"]
    kept = asked.get("fix_kp_cond_dim")
    settings = WindowSettings(
        overlap=asked["overlap_v2"],
        is_live=asked.get("online_mode", False),
        smooth=asked.get("smo_k_d", 3),
        renew_every=asked.get("fix_kp_cond", 0),
        kept=tuple(kept) if kept else None,
    )
    conditions = Conditions(
        reference() if is_full else character(1), emotions() if is_full else emotion_of([4])[None]
    )
    return Windows(settings, conditions, limits() if is_full else None)


def stitcher_of(case: dict[str, Any]) -> Stitcher:
    asked, blinks, ratio = case["kwargs"], None, 1.0
    settings = StitchSettings(
        fade_to=asked.get("fade_type", ""),
        fade_keys=tuple(asked.get("fade_out_keys", ("exp",))),
        overall=asked.get("overall_ctrl_info", {}),
        by_frame={int(i): control for i, control in asked.get("ctrl_info", {}).items()},
    )
    if "ch_info" in asked:
        shifts, ratio = 0.02 * det_uniform(91, (15, 63)), scale_ratio(reference(), character(1))
        rows = blink_rows(-1, len(shifts), asked["delta_eye_open_n"], Random(0))
        blinks = Blinks(shifts.astype(np.float32), rows)
    return Stitcher(character(1), settings, stitch_net(), blinks, ratio)


def in_blocks(windows: Windows, features: FloatArray, size: int) -> Stream:
    """All the motion of sound that arrives ``size`` rows at a time."""
    state, motion = windows.begin(_SILENCE[: windows.settings.overlap]), []
    for first in range(0, len(features), size):
        is_last = first + size >= len(features)
        rows, state = yield from windows.advance(state, features[first : first + size], is_last)
        motion.append(rows)
    return np.concatenate(motion), state


@pytest.mark.parametrize("case", _CASES, ids=lambda case: str(case["name"]))
def test_sound_moves_the_face_as_published(case: dict[str, Any], sampler: Any) -> None:
    want, name, n = golden("21_motion_pipelines"), case["name"], case["n_audio"]
    size = 5 if case["mode"] == "online" else n
    steps = in_blocks(windows_of(case), _FEATURES[:n], size)
    [(motion, state)] = run([Job(steps, noise_from(case["noise_base"]))], sampler)
    source, driven, _ = stitcher_of(case).advance(StitchState(anchor=state.anchor), motion)
    shown = min(n, case["n_frames"])  # the published code gives more frames than asked, or none
    assert len(motion) == n
    np.testing.assert_allclose(driven[:shown], want[f"{name}_x_d"][:shown], rtol=0, atol=2e-4)
    if f"{name}_x_s" in want:
        np.testing.assert_allclose(source[:1], want[f"{name}_x_s"], rtol=0, atol=1e-6)
    if f"{name}_res" in want:
        rows = motion[:shown, want["columns"]] + np.eye(1, len(want["columns"]))
        np.testing.assert_allclose(rows, want[f"{name}_res"][:shown], rtol=0, atol=2e-4)
