"""A profile as the launcher fills it in: more cards, stages that sleep, engines nobody has."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.errors import ConfigError
from graph.preflight import (
    PROFILES,
    LaunchOptions,
    filled_profile,
    launch_settings,
    profile_names,
    serve_config,
)

PROFILE_NAMES = profile_names()
GPU_STAGES = ("asr", "tts", "avatar")


def options(profile: str | Path, **more: Any) -> LaunchOptions:
    return LaunchOptions(str(profile), "127.0.0.1", 8000, 8265, Path("/nonexistent"), **more)


def scaling(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = config["applications"][0]["deployments"]
    return {one["name"]: one["autoscaling_config"] for one in found}


def written(folder: Path, name: str, **launch: Any) -> Path:
    """The profile with more in its launcher's part."""
    config = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    config["x-realtime-avatar"].update(launch)
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_serve_never_sees_the_launchers_part() -> None:
    assert "x-realtime-avatar" not in serve_config(options("fake-l4"))
    assert set(serve_config(options("fake"))) == set(serve_config(options("fake-l4")))


def test_more_cards_let_the_stages_on_them_grow_and_nothing_else() -> None:
    one, eight = (
        filled_profile(options("fake-l4")),
        filled_profile(options("fake-l4", logical_gpus=8)),
    )
    assert launch_settings(options("fake-l4", logical_gpus=8)).logical_gpus == 8
    for name, before in scaling(one).items():
        times = 8 if name in GPU_STAGES else 1
        assert scaling(eight)[name] == {**before, "max_replicas": before["max_replicas"] * times}


def test_a_profile_that_was_written_for_many_cards_stays_as_it_is(tmp_path: Path) -> None:
    mine = written(tmp_path, "fake-l4", logical_gpus=4)
    assert scaling(filled_profile(options(mine, logical_gpus=4))) == scaling(
        filled_profile(options("fake-l4"))
    )


@pytest.mark.parametrize("name", ["l4", "production"])
def test_real_engines_get_no_logical_gpus(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        filled_profile(options(name, logical_gpus=1))
    assert str(caught.value) == (
        "LOGICAL_GPUS is for fakes, and the asr of this profile is 'faster_whisper'; "
        "without it Ray counts the real GPUs"
    )


def test_engines_that_nobody_has_written_yet_are_one_line(tmp_path: Path) -> None:
    config = yaml.safe_load((PROFILES / "l4.yaml").read_text())
    args = config["applications"][0]["args"]
    args.update(tts={"engine": "parrot"}, avatar={"engine": "mirror"})
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError) as caught:
        serve_config(options(mine))
    assert str(caught.value) == (
        f"this build does not have the engines of the profile {str(mine)!r}: tts parrot, "
        "avatar mirror; PROFILE=fake-l4 simulates them"
    )


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_every_profile_can_be_read_and_its_engines_exist(name: str) -> None:
    assert serve_config(options(name))["applications"]


def test_stages_that_may_sleep_have_no_replica_and_are_waited_for(tmp_path: Path) -> None:
    awake = filled_profile(options("fake-l4"))
    asleep = filled_profile(options(written(tmp_path, "fake-l4", sleep_after_s=600)))
    sleeping = {"min_replicas": 0, "initial_replicas": 0, "downscale_to_zero_delay_s": 600}
    for name, before in scaling(awake).items():
        expected = {**before, **sleeping} if name in GPU_STAGES else before
        assert scaling(asleep)[name] == expected
    args = asleep["applications"][0]["args"]
    assert {args[stage]["first_output_timeout_s"] for stage in GPU_STAGES} == {60.0}


@pytest.mark.parametrize(
    ("launch", "text"),
    [
        ({"logical_gpus": -1}, "logical_gpus: Input should be greater than or equal to 0"),
        ({"logical_gpu": 1}, "logical_gpu: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_in_the_launchers_part_is_named(
    launch: dict[str, Any], text: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        filled_profile(options(written(tmp_path, "fake-l4", **launch)))
    assert str(caught.value) == f"the profile's x-realtime-avatar.{text}"


def test_every_stage_tells_the_autoscaler_of_its_work_as_often_as_the_profile_says() -> None:
    often = scaling(filled_profile(options("production")))
    assert {name: one["metrics_interval_s"] for name, one in often.items()} == dict.fromkeys(
        ("ingress", "admission", "asr", "llm", "tts", "avatar"), 1
    )
    seldom = scaling(filled_profile(options("embedded")))
    assert not any("metrics_interval_s" in one for one in seldom.values())
