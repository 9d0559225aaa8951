"""Pose, vector, condition and schedule, against the published implementation."""

from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto import pose, vector
from deployments.avatar.ditto.condition import Conditions, emotion_of, mirrored, smoothed
from deployments.avatar.ditto.schedule import schedule
from tests.ditto.fill_weights import det_normal, det_uniform
from tests.ditto.golden import golden
from tests.ditto.recipes import cases_of, character, xs

_CONDITION_CASES = cases_of("03_condition")


def close(got: Any, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


def test_a_pose_becomes_degrees_a_rotation_and_key_points() -> None:
    want = golden("01_pose_math")
    info = {key: want[f"in_{key}"] for key in (*vector.WIDTHS, "kp")}
    angles = [pose.degrees(info[key]) for key in vector.POSE]
    for key, angle in zip(vector.POSE, angles, strict=True):
        close(angle[:, 0], want[f"out_deg_{key}"], 1e-4)
    close(pose.rotation(*angles), want["out_rot"], 1e-6)
    close(pose.key_points(info), want["out_kp"], 1e-6)
    close(pose.rotation(*want["rot_in_deg"][..., None]), want["rot_out"], 1e-6)


def test_parts_become_a_vector_and_a_vector_parts() -> None:
    want = golden("02_motion_vector")
    close(vector.to_vector(xs(7)), want["out_arr265"], 1e-7)
    for key, part in vector.from_vector(want["vec_in"]).items():
        close(part, want[f"vec_out_{key}"][0], 1e-7)


@pytest.mark.parametrize("case", _CONDITION_CASES, ids=lambda case: str(case["name"]))
def test_a_frame_is_conditioned_by_sound_emotion_eyes_and_shape(case: dict[str, Any]) -> None:
    emo = case["emo"]
    if isinstance(emo, str):
        emotion = det_uniform(32, (4, 8))
    else:
        rows = emo if isinstance(emo, list) and isinstance(emo[0], list) else [emo]
        emotion = np.stack([emotion_of(r if isinstance(r, list) else [r]) for r in rows])
    source = character(*range(1, 1 + case["n_source_frames"]))
    audio = det_normal(31, (80, 1024))[: case["n_audio"]]
    got = Conditions(source, emotion, case["eye_f0_mode"]).rows(audio, case["idx"])
    np.testing.assert_array_equal(got[:, :1024], audio)
    close(got[:, 1024:], golden("03_condition")[f"out_{case['name']}"], 1e-6)


def test_a_checkpoint_without_emotion_is_not_told_one() -> None:
    conditions = Conditions(character(1), np.ones((1, 8), np.float32), parts=("shape",))
    assert conditions.rows(np.zeros((3, 1024), np.float32), 0).shape == (3, 1024 + 63)


def test_emotions_blend_and_sources_run_forth_and_back() -> None:
    want = golden("03_condition")
    close(emotion_of([4]), want["emo_vec_4"], 1e-7)
    close(emotion_of([3, 4]), want["emo_vec_3_4"], 1e-7)
    got = mirrored(want["mirror_index_in"], 5)
    assert got.tolist() == want["mirror_index_size5"].tolist()


def test_a_video_of_a_source_is_smoothed_over_time() -> None:
    want = golden("19_video_smooth")
    frames = smoothed([xs(seed) for seed in want["in_seeds"]], 13)
    for key in ("scale", "t", "exp", "pitch"):
        close(np.stack([frame[key] for frame in frames]), want[key], 1e-6)


@pytest.mark.parametrize("n_steps", [5, 10, 20, 50])
def test_the_diffusion_takes_the_published_steps(n_steps: int) -> None:
    want, got = golden("04_schedule"), schedule(n_steps)
    assert got.times.tolist() == want[f"S{n_steps}_times"].tolist()
    close(got.alphas, want["alphas_cumprod"], 1e-6)
    assert got.alphas[-1] == pytest.approx(2.43e-9, rel=1e-2)
    close(got.clean, want[f"S{n_steps}_sqrt_alpha_next"], 1e-6)
    close(got.fresh, want[f"S{n_steps}_sigma"], 1e-6)
    close(got.pred, want[f"S{n_steps}_c"], 1e-6)


@pytest.mark.parametrize("n_steps", [5, 50])
def test_the_folded_step_is_the_step(n_steps: int) -> None:
    steps = schedule(n_steps)
    clean, noisy, noise = (det_normal(seed, (6,)).astype(np.float64) for seed in (1, 2, 3))
    left = steps.alphas.astype(np.float64)
    for i, (of_clean, of_noisy, of_noise) in enumerate(steps.weights()):
        now = left[steps.times[i]]
        noise_seen = np.sqrt(1 / (1 - now)) * noisy - clean / np.sqrt(1 / now - 1)
        plain = steps.clean[i] * clean + steps.pred[i] * noise_seen + steps.fresh[i] * noise
        close(of_clean * clean + of_noisy * noisy + of_noise * noise, plain, 1e-6)


def test_any_number_of_steps_has_a_schedule() -> None:
    for n_steps in range(1, 101):
        assert np.isfinite(schedule(n_steps).weights()).all()
