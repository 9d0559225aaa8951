"""What can never be placed is known before, and said with what to do."""

from typing import Any

import pytest

from graph.fit import NoRoomError, Resources, Wish, check_room, wishes, words

L4 = {"CPU": 8.0, "GPU": 1.0, "accelerator_type:L4": 1.0, "memory": 30e9}
FACE = {"GPU": 0.334, "CPU": 0.02, "accelerator_type:L4": 0.001}


def config(**deployments: dict[str, Any]) -> dict[str, Any]:
    return {"applications": [{"deployments": [{"name": n, **d} for n, d in deployments.items()]}]}


def refused(wanted: list[Wish], *nodes: Resources) -> str:
    with pytest.raises(NoRoomError) as caught:
        check_room(wanted, nodes)
    return str(caught.value)


def test_what_a_profile_asks_for_is_read_as_serve_reads_it() -> None:
    asked = config(
        ingress={},
        asr={"num_replicas": 3, "ray_actor_options": {"num_cpus": 0, "memory": 2e9}},
        avatar={
            "autoscaling_config": {"min_replicas": 2, "max_replicas": 9},
            "ray_actor_options": {
                "num_cpus": 0.02,
                "num_gpus": 0.334,
                "accelerator_type": "L4",
                "resources": {"fast": 1},
            },
        },
        tts={"autoscaling_config": {"min_replicas": 0, "initial_replicas": 1, "max_replicas": 2}},
    )
    assert wishes(asked) == [
        Wish("ingress", 1, {"CPU": 1.0}),
        Wish("asr", 3, {"memory": 2e9}),
        Wish("avatar", 2, {**FACE, "fast": 1.0}),
        Wish("tts", 1, {"CPU": 1.0}),
    ]


def test_what_fits_is_not_talked_about() -> None:
    check_room([Wish("avatar", 2, FACE), Wish("ingress", 1, {"CPU": 1.0})], [L4])
    check_room([Wish("avatar", 4, FACE)], [{"CPU": 4.0}, L4, L4])


def test_a_card_that_is_not_there_is_named_with_what_there_is() -> None:
    assert refused([Wish("avatar", 2, FACE)], {"CPU": 2.0}) == (
        "no node has room for a replica of avatar, which wants 0.334 GPU and 0.02 CPU (of type L4);"
        " the largest has 2 CPU. To do: take a machine with a GPU L4, or simulate it:"
        " PROFILE=fake-l4"
    )


def test_a_card_of_another_type_does_not_do() -> None:
    text = refused([Wish("avatar", 2, FACE)], {"CPU": 8.0, "GPU": 1.0, "accelerator_type:T4": 1.0})
    assert "the largest has 8 CPU and 1 GPU (of type T4)" in text


def test_together_too_much_is_told_by_whom_and_how_many_cards_would_do() -> None:
    wanted = [Wish("avatar", 6, FACE), Wish("tts", 4, {"GPU": 0.125}), Wish("llm", 9, {"CPU": 0.1})]
    assert refused(wanted, L4) == (
        "the replicas want 2.504 GPU together (6 x avatar 0.334, 4 x tts 0.125), and the cluster"
        " has 1 GPU. To do: take 3 of them (simulated ones: LOGICAL_GPUS=3)"
    )


def test_too_many_of_what_can_not_be_simulated() -> None:
    assert refused([Wish("ingress", 3, {"CPU": 1.0})], {"CPU": 2.0}) == (
        "the replicas want 3 CPU together (3 x ingress 1), and the cluster has 2 CPU. To do: start"
        " with fewer replicas, or take a larger cluster"
    )


def test_memory_is_a_resource_as_others_are() -> None:
    text = refused([Wish("asr", 1, {"memory": 40e9})], L4)
    assert text.startswith("no node has room for a replica of asr, which wants 40 GB of memory;")
    assert text.endswith("To do: ask for less in the profile, or take a larger machine")


def test_of_a_stage_that_sleeps_nothing_has_to_be_placed() -> None:
    check_room([Wish("avatar", 0, FACE)], [{"CPU": 1.0}])


def test_a_cluster_without_nodes_has_nothing() -> None:
    assert "the largest has nothing" in refused([Wish("ingress", 1, {"CPU": 1.0})])


def test_a_sum_of_fractions_is_a_whole_card() -> None:
    check_room([Wish("tts", 10, {"GPU": 0.1})], [{"GPU": 1.0}])


def test_words_are_short() -> None:
    assert words({"GPU": 0.5, "memory": 1.5e9, "CPU": 0.0}) == "0.5 GPU and 1.5 GB of memory"
