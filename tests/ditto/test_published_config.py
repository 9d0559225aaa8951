"""The published configuration becomes settings, or says which of its keys cannot be followed."""

import copy
import logging
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.condition import emotion_of
from deployments.avatar.ditto.crop import CropSettings
from deployments.avatar.ditto.published_config import Published, published
from deployments.avatar.ditto.stitcher import StitchSettings
from deployments.avatar.ditto.windows import WindowSettings
from deployments.errors import ConfigError
from tests.ditto.fill_weights import det_uniform, source_info
from tests.tiny_models.make_tiny_ditto import config, reference


def plain(**defaults: object) -> Published:
    """Of a configuration that asks for nothing but ``defaults``."""
    return published(bare(**defaults))


def bare(**defaults: object) -> dict[str, Any]:
    return {
        "base_cfg": {"hubert_cfg": {}},
        "audio2motion_cfg": {"model_path": "lmdm.pth", "device": "cuda"},
        "default_kwargs": defaults,
    }


def same(got: Any, want: Any) -> None:
    np.testing.assert_array_equal(got, want)


def test_what_is_not_asked_for_is_as_in_the_published_code() -> None:
    got = plain()
    assert got.windows == WindowSettings(80, 10, False, 3, 0, None)
    assert got.n_steps == 50
    assert got.crop == CropSettings(2.3, 0.0, -0.125, True)
    same(got.emotion, emotion_of([4])[None])
    assert got.parts == ("emotion", "eye_open", "eye_ball", "shape")
    assert (got.eyes_of_first, got.blink_gaps) == (False, 0)
    assert [got.limits, got.blink, got.reference] == [None] * 3
    want = StitchSettings(fade_to="s", fade_keys=None)
    for name in StitchSettings.__slots__:
        assert getattr(got.stitching, name) == getattr(want, name), name


def test_the_published_live_configuration() -> None:
    asked = config(
        3, online_mode=True, overlap_v2=70, sampling_timesteps=10, fix_kp_cond=1,
        fix_kp_cond_dim=[0, 202],
    )  # fmt: skip
    got, default = published(asked), asked["default_kwargs"]
    assert got.windows == WindowSettings(80, 70, True, 3, 1, (0, 202))
    assert got.n_steps == 10
    same(got.emotion, default["emo"])
    same(got.blink, default["delta_eye_arr"])
    same(got.limits, default["v_min_max_for_clip"][:2])
    assert got.stitching.overall == {"delta_pitch": 2}
    assert got.reference is not None
    same(got.reference.infos[0]["exp"], source_info(2, scale=1.5)["exp"][0])
    same(got.reference.shape, source_info(2)["kp"][0])
    same(got.reference.eye_open, reference(3)["eye_open_lst"])
    same(got.reference.eye_ball, reference(3)["eye_ball_lst"])


def test_everything_that_can_be_asked_of_motion() -> None:
    got = plain(
        use_d_keys={"exp": 1.5, "pitch": 0.5}, relative_d=False, drive_eye=False,
        flag_stitching=False, ctrl_info=[{"delta_yaw": 1.0}, {}], delta_eye_open_n=[90, 60],
        eye_f0_mode=True, crop_scale=2.0, crop_vy_ratio=0.1, crop_flag_do_rot=False,
        crop_vx_ratio=0.3, smo_k_d=5, delta_eye_arr=np.ones((4, 63), np.float32),
    )  # fmt: skip
    assert got.stitching.gains == {"exp": 1.5, "pitch": 0.5}
    stitching = got.stitching
    assert [stitching.is_relative, stitching.drives_eyes, stitching.stitches] == [False] * 3
    assert got.stitching.by_frame == {0: {"delta_yaw": 1.0}, 1: {}}
    assert got.blink_gaps == [90, 60]
    assert got.eyes_of_first
    assert got.crop == CropSettings(2.0, 0.0, 0.1, False)
    assert got.windows.smooth == 5
    assert plain(use_d_keys=("exp", "t")).stitching.gains == {"exp": 1.0, "t": 1.0}
    assert plain(ctrl_info={7: {"vad_alpha": 0}}).stitching.by_frame == {7: {"vad_alpha": 0}}


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        (6, [[6]]),
        ([3, 4], [[3, 4]]),
        ([[4], [3, 4], [0]], [[4], [3, 4], [0]]),
        (np.int64(2), [[2]]),
    ],
)
def test_emotions_in_all_their_forms(asked: object, rows: list[list[int]]) -> None:
    same(plain(emo=asked).emotion, np.stack([emotion_of(row) for row in rows]))
    weights = det_uniform(1, (5, 8))
    same(plain(emo=weights.astype(np.float64)).emotion, weights)


def test_a_film_as_reference_has_eyes_for_each_of_its_frames() -> None:
    info = source_info(1)
    film = {
        "x_s_info_lst": [info, info],
        "sc": info["kp"],
        "eye_open_lst": [np.full((1, 2), 0.3), np.full((1, 2), 0.4)],
        "eye_ball_lst": np.zeros((2, 6)),
    }
    got = plain(ch_info=film).reference
    assert got is not None
    assert got.is_video
    np.testing.assert_allclose(got.eye_open, [[0.3, 0.3], [0.4, 0.4]], rtol=0, atol=1e-7)


def test_a_checkpoint_that_is_told_less_says_so_by_its_width() -> None:
    asked = bare()
    asked["audio2motion_cfg"] |= {"use_emo": False, "audio_feat_dim": 1095}
    assert published(asked).parts == ("eye_open", "eye_ball", "shape")
    asked["audio2motion_cfg"]["audio_feat_dim"] = 1103
    with pytest.raises(ConfigError, match="audio_feat_dim is 1103"):
        published(asked)


def test_the_configuration_is_not_changed() -> None:
    asked = config(3, ctrl_info={4: {"delta_yaw": 2.0}})
    before = copy.deepcopy(asked)
    got = published(asked)
    got.emotion[:] = 0
    assert got.limits is not None
    got.limits[:] = 0
    np.testing.assert_equal(asked, before)


def test_keys_that_nobody_knows_are_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        plain(overlap=3)
    assert "['overlap']" in caplog.text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("emo", 8), ("emo", np.zeros((3, 7))), ("emo", "happy"), ("emo", []),
        ("v_min_max_for_clip", np.zeros((1, 265))), ("delta_eye_arr", np.zeros(63)),
        ("N_d", 40), ("fade_type", "d0"), ("sampling_timesteps", 0), ("sampling_timesteps", None),
        ("fix_kp_cond_dim", [1, 2, 3]), ("delta_eye_open_n", "often"), ("crop_scale", "large"),
        ("overall_ctrl_info", {"fade_alpha": 0.5}), ("ctrl_info", {0: {"fade_out_keys": ()}}),
        ("ctrl_info", {"first": {}}), ("ch_info", {"x_s_info_lst": []}),
        ("ch_info", {**reference(1), "sc": np.zeros(62)}),
        ("ch_info", {**reference(1), "eye_open_lst": np.zeros((2, 2))}),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_followed_is_refused_by_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{key} in ditto's configuration"):
        plain(**{key: value})


@pytest.mark.parametrize(
    ("part", "key", "value", "text"),
    [
        ("audio2motion_cfg", "w2f_type", "wavlm", "w2f_type"),
        ("audio2motion_cfg", "motion_feat_dim", 328, "motion_feat_dim"),
        ("default_kwargs", "overlap_v2", 80, "overlap"),
        ("default_kwargs", "smo_k_d", 4, "odd"),
        ("default_kwargs", "overall_ctrl_info", {"delta_nose": 1}, "delta_nose"),
        ("default_kwargs", "use_d_keys", ["nose"], "nose"),
        ("default_kwargs", "delta_eye_open_n", [], "delta_eye_open_n"),
        ("default_kwargs", "delta_eye_open_n", [60, -1], "delta_eye_open_n"),
    ],
)
def test_another_model_or_impossible_settings(
    part: str, key: str, value: object, text: str
) -> None:
    asked = bare()
    asked[part][key] = value
    with pytest.raises(ConfigError, match=text):
        published(asked)


def test_another_ear_is_refused() -> None:
    asked = bare() | {"base_cfg": {"wavlm_cfg": {}}}
    with pytest.raises(ConfigError, match="HuBERT"):
        published(asked)
