"""What the planner says and draws, and how it is compared with the real graph."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.plan import HEADER, Planner, row
from benchmarks.plan_calls import Call, Talk, steady_calls
from benchmarks.plan_check import Planned, Step, speakers_for, verdicts
from benchmarks.plan_outcome import Load, Need, Outcome, Simulated
from benchmarks.plan_plot import cards_figure, day_figure, write_plot
from benchmarks.plan_profile import cards_for, read_layout
from benchmarks.plan_real import Measured, _fixed, check_talk
from benchmarks.plan_report import answer, assumptions, kept_all_day, who_calls
from benchmarks.plan_world import Answer, Sample, Setup
from benchmarks.report import Spread
from deployments.tts.fake import FakeTts
from graph.preflight import LAUNCH_KEY, PROFILES

NEED = Need(ttff_p95_s=1.5, ladder_share=0.06, price_per_hour=0.72)
FEW = Outcome(
    n_cards=4, n_turns=200, n_open=1, ttff_s=Spread(1.1, 2.25, 3.0, 200), waited_share=0.1,
    refused_share=0.02, late_share=0.03, ladder_share=0.05, busy_share=0.8, cards_rented_mean=3.5,
    cards_rented_most=4, talking_minutes=120.0, call_minutes=240.0, price=2.4, is_enough=False,
)  # fmt: skip
ENOUGH = replace(FEW, n_cards=5, ttff_s=Spread(1.0, 1.4, 2.0, 200), price=3.0, is_enough=True)


def test_the_answer_names_the_cards_the_limit_and_the_price() -> None:
    assert answer(5, [FEW, ENOUGH], "9 callers", NEED) == (
        "5 L4s for 9 callers at a p95 of TTFF of at most 1.5 s and 6% of the video on the ladder: "
        "1.40 s and 5.0%; 2.50 US cents a talking minute (of the face; 1.25 a minute of call)"
    )
    assert answer(None, [FEW], "9 callers", NEED) == (
        "no number of cards is enough for 9 callers at a p95 of TTFF of at most 1.5 s and 6% of "
        "the video on the ladder: with 4 it is 2.25 s, 5.0% on the ladder, 2.0% refused"
    )
    unused = replace(FEW, n_cards=9)
    assert answer(None, [unused], "9 callers", NEED).endswith(
        "with 4 it is 2.25 s, 5.0% on the ladder, 2.0% refused, and more are never rented: the "
        "profile's scaling decides when cards come"
    )


def test_cards_that_cannot_be_given_back_cost_all_day() -> None:
    load = Load([Call(0.0, 60.0)], 0.0, 24 * 3600.0)
    said = kept_all_day(ENOUGH, load, NEED)
    # 5 cards, 24 hours, 0.72 dollars; by 120 minutes of talking.
    assert "all 5 kept: 86 dollars, 72.00 US cents a talking minute" in said


def test_who_calls_is_said_in_words() -> None:
    assert who_calls(1000, None, None) == "1,000 callers who talk at the same time"
    assert who_calls(100, 10_000, None) == "a day of 10,000 calls of 150 s on average"
    assert who_calls(100, None, "may.csv") == "the calls of may.csv"


def test_a_row_has_a_cell_for_every_heading() -> None:
    assert dict(zip(HEADER, row(FEW), strict=True))["refused"] == "2.00%"


def test_a_number_of_cards_is_simulated_once() -> None:
    layout = read_layout("fake-l4", None)
    planner = Planner(Setup(layout, 1), Load(steady_calls(1, 1, 1.0), 5.0, 65.0), NEED)
    first = planner.attempt(2)
    assert planner.attempt(2) is first
    assert planner.outcomes == [first]
    assert first.n_cards == 2


def test_everything_that_the_answer_rests_on_is_told() -> None:
    setup = Setup(read_layout("production", "l4-target"), 3, seed=7)
    found = assumptions(setup, NEED, "somebody")
    text = " ".join(found.values())
    for fact in ("l4-target", "0.72", "avatar 2", "0.06 s", "8 s (deviation 5)", "1.5 s", "7"):
        assert fact in text


def test_the_curve_is_a_picture_and_a_page_that_loads_nothing(tmp_path: Path) -> None:
    figure = cards_figure([FEW, ENOUGH], NEED, 5, "5 L4s & more", "some <assumptions>")
    text = drawn(figure, tmp_path)
    assert "<td>2.50" in text
    assert "5 L4s &amp; more" in text
    assert "some &lt;assumptions&gt;" in text


def test_a_day_is_drawn_too(tmp_path: Path) -> None:
    answers = [Answer(3600.0 * h + 5, 1.0, 0.0, 0, 10, 0, 0.0, 2.0) for h in (0, 9, 9)]
    samples = [Sample(3600.0 * h, h, h // 2, 2) for h in range(24)]
    figure = day_figure(Simulated(ENOUGH, answers, samples), NEED, "a day", "assumed")
    assert "a day" in drawn(figure, tmp_path)


def drawn(figure: Any, folder: Path) -> str:
    """The page, after both files were looked at."""
    title = figure.get_suptitle()
    png, page = write_plot(figure, title, HEADER, [row(ENOUGH)], "some <assumptions>",
                           folder / "new" / "plan")  # fmt: skip
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    text = page.read_text()
    assert not re.search(r"(?:src|href)=[\"']?[^\"'#]|@import|url\([^#]", text)
    return text


# Against the real graph.


REAL = Measured(4, 5, Spread(1.0, 2.0, 2.5, 90), 4.0, 0, 0, 0.01)


def test_the_planner_is_off_by_a_share_of_the_real_figure() -> None:
    planned = Planned(Spread(1.0, 1.6, 2.0, 500), 4.4, 0.0, 0.0)
    calm, crowd = (Step(REAL, planned, is_overload, 1.5) for is_overload in (False, True))
    assert (calm.ttff_off, calm.capacity_off) == pytest.approx((0.2, 0.1))
    found = [(v.figure, round(v.measured or 0.0, 3), v.is_ok) for v in verdicts([calm, crowd])]
    assert found == [
        ("4 cards, 5 speakers: p95 of TTFF", 20.0, False),
        ("4 cards, 5 speakers: capacity, video s/s", 10.0, True),
    ]


def test_loads_go_from_one_alone_to_more_than_there_is_room_for() -> None:
    layout, talk = read_layout("fake-l4", None), check_talk()
    for n_cards in (1, 4):
        numbers = speakers_for(layout, talk, n_cards)
        room = n_cards / layout.work_s_per_speech_s
        assert numbers[0] == 1
        assert numbers == sorted(set(numbers))
        assert max(numbers[:-1]) < 1.4 * room < 2 * room < numbers[-1]


def test_the_real_graph_has_the_replicas_and_the_answer_of_the_plan() -> None:
    layout = read_layout("fake-l4", None)
    config = yaml.safe_load((PROFILES / "fake-l4.yaml").read_text())
    fixed = _fixed(config, layout, 4)
    application = fixed["applications"][0]
    n_of = {
        one["name"]: one["autoscaling_config"]["max_replicas"]
        for one in application["deployments"]
        if one["name"] in layout.stages
    }
    assert n_of == {"asr": 4, "tts": 8, "avatar": 8}
    assert fixed[LAUNCH_KEY]["logical_gpus"] == 4
    assert "autoscaling_policy" not in application
    assert config != fixed
    text, voice = application["args"]["llm"]["options"]["text"], FakeTts.Settings()
    sentences = [sentence + "." for sentence in text.rstrip(".").split(". ")]
    spoken_s = [len(s) * voice.letter_s + voice.lead_s + voice.pause_s for s in sentences]
    talk: Talk = check_talk()
    assert sum(spoken_s) == pytest.approx(talk.answer.mean_s)
    assert spoken_s == pytest.approx([talk.sentence_s] * len(sentences))


def test_replicas_fill_cards_none_on_two() -> None:
    assert cards_for({"avatar": (0.334, 4), "tts": (0.125, 2), "asr": (0.0625, 2)}) == 2
    assert cards_for({"avatar": (0.5, 3)}) == 2
    assert cards_for({"asr": (0.0, 3)}) == 1
