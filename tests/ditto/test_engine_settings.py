"""What can be set, what is refused, and what is missing said in one line."""

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from deployments.avatar.ditto.avatar import DittoAvatar
from deployments.avatar.ditto.condition import EMOTIONS
from deployments.avatar.ditto.files import CONFIGS, LIVE_CONFIG, NETWORKS
from deployments.avatar.ditto.loading import loaded
from deployments.avatar.ditto.settings import DETECTORS_LICENCE, DittoSettings, Look
from deployments.avatar.portraits import builtin_portraits
from deployments.errors import ConfigError, EngineLoadError
from deployments.registry import check_options
from tests.ditto.replies import fake_engine, mira, stretch, tiny_engine, voice


def settings(**options: Any) -> DittoSettings:
    return DittoSettings.model_validate(options)


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"runtime": "jax"}, "runtime"),
        ({"width_px": 511}, "width_px"),
        ({"device": "cpu", "memory_gb": 4}, "memory_gb is of a GPU"),
        ({"device": "cpu", "runtime": "tensorrt"}, "TensorRT needs a GPU"),
        ({"published_onnx": True}, "torch runs no ONNX"),
        ({"look": {"controls": {"nose": 1.0}}}, "unknown control 'nose'"),
        ({"looks": {"mira": {"controls": {"gaze_x": 2.0}}}}, "out of range"),
        ({"look": {"emotion": [{"at_s": 0, "blend": {"bored": 1}}]}}, "blend"),
        ({"look": {"emotion": [{"at_s": 0, "blend": {"sad": 0.7, "fear": 0.7}}]}}, "at most 1"),
        ({"look": {"emotion": [{"at_s": 1, "blend": {}}, {"at_s": 1, "blend": {}}]}}, "after"),
        ({"look": {"emotion": [{"at_s": 0, "blend": {"sad": math.nan}}]}}, "finite"),
        ({"look": {"emotion": [{"at_s": 0, "blend": {"sad": -math.inf}}]}}, "finite"),
        *(
            ({"look": {"emotion": [{"at_s": at_s, "blend": {}}]}}, "at_s")
            for at_s in (math.inf, math.nan, 3601)
        ),
        ({"seed": -1}, "seed"),
        ({"precision": "float16"}, "precision"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        check_options("avatar", "ditto", options)


def test_emotions_go_straight_from_one_time_to_the_next() -> None:
    look = Look.model_validate(
        {
            "emotion": [
                {"at_s": 0.0, "blend": {"happy": 1.0}},
                {"at_s": 0.2, "blend": {"sad": 0.5}},
                {"at_s": 0.4, "blend": {}},
            ]
        }
    )
    rows = look.emotion_rows()
    assert rows.shape == (11, 8)
    happy, sad, neutral = (EMOTIONS.index(name) for name in ("happy", "sad", "neutral"))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-6)
    np.testing.assert_allclose(rows[:6, happy], np.linspace(1, 0, 6), rtol=0, atol=1e-6)
    np.testing.assert_allclose(rows[5:, sad], np.linspace(0.5, 0, 6), rtol=0, atol=1e-6)
    np.testing.assert_allclose(rows[5:, neutral], np.linspace(0.5, 1, 6), rtol=0, atol=1e-6)


def test_emotions_over_time_are_worked_out_before_anybody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = fake_engine(look={"emotion": [{"at_s": 3, "blend": {"happy": 1}}]})
    monkeypatch.delattr(Look, "emotion_rows")
    motion, _ = engine.move(mira(engine), stretch(engine, voice(10), range(5)))
    assert motion.shape == (5, 126)


def test_a_look_of_one_avatar_is_added_to_that_of_all() -> None:
    happy = [{"at_s": 0, "blend": {"happy": 1}}]
    asked = settings(
        look={"controls": {"gaze_x": 0.5, "gaze_y": 0.5}, "emotion": happy},
        looks={"ana": {"controls": {"gaze_y": -0.5}}},
    )
    assert asked.look_of("ana").controls == {"gaze_x": 0.5, "gaze_y": -0.5}
    assert asked.look_of("ana").emotion == asked.look.emotion
    assert asked.look_of("mira") == asked.look
    with pytest.raises(ValidationError):
        asked.look.emotion[0].at_s = 1.0


def test_controls_are_offered_with_their_set_defaults_and_only_where_they_do_something() -> None:
    engine = fake_engine(look={"controls": {"blink_rate": 2.0}})
    offered = {control.name: control for control in engine.capabilities.controls}
    assert offered["blink_rate"].default == 2.0
    assert offered["fade_in_s"].maximum == 2.0
    assert {f"emotion_{name}" for name in EMOTIONS} < set(offered)


def test_what_is_fetched_is_what_is_read() -> None:
    [need] = DittoAvatar.models(settings())
    assert need.name == "ditto"
    assert set(NETWORKS["torch", False].values()) < set(need.files)
    assert f"{CONFIGS}/{LIVE_CONFIG}" in need.files
    assert len(need.files) == len(set(need.files)) == 9
    [onnx] = DittoAvatar.models(settings(runtime="onnxruntime", published_onnx=True))
    assert "ditto_onnx/warp_network.onnx" in onnx.files
    [both] = DittoAvatar.models(settings(detectors="published"))
    assert "ditto_onnx/insightface_det.onnx" in both.files
    assert DittoAvatar.models(settings(model="/some/folder")) == ()


def test_the_published_detectors_ask_for_their_licence() -> None:
    assert DittoAvatar.lacks(settings()) == ""
    asked = settings(detectors="published")
    assert DETECTORS_LICENCE in DittoAvatar.lacks(asked)
    with pytest.raises(EngineLoadError, match="non-commercially"):
        loaded(asked)
    assert (
        DittoAvatar.lacks(asked.model_copy(update={"detectors_licence": DETECTORS_LICENCE})) == ""
    )


def test_a_missing_checkpoint_is_one_line_that_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    with pytest.raises(EngineLoadError, match=r"appearance_extractor\.pth is missing; run: make"):
        loaded(settings())
    with pytest.raises(EngineLoadError, match=r"lacks .*decoder\.pth"):
        loaded(settings(model=str(tmp_path)))


def test_a_gpu_that_was_promised_and_is_not_there(
    tiny_ditto: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="asks torch, which make test installs")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for options in ({"memory_gb": 4.0}, {"device": "cuda"}, {"runtime": "tensorrt"}):
        with pytest.raises(EngineLoadError, match="promised a GPU"):
            loaded(settings(model=str(tiny_ditto), **options))


def test_damaged_files_are_named(tiny_ditto: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the networks need torch, which make test installs")
    folder = tmp_path / "ditto"
    shutil.copytree(tiny_ditto, folder, copy_function=os.link)
    path = folder / NETWORKS["torch", False]["decoder"]
    path.unlink()
    path.write_bytes(b"no network")
    with pytest.raises(EngineLoadError, match=r"decoder\.pth cannot be read"):
        tiny_engine(folder)
    config = folder / CONFIGS / LIVE_CONFIG
    config.unlink()
    config.write_bytes(b"no pickle")
    with pytest.raises(EngineLoadError, match=r"online\.pkl cannot be read"):
        tiny_engine(folder)


def test_overlap_and_steps_go_before_the_configurations(tiny_ditto: Path) -> None:
    pytest.importorskip("torch", reason="the networks need torch, which make test installs")
    usual = tiny_engine(tiny_ditto).capabilities
    soon = tiny_engine(tiny_ditto, live_overlap=75, offline_overlap=40).capabilities
    assert usual.context_s - soon.context_s == pytest.approx(10 / 25)  # twice five frames less
    assert usual.offline_context_s == soon.offline_context_s  # a window, however much is in common
    with pytest.raises(ConfigError, match="overlap"):
        tiny_engine(tiny_ditto, live_overlap=80)


def test_what_the_networks_see_can_be_moved_aside(tiny_ditto: Path) -> None:
    pytest.importorskip("torch", reason="the networks need torch, which make test installs")
    source = builtin_portraits()[0]
    usual, moved = (
        loaded(settings(model=str(tiny_ditto), crop_x=x))
        .registrar.register(source.image, source.landmarks)
        .to_picture
        for x in (0.0, 0.25)
    )
    quarter = usual @ (128.0, 0.0, 0.0)  # of the square's 512 pixels, to its right
    np.testing.assert_allclose(moved[:, 2] - usual[:, 2], quarter, rtol=0, atol=1e-2)
