"""When there were enough replicas, and when they had gone, from what was seen now and then."""

from typing import Any

import pytest
import yaml

from benchmarks.load_record import TurnRecord
from benchmarks.placement import stages_of
from benchmarks.steps import Outcome, needed
from benchmarks.steps_watch import Sight, Watch, seen
from graph.preflight import PROFILES

NEEDED = {"tts": 2, "avatar": 3}


def watch(*sights: tuple[float, int, int, int, int]) -> Watch:
    """Each: when, voices and faces that run, and those that are there at all."""
    found = Watch()
    for at, tts, avatar, all_tts, all_avatar in sights:
        found.saw(Sight(at, {"tts": tts, "avatar": avatar}, {"tts": all_tts, "avatar": all_avatar}))
    return found


def test_enough_is_when_every_stage_has_what_it_needs() -> None:
    seen_so_far = watch((10, 1, 2, 1, 2), (13, 2, 2, 2, 3), (15, 2, 3, 2, 3), (16, 2, 4, 2, 4))
    assert seen_so_far.enough_at(NEEDED, after=11) == 15
    assert seen_so_far.enough_at({"tts": 2}, after=11) == 13
    assert seen_so_far.enough_at({"tts": 3}, after=11) is None


def test_what_was_enough_before_is_enough_at_once() -> None:
    assert watch((10, 2, 3, 2, 3)).enough_at(NEEDED, after=12) == 12


def test_what_was_enough_before_and_no_longer_is_does_not_count() -> None:
    assert watch((10, 2, 3, 2, 3), (12, 1, 3, 1, 3)).enough_at(NEEDED, after=13) is None


def test_replicas_that_drain_are_not_gone() -> None:
    seen_so_far = watch((10, 4, 8, 4, 8), (20, 2, 3, 4, 8), (23, 2, 3, 2, 4), (25, 2, 3, 2, 3))
    assert seen_so_far.down_at(NEEDED, after=12) == 25
    assert seen_so_far.down_at({"tts": 2}, after=12) == 23
    assert seen_so_far.down_at({"avatar": 2}, after=12) is None


def test_only_what_changed_is_kept() -> None:
    seen_so_far = watch((1, 1, 2, 1, 2), (2, 1, 2, 1, 2), (3, 1, 2, 1, 3), (4, 2, 1, 2, 3))
    assert [sight.at for sight in seen_so_far.sights] == [1, 3, 4]
    assert seen_so_far.most() == {"avatar": 2, "tts": 2}


class Dashboard:
    """What a dashboard would tell of two stages, one of which is not there yet."""

    def deployments(self) -> dict[str, Any]:
        states = ("RUNNING", "STARTING", "RUNNING", "STOPPING")
        return {"avatar": {"replicas": [{"state": state} for state in states]}}


def test_a_sight_tells_running_replicas_from_all_that_are_there() -> None:
    sight = seen(Dashboard(), ("tts", "avatar"), now=lambda: 7.0)  # type: ignore[arg-type]
    assert sight == Sight(7.0, {"tts": 0, "avatar": 2}, {"tts": 0, "avatar": 4})


def test_what_is_needed_follows_from_the_profile() -> None:
    stages = stages_of(yaml.safe_load((PROFILES / "fake-l4.yaml").read_text()))
    assert needed(stages, 1) == {"asr": 1, "tts": 2, "avatar": 2}
    assert needed(stages, 6) == {"asr": 2, "tts": 5, "avatar": 10}


@pytest.mark.parametrize(
    ("outcome", "n_cut"),
    [("finished", 0), ("ladder", 0), ("refused", 0), ("cut", 1), ("shortened", 1), ("error", 1)],
)
def test_an_answer_is_cut_when_not_all_of_it_came(outcome: Any, n_cut: int) -> None:
    record = TurnRecord(0, 1, 1, "typed", "stream", 0.0, outcome)
    assert Outcome(0.0, 1.0, Watch(), [record], [], 1, 0.0).n_cut == n_cut
