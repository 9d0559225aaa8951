"""Cost models: what is declared of a machine, and what is wrong with a file in one line."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.avatar.fake import FakeAvatar
from deployments.cost_model import CostModel, StageCost, read_cost_model
from deployments.errors import ConfigError
from graph.preflight import MODELS, ROOT, LaunchOptions, serve_config

SMALL: dict[str, Any] = {
    "gpu": "L4",
    "source": "nobody",
    "asr": {"first_output_s": 0.1, "uses_gpu": True},
    "llm": {"first_output_s": 0.3},
    "tts": {"per_media_s": 0.2},
    "avatar": {"frames_per_s": {1: 20, 8: 40}},
}
STAGES = {"asr", "llm", "tts", "avatar"}


def written(folder: Path, model: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(model if isinstance(model, str) else yaml.safe_dump(model))
    return path


def changed(stage: str, **values: Any) -> dict[str, Any]:
    return {**SMALL, stage: {**SMALL[stage], **values}}


def video_per_s(model: CostModel) -> float:
    """Seconds of video that one card makes in a second, if it makes nothing else."""
    batch = model.avatar.batch or 1
    draw_s = 25 * model.avatar.draw_s(batch) / batch
    return 1 / (model.tts.per_media_s + draw_s)


def test_the_first_published_system_cannot_keep_up_with_one_speaker() -> None:
    model = read_cost_model(MODELS / "l4-2025.yaml")
    assert (model.asr.work_s(4.0), model.llm.first_output_s) == (1.2, 0.5)
    assert model.avatar.draw_s(1) == pytest.approx(1 / 20.3)
    assert video_per_s(model) == pytest.approx(0.518, abs=0.001)


def test_what_the_engines_aim_at_is_half_of_what_the_card_could_do() -> None:
    model = read_cost_model(MODELS / "l4-target.yaml")
    assert (model.asr.first_output_s, model.llm.first_output_s) == (0.15, 0.3)
    assert model.avatar.batch == 8
    assert model.avatar.draw_s(8) == pytest.approx(8 / 49)
    assert video_per_s(model) == pytest.approx(1.408, abs=0.001)


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.yaml")), ids=lambda path: path.stem)
def test_on_one_l4_there_is_room_for_what_every_stage_needs(path: Path) -> None:
    model = read_cost_model(path)
    stages = {name: getattr(model, name) for name in STAGES}
    assert {name for name, stage in stages.items() if stage.uses_gpu} == {"asr", "tts", "avatar"}
    assert sum(stage.memory_gb for stage in stages.values()) < model.gpu_memory_gb == 24
    assert model.source


def test_what_comes_first_is_on_top_of_what_each_second_takes() -> None:
    cost = StageCost(first_output_s=0.5, per_media_s=0.25)
    assert [cost.work_s(media_s) for media_s in (0.0, 1.0, 4.0)] == [0.5, 0.75, 1.5]


@pytest.mark.parametrize(
    ("n_frames", "seconds"),
    [(0, 0.0), (1, 0.1), (2, 0.1), (3, 0.15), (4, 0.2), (8, 0.4), (9, 0.5), (11, 0.55)],
)
def test_seconds_of_a_call_are_interpolated_between_batches(n_frames: int, seconds: float) -> None:
    cost = StageCost(frames_per_s={2: 20, 4: 20})
    assert cost.draw_s(n_frames) == pytest.approx(seconds)


def test_a_stage_without_a_curve_draws_at_no_cost() -> None:
    assert StageCost().draw_s(8) == 0.0


def test_a_card_is_described_once_and_every_stage_knows_it(tmp_path: Path) -> None:
    model = read_cost_model(written(tmp_path, {**SMALL, "gpu_memory_gb": 80}))
    assert {getattr(model, name).gpu_memory_gb for name in STAGES} == {80}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("a: [", "is not YAML"),
        ("", "as a whole: "),
        ("- 1", "as a whole: "),
        ({**SMALL, "tts": None}, "tts: "),
        ({**SMALL, "tss": {}}, "tss: Extra inputs are not permitted"),
        ({k: v for k, v in SMALL.items() if k != "asr"}, "asr: Field required"),
        (changed("asr", first_output_ms=100), "asr.first_output_ms: Extra inputs"),
        (changed("tts", per_media_s=-1), "tts.per_media_s: "),
        (changed("avatar", frames_per_s={}), "frames_per_s is what the avatar needs"),
        (changed("tts", frames_per_s={1: 20}), "frames_per_s is what the avatar needs"),
        (changed("avatar", per_media_s=1.0), "the avatar's time is its frames_per_s"),
        (changed("avatar", frames_per_s={0: 20}), "avatar.frames_per_s: write batches from 1"),
        (changed("avatar", frames_per_s={1: 0}), "avatar.frames_per_s: write batches from 1"),
        (changed("avatar", frames_per_s={1: 20, 2: 50}), "a larger batch cannot take less time"),
        (changed("asr", gpu_memory_gb=80), "write it once, at the top"),
    ],
)
def test_a_file_that_cannot_be_is_one_line_that_says_why(
    model: Any, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as raised:
        read_cost_model(written(tmp_path, model))
    assert raised.value.message.startswith("the cost model mine.yaml")
    assert words in raised.value.message
    assert "\n" not in raised.value.message


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        read_cost_model(tmp_path / "none.yaml")


# A profile's cost model reaches its fakes.


def options(folder: Path, profile: Any = None, cost_model: str | None = None) -> LaunchOptions:
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    config["applications"][0]["args"].update(profile or {})
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(config))
    return LaunchOptions(str(path), "127.0.0.1", 8000, 8265, folder, cost_model=cost_model)


def args_of(chosen: LaunchOptions) -> dict[str, Any]:
    found: dict[str, Any] = serve_config(chosen)["applications"][0]["args"]
    return found


def test_every_fake_of_a_profile_is_told_what_its_stage_costs(tmp_path: Path) -> None:
    args = args_of(options(tmp_path, cost_model="l4-target"))
    model = read_cost_model(MODELS / "l4-target.yaml")
    told = {name: StageCost.model_validate(args[name]["options"]["cost"]) for name in STAGES}
    assert told == {name: getattr(model, name) for name in STAGES}


def test_a_fakes_other_options_stay_and_other_engines_are_told_nothing(tmp_path: Path) -> None:
    profile = {
        "tts": {"engine": "fake", "options": {"letter_s": 0.1}},
        "llm": {"engine": "rules"},
    }
    args = args_of(options(tmp_path, profile, "l4-target"))
    assert args["tts"]["options"]["letter_s"] == 0.1
    assert args["tts"]["options"]["cost"]["per_media_s"] == 0.2
    assert "options" not in args["llm"]


def test_without_a_cost_model_nobody_is_told_anything(tmp_path: Path) -> None:
    args = args_of(options(tmp_path))
    assert all("options" not in args[name] for name in STAGES)


def test_a_cost_model_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    path = written(tmp_path, SMALL)
    assert args_of(options(tmp_path, cost_model=str(path)))["tts"]["options"]["cost"] == {
        "per_media_s": 0.2
    }


def test_an_unknown_cost_model_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        serve_config(options(tmp_path, cost_model="l4-traget"))
    assert raised.value.message == (
        "unknown cost model 'l4-traget'; COST_MODEL can be a YAML file, or: l4-2025, l4-target"
    )


def test_a_profile_without_fakes_has_no_use_for_a_cost_model(tmp_path: Path) -> None:
    real = {"asr": {}, "llm": {"engine": "rules"}, "tts": {}, "avatar": {"engine": "warp2d"}}
    with pytest.raises(ConfigError, match=re.escape("is for fakes, and the profile has none")):
        serve_config(options(tmp_path, real, "l4-target"))


def test_a_curve_says_how_many_are_drawn_at_once() -> None:
    curve = StageCost(frames_per_s={1: 35, 4: 49})
    assert FakeAvatar(FakeAvatar.Settings(cost=curve)).capabilities.batch == 4
    with pytest.raises(ValueError, match="leave batch out"):
        FakeAvatar.Settings(cost=curve, batch=8)
