"""The planner as a whole: what it answers, and that the answer is reckoned right."""

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest

from benchmarks.plan_calls import (
    CALL,
    DAY_S,
    Call,
    Lengths,
    Talk,
    day_of_calls,
    read_calls,
    steady_calls,
)
from benchmarks.plan_fleet import Rent
from benchmarks.plan_outcome import Load, Need, Outcome, simulate
from benchmarks.plan_profile import Layout, StageLayout, read_layout
from benchmarks.plan_scaler import Scaling
from benchmarks.plan_search import first_guess, least_cards
from benchmarks.plan_world import Setup, World
from benchmarks.report import Spread
from deployments.cost_model import CostModel, StageCost
from graph.admission import AdmissionSettings
from graph.face import TurnSettings

NEED = Need(ttff_p95_s=1.5, ladder_share=0.05, price_per_hour=0.6)


def fixed(seconds: float) -> Lengths:
    return Lengths(seconds, 0.0, seconds, seconds)


TALK = Talk(pause=Lengths(2.0, 1.0, 0.2, 5.0), question=fixed(4.0), answer=fixed(8.0))


def model(fps: float = 49.0, rtf: float = 0.2, *, does_tts_share: bool = True) -> CostModel:
    return CostModel(
        gpu="L4",
        source="this test",
        asr=StageCost(first_output_s=0.15, uses_gpu=True, load_s=1.0),
        llm=StageCost(first_output_s=0.3),
        tts=StageCost(first_output_s=0.05, per_media_s=rtf, uses_gpu=does_tts_share, load_s=2.0),
        avatar=StageCost(frames_per_s={1: 35 * fps / 49, 8: fps}, uses_gpu=True, load_s=3.0),
    )


def layout(costs: CostModel | None = None) -> Layout:
    """A card with two faces, two voices and a recogniser."""
    costs = costs or model()

    def stage(cost: StageCost, share: float, n: int) -> StageLayout:
        scaling = Scaling(1, n, 4.0, 1.0, 60.0, look_back_period_s=5.0)
        return StageLayout(cost, share if cost.uses_gpu else 0.0, n, scaling)

    return Layout(
        profile="this test",
        model_name="this test",
        model=costs,
        stages={
            "asr": stage(costs.asr, 0.06, 1),
            "tts": stage(costs.tts, 0.12, 2),
            "avatar": stage(costs.avatar, 0.33, 2),
        },
        turn=TurnSettings(),
        admission=AdmissionSettings(n_unmeasured=1),
        look_ahead_s=20.0,
        fps=25,
        frames_per_packet=5,
        context_s=0.0,
        turns_per_replica={"asr": 4, "tts": 1.25, "avatar": 0.62},
        news_every_s=1.0,
    )


def steady(n_callers: int, seconds: float = 300.0, seed: int = 1) -> Load:
    return Load(steady_calls(n_callers, seed, 30.0), 60.0, 60.0 + seconds)


def outcome(setup: Setup, load: Load) -> Outcome:
    return simulate(setup, load, NEED).outcome


# What comes of a load.


def test_the_first_fragment_of_one_alone_takes_what_its_stages_take() -> None:
    costs = model(does_tts_share=False)
    found = simulate(Setup(layout(costs), 1, TALK, overhead_s=0.06), steady(1), NEED)
    # Ears, brain, three blocks of speech for ten frames, and the eight frames of the first batch.
    expected_s = 0.06 + 0.15 + 0.3 + (0.05 + 0.45 * 0.2) + 8 / 49
    assert len(found.answers) > 15
    for answer in found.answers:
        assert answer.ttff_s == pytest.approx(expected_s)
        assert answer.video_s == pytest.approx(8.0 + 8 / 25)  # the face comes to rest
        assert (answer.waited_s, answer.n_refusals) == (0.0, 0)


def test_a_voice_on_the_same_card_makes_the_face_slower() -> None:
    alone = outcome(Setup(layout(model(does_tts_share=False)), 1, TALK), steady(1))
    shared = outcome(Setup(layout(), 1, TALK), steady(1))
    # While the rest of the sentence is spoken, each has half of the card.
    assert shared.ttff_s.p50 == pytest.approx(alone.ttff_s.p50 + 8 / 49, abs=0.01)


def test_the_same_seed_gives_the_same_and_another_one_something_else() -> None:
    def found(seed: int) -> Outcome:
        return outcome(Setup(layout(), 2, TALK, seed=seed), steady(4, 120.0, seed))

    assert found(1) == found(1)
    assert found(1) != found(2)


def test_more_cards_are_never_worse() -> None:
    found = [outcome(Setup(layout(), n, TALK), steady(6)) for n in (2, 3, 4, 6, 12)]
    p95 = [one.ttff_s.p95 for one in found]
    assert p95 == sorted(p95, reverse=True)
    assert [one.waited_share for one in found] == sorted(
        (one.waited_share for one in found), reverse=True
    )
    assert found[0].waited_share > 0 == found[-1].waited_share


def test_the_first_published_system_cannot_keep_up_with_one_speaker() -> None:
    setup = Setup(read_layout("fake-l4", "l4-2025"), 1, replace(TALK, answer=fixed(20.0)))
    world = World(setup, steady_calls(1, 1, 30.0))
    world.run(300.0)
    assert sum(a.ladder_s for a in world.answers) > 0.8 * sum(a.video_s for a in world.answers)
    capacity = world.admission.capacity(world.clock.now_s)
    assert capacity is not None
    assert capacity < 1.0


def test_a_second_speaker_waits_for_a_card_that_carries_one() -> None:
    found = outcome(Setup(layout(), 1, replace(TALK, answer=fixed(30.0))), steady(3, 600.0))
    assert found.waited_share > 0.5
    assert found.busy_share > 0.8


def test_a_card_makes_as_much_video_as_its_time_allows() -> None:
    talk = Talk(pause=fixed(0.1), question=None, answer=fixed(20.0))
    found = outcome(Setup(layout(), 2, talk), steady(6, 600.0))
    # 25 frames at 49 a second, 0.2 s for the voice, and a bit for each sentence: of two cards.
    most = 2 / (25 / 49 + 0.2 + 0.05 / 4)
    made = found.talking_minutes / 10
    assert made * (1 - found.ladder_share) <= most  # a reduced picture costs less, or nothing
    assert made == pytest.approx(most, rel=0.1)


def test_patient_stretches_may_be_drawn_as_one_item() -> None:
    coarse, fine = (
        outcome(Setup(layout(), 6, TALK, coarse_after_s=after_s), steady(9, 600.0))
        for after_s in (1.0, math.inf)
    )
    assert coarse.ttff_s.p50 == pytest.approx(fine.ttff_s.p50, rel=0.03)
    assert coarse.ttff_s.p95 == pytest.approx(fine.ttff_s.p95, rel=0.05)
    assert coarse.busy_share == pytest.approx(fine.busy_share, rel=0.02)


def test_a_stretch_may_need_more_speech_than_is_made_ahead() -> None:
    little = replace(layout(), turn=TurnSettings(n_speech_blocks_ahead=4))
    found = outcome(Setup(little, 2, TALK), steady(2))
    assert found.n_turns > 20
    assert found.ttff_s.p50 == pytest.approx(
        outcome(Setup(layout(), 2, TALK), steady(2)).ttff_s.p50, rel=0.05
    )


def test_cards_come_and_go_with_the_calls_and_are_paid_while_they_are_there() -> None:
    calls = [Call(600.0 + i * 5.0, 600.0) for i in range(8)]
    setup = Setup(layout(), 6, TALK, rent=Rent(start_s=60.0, idle_s=30.0))
    found = simulate(setup, Load(calls, 0.0, 3600.0), NEED)
    by_time = {round(sample.at_s): sample for sample in found.samples}
    assert (by_time[300].n_cards, by_time[300].n_calls) == (1, 0)
    assert by_time[900].n_cards > 3
    assert by_time[3300].n_cards <= 2  # the last replicas may be on two
    assert found.outcome.cards_rented_most <= 6
    hours = found.outcome.cards_rented_mean
    assert 1.0 < hours < 4.0
    assert found.outcome.price == pytest.approx(hours * 0.6)


def test_who_comes_first_in_the_morning_waits_for_the_cards() -> None:
    calls = [Call(600.0, 300.0) for _ in range(6)]
    late, early = (
        simulate(Setup(layout(), 6, TALK, rent=Rent(start_s=s)), Load(calls, 0.0, 1500.0), NEED)
        for s in (200.0, 5.0)
    )
    assert late.outcome.ttff_s.p95 > 2 * early.outcome.ttff_s.p95


@pytest.mark.parametrize(
    ("need", "is_enough"),
    [(Need(9.0, 1.0, 1.0), True), (Need(0.5, 1.0, 1.0), False), (Need(9.0, 0.001, 1.0), False)],
)
def test_enough_is_what_keeps_every_limit(need: Need, is_enough: bool) -> None:
    found = simulate(Setup(layout(), 2, TALK), steady(4), need).outcome
    assert found.refused_share == 0
    assert found.is_enough == is_enough


# Prices.


def test_a_minute_costs_what_the_cards_cost_by_the_minutes_that_were_talked() -> None:
    found = outcome(Setup(layout(), 3, TALK), steady(2, 600.0))
    assert found.price == pytest.approx(3 * 600 / 3600 * 0.6)
    assert found.price_per_talking_minute == pytest.approx(found.price / found.talking_minutes)
    assert found.call_minutes == pytest.approx(2 * 10.0)
    assert found.price_per_call_minute == pytest.approx(0.3 / 20)


def test_minutes_of_calls_count_within_the_time_that_counts() -> None:
    load = Load([Call(0.0, 120.0), Call(90.0, math.inf), Call(400.0, 60.0)], 60.0, 180.0)
    assert load.call_minutes == pytest.approx(1.0 + 1.5)
    assert load.most_calls == 2


# Looking for the least number.


def enough_from(least: int, asked: list[int]) -> "Mapping[int, Outcome]":
    class Tried(dict[int, Outcome]):
        def __missing__(self, n: int) -> Outcome:
            asked.append(n)
            nothing = Spread(0.0, 0.0, 0.0, 1)
            self[n] = Outcome(
                n, 1, 0, nothing, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, n, 1.0, 1.0, 1.0, n >= least
            )
            return self[n]

    return Tried()


@pytest.mark.parametrize(("least", "guess"), [(1, 1), (1, 9), (7, 3), (12, 12), (13, 20), (70, 60)])
def test_the_least_number_is_found_and_none_is_tried_twice(least: int, guess: int) -> None:
    asked: list[int] = []
    assert least_cards(enough_from(least, asked).__getitem__, guess) == least
    assert len(asked) == len(set(asked)) <= 12


def test_a_large_number_is_found_to_a_hundredth() -> None:
    found = least_cards(enough_from(457, []).__getitem__, 400)
    assert found is not None
    assert 457 <= found <= 461


def test_there_may_be_no_number_that_is_enough() -> None:
    asked: list[int] = []
    assert least_cards(enough_from(10_000, asked).__getitem__, 10) is None
    assert max(asked) < 60


def test_cards_that_nobody_rents_would_not_help() -> None:
    asked: list[int] = []
    tried = enough_from(10_000, asked)

    def with_some_left(n: int) -> Outcome:
        return replace(tried[n], cards_rented_most=min(n, 12))

    assert least_cards(with_some_left, 10) is None
    assert max(asked) == 13


def test_the_first_guess_is_the_work_by_what_admission_promises() -> None:
    talk = Talk(pause=fixed(2.0), question=fixed(4.0), answer=fixed(8.0))
    work_s = 25 / 49 + 0.2
    assert layout().work_s_per_speech_s == pytest.approx(work_s)
    assert first_guess(layout(), talk, 100) == math.ceil(100 * 8 / 15 * work_s / 0.85)


# Calls.


def test_a_day_has_its_calls_in_its_hours() -> None:
    calls = day_of_calls(5000, seed=3)
    assert len(calls) == 5000
    assert calls == day_of_calls(5000, seed=3)
    starts = [call.start_s for call in calls]
    assert starts == sorted(starts)
    assert 0 <= starts[0] <= starts[-1] < DAY_S
    by_hour = [sum(h <= s / 3600 < h + 1 for s in starts) for h in (3, 10)]
    assert by_hour == pytest.approx([5000 * 2 / 1022, 5000 * 80 / 1022], rel=0.35)
    assert mean(call.duration_s for call in calls) == pytest.approx(CALL.mean_s, rel=0.05)


def test_lengths_have_their_mean_and_their_ends() -> None:
    rng, lengths = random.Random(5), Lengths(8.0, 5.0, 1.5, 40.0)
    drawn = [lengths.draw(rng) for _ in range(4000)]
    assert mean(drawn) == pytest.approx(8.0, rel=0.05)
    assert 1.5 <= min(drawn) < max(drawn) <= 40.0


def test_an_answer_is_cut_into_sentences_of_one_length() -> None:
    talk = Talk(pause=fixed(1.0), question=fixed(3.0), answer=fixed(9.0), sentence_s=4.0)
    until_asked_s, exchange = talk.exchange(random.Random(1))
    assert (until_asked_s, exchange.question_s) == (4.0, 3.0)
    assert exchange.sentences_s == (4.5, 4.5)


def test_calls_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "calls.csv"
    file.write_text("duration_s,start,caller\n60,09:30,a\n90.5,00:00:10.5,b\n30,7,c\n")
    assert read_calls(file) == [Call(7.0, 30.0), Call(10.5, 90.5), Call(34_200.0, 60.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("start,length\n1,2\n", "no column duration_s"),
        ("start,duration_s\n", "holds no call"),
        ("start,duration_s\n1,2\n5,soon\n", "line 3: no call"),
        ("start,duration_s\n1\n", "line 2: no call"),
        ("start,duration_s\n-1,2\n", "line 2: times"),
        ("start,duration_s\n1,inf\n", "line 2: times"),
    ],
)
def test_a_file_that_holds_no_calls_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "calls.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_calls(file)


# Profiles.


def test_a_profile_says_what_a_card_carries() -> None:
    one, many = read_layout("fake-l4", None), read_layout("production", "l4-target")
    assert one.model_name == "l4-target"
    assert [stage.most(1) for stage in one.stages.values()] == [1, 2, 2]
    assert [stage.most(8) for stage in many.stages.values()] == [4, 8, 16]
    for name, stage in many.stages.items():
        assert stage.share == one.stages[name].share
        assert stage.scaling_on(8).max_replicas == stage.scaling.max_replicas
        assert stage.scaling_on(1).min_replicas <= stage.most(1)


def test_a_profile_without_a_cost_model_wants_one() -> None:
    with pytest.raises(ValueError, match="names no cost model"):
        read_layout("production", None)
