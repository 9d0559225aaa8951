"""The GPU profiles say what follows from what each stage takes of a card, and agree."""

from typing import Any

import pytest
import yaml

from benchmarks.placement import (
    Card,
    cards,
    faults,
    replicas_of,
    stages_of,
    turns_per_card,
)
from deployments.cost_model import CostModel, read_cost_model
from graph.preflight import MODELS, PROFILES

GPU_PROFILES = ("l4", "production", "fake-l4")
FULL = ("asr", "avatar", "avatar", "tts", "tts")


@pytest.fixture(scope="module")
def target() -> CostModel:
    return read_cost_model(MODELS / "l4-target.yaml")


def profile(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    return config


def deployments(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in config["applications"][0]["deployments"]}


@pytest.mark.parametrize("name", GPU_PROFILES)
def test_fractions_caps_and_turns_follow_from_the_cost_model(name: str, target: CostModel) -> None:
    assert list(faults(profile(name), target)) == []


def test_what_does_not_follow_is_said_line_by_line(target: CostModel) -> None:
    config = profile("l4")
    changed = deployments(config)
    changed["tts"]["ray_actor_options"]["num_gpus"] = 0.12
    changed["llm"]["ray_actor_options"]["num_gpus"] = 0.1
    del changed["asr"]["ray_actor_options"]["accelerator_type"]
    application = config["applications"][0]
    application["args"]["avatar"]["options"] = {"memory_gb": 4.0}
    turns = application["autoscaling_policy"]["policy_kwargs"]["turns_per_replica"]
    turns.update(avatar=1.0, llm=9.0)
    assert list(faults(config, target)) == [
        "asr must ask for accelerator_type L4",
        "llm does not need a GPU",
        "llm: num_gpus 0.1, not 0.0",
        "tts: num_gpus 0.12, not 0.125",
        "avatar: memory_gb 4.0, not 3.3",
        "avatar: 1.0 turns, not 0.62",
    ]


def test_one_card_holds_all_of_l4_and_leaves_two_hundredths(target: CostModel) -> None:
    stages = stages_of(profile("l4"))
    for at_most in (False, True):
        assert cards(replicas_of(stages, at_most=at_most), target) == [Card(FULL, 0.0195, 9.9)]


def test_a_third_face_goes_to_another_card(target: CostModel) -> None:
    faces = [("avatar", 0.334)] * 3
    assert [card.replicas for card in cards(faces, target)] == [("avatar", "avatar"), ("avatar",)]


def test_by_memory_alone_a_card_would_take_all_faces_and_leave_the_next_one_idle(
    target: CostModel,
) -> None:
    assert len(cards([("avatar", 0.1375)] * 7, target)) == 1


def test_production_grows_from_two_cards_to_eight(target: CostModel) -> None:
    stages = stages_of(profile("production"))
    assert len(cards(replicas_of(stages, at_most=False), target)) == 2
    full = cards(replicas_of(stages, at_most=True), target)
    assert len(full) == 8
    assert all(card.free_gb > 0 for card in full)


def test_the_maxima_of_production_carry_what_eight_cards_do(target: CostModel) -> None:
    carried = {s.name: s.n_max * s.turns_per_replica for s in stages_of(profile("production"))}
    assert min(carried.values()) == pytest.approx(8 * turns_per_card(target), rel=0.02)


def test_the_fakes_are_placed_and_scaled_as_the_real_engines_are() -> None:
    real, fake = profile("l4"), profile("fake-l4")
    assert deployments(fake) == deployments(real)
    (real_application,), (fake_application,) = real["applications"], fake["applications"]
    assert fake_application["autoscaling_policy"] == real_application["autoscaling_policy"]
    assert fake_application["args"]["admission"] == real_application["args"]["admission"]
    assert fake["x-realtime-avatar"]["gpu_type"] == real["x-realtime-avatar"]["gpu_type"]


def test_production_asks_for_the_same_fractions_and_scales_by_the_same_turns() -> None:
    one, many = profile("l4"), profile("production")
    fractions = [
        {stage.name: (stage.fraction, stage.cap_gb, stage.turns_per_replica) for stage in found}
        for found in (stages_of(one), stages_of(many))
    ]
    assert fractions[0] == fractions[1]


@pytest.mark.parametrize("name", GPU_PROFILES)
def test_scaling_suits_answers_of_half_a_minute(name: str) -> None:
    longest_s = deployments(profile(name))["ingress"]["graceful_shutdown_timeout_s"]
    for one in deployments(profile(name)).values():
        scaling = one["autoscaling_config"]
        share = scaling["target_ongoing_requests"] / one["max_ongoing_requests"]
        assert 0.5 <= share <= 0.8
        if one["ray_actor_options"].get("num_gpus"):
            assert 1 <= scaling["upscale_delay_s"] <= 5
            assert scaling["downscale_delay_s"] > 30
            assert one["graceful_shutdown_timeout_s"] >= longest_s


def test_of_each_stage_that_is_seen_or_heard_one_may_be_lost() -> None:
    for name in GPU_PROFILES:
        scaling = {n: d["autoscaling_config"] for n, d in deployments(profile(name)).items()}
        assert min(scaling[stage]["min_replicas"] for stage in ("llm", "tts", "avatar")) >= 2
