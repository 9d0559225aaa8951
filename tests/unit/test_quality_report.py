"""A run in few figures, against an earlier one, and as a page."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.machine import Machine
from benchmarks.quality_baseline import (
    BaselineError,
    Compared,
    check_comparable,
    compared,
    read_baseline,
    regressions_table,
    summary_of,
)
from benchmarks.quality_metrics import BY_KEY, Metric
from benchmarks.quality_report import Run, report_page
from benchmarks.quality_scenarios import Line
from benchmarks.quality_turn import Asked, Judged, Place, Reference
from benchmarks.quality_voice import Pitch
from benchmarks.report import finish
from deployments.types import AudioChunk

QUESTIONS = {"en": "What is the sea?", "zh": "大海是什么？", "es": "¿Qué es el mar?"}
SETTINGS = {
    "profile": "embedded",
    "scenarios": ["test"],
    "questions": "",
    "rounds": 1,
    "sample": "",
}
MACHINE = {"cpu": "a processor", "cores": 2}


def turn(
    language: str,
    number: int = 1,
    *,
    asked: Asked = "aloud",
    switched: bool = False,
    **figures: float,
) -> Judged:
    place = Place("test", number, Line(language, QUESTIONS[language]), switched)
    told = {"user_text": QUESTIONS[language], "response_text": f"reply {number}",
            "language": language, "timings": {"audio_s": 2.0}}  # fmt: skip
    return Judged(place, asked, turn=told, figures=figures)


# Few figures.


def test_times_are_told_apart_by_how_was_asked_and_the_rest_by_language() -> None:
    turns = [
        turn("en", 1, ttff_ms=200.0, reply_error_rate=0.1, av_offset_ms=-10.0),
        turn("en", 2, ttff_ms=300.0, reply_error_rate=0.3, av_offset_ms=-20.0),
        turn("en", 3, ttff_ms=900.0, av_offset_ms=100.0),
        turn("zh", 4, ttff_ms=90.0, asked="in writing", switched=True, reply_language_right=0.0),
        turn("zh", 5, ttff_ms=100.0, asked="in writing", reply_language_right=1.0),
    ]
    assert summary_of(turns) == {
        "all": {"n_failed": 0.0},
        "aloud": {"ttff_ms": 300.0},
        "in writing": {"ttff_ms": 95.0},
        "en": {"reply_error_rate": 0.2, "av_offset_ms": -10.0},
        "zh": {"reply_language_right": 0.5},
        "switched": {"reply_language_right": 0.0},
    }


def test_a_voice_that_wanders_from_turn_to_turn_shows_in_its_language() -> None:
    turns = [turn("en", 1, f0_mean_hz=190.0), turn("en", 2, f0_mean_hz=210.0)]
    assert summary_of(turns)["en"] == {"f0_mean_hz": 200.0, "f0_wander_hz": 10.0}
    assert summary_of(turns[:1])["en"] == {"f0_mean_hz": 190.0}


def test_turns_without_an_answer_are_counted() -> None:
    failed = Judged(Place("test", 1, Line("en", "?")), error="503: overloaded")
    assert summary_of([failed, turn("en")])["all"] == {"n_failed": 1.0}


# Against an earlier run.


@pytest.mark.parametrize(
    ("key", "before", "now", "is_worse"),
    [
        ("reply_error_rate", 0.10, 0.15, False),
        ("reply_error_rate", 0.10, 0.16, True),
        ("reply_error_rate", 0.30, 0.00, False),
        ("reply_language_right", 1.0, 1.0, False),
        ("reply_language_right", 1.0, 0.99, True),
        ("speaker_similarity", 0.90, 0.86, False),
        ("speaker_similarity", 0.90, 0.84, True),
        ("f0_mean_hz", 200.0, 209.0, False),
        ("f0_mean_hz", 200.0, 211.0, True),
        ("f0_mean_hz", 200.0, 189.0, True),
        ("av_offset_ms", -10.0, 20.0, False),
        ("av_offset_ms", -10.0, 30.0, True),
        ("av_offset_ms", -10.0, -50.0, True),
        ("lip_correlation", 0.6, 0.45, True),
        ("ttff_ms", 60.0, 105.0, False),  # 50 ms or half, whichever is more
        ("ttff_ms", 60.0, 115.0, True),
        ("ttff_ms", 400.0, 590.0, False),
        ("ttff_ms", 400.0, 610.0, True),
        ("rtf", 0.1, 0.16, True),
    ],
)
def test_a_figure_may_get_worse_by_its_threshold(
    key: str, before: float, now: float, is_worse: bool
) -> None:
    assert BY_KEY[key].is_worse(now, before) is is_worse


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (BY_KEY["reply_error_rate"], "+0.05"),
        (BY_KEY["speaker_similarity"], "-0.05"),
        (BY_KEY["ttff_ms"], "+50 ms or +50%"),
        (BY_KEY["reply_language_right"], "none"),
    ],
)
def test_a_threshold_is_said_in_words(metric: Metric, words: str) -> None:
    assert metric.threshold == words


def run(**english: float) -> dict[str, Any]:
    summary = {"all": {"n_failed": 0.0}, "aloud": {"ttff_ms": 300.0}, "en": english}
    return {"machine": MACHINE, "settings": SETTINGS, "summary": summary}


def verdicts(found: list[Compared]) -> dict[str, str]:
    return {f"{one.group} {one.metric.key}": one.verdict for one in found}


def test_what_is_worse_is_a_regression_and_what_is_better_is_not() -> None:
    before = run(reply_error_rate=0.1, speaker_similarity=0.8, lip_correlation=0.6)
    now = run(reply_error_rate=0.2, speaker_similarity=0.9, lip_correlation=0.59)
    assert verdicts(compared(before, now)) == {
        "all n_failed": "ok",
        "aloud ttff_ms": "ok",
        "en reply_error_rate": "REGRESSION",
        "en speaker_similarity": "ok",
        "en lip_correlation": "ok",
    }


def test_a_figure_that_is_gone_is_a_regression_and_a_new_one_is_not() -> None:
    found = compared(run(reply_error_rate=0.1), run(lip_correlation=0.6))
    assert verdicts(found)["en reply_error_rate"] == "REGRESSION"
    assert verdicts(found)["en lip_correlation"] == "new"


def test_times_on_other_hardware_are_not_judged_and_the_rest_is() -> None:
    before, now = run(reply_error_rate=0.1), run(reply_error_rate=0.3)
    now["machine"], now["summary"]["aloud"]["ttff_ms"] = {**MACHINE, "cores": 1}, 9000.0
    found = verdicts(compared(before, now))
    assert found["aloud ttff_ms"] == "not judged: other hardware"
    assert found["en reply_error_rate"] == "REGRESSION"


@pytest.mark.parametrize(
    ("name", "other"), [("profile", "cpu"), ("scenarios", []), ("questions", "?"), ("sample", "x")]
)
def test_runs_that_asked_other_things_are_not_compared(name: str, other: Any) -> None:
    check_comparable(run(), SETTINGS)
    with pytest.raises(BaselineError, match=f"the baseline's {name}"):
        check_comparable(run(), {**SETTINGS, name: other})


def test_the_table_tells_what_is_worse_and_counts_the_rest() -> None:
    found = compared(run(reply_error_rate=0.1), run(reply_error_rate=0.2))
    table = regressions_table(found)
    assert re.search(r"en +reply misheard +0.100 +0.200 +\+0.05 +REGRESSION", table)
    assert table.splitlines()[-1] == "2 figures are as good as the baseline's"
    assert regressions_table(found[:2]) == "2 figures are as good as the baseline's"


def test_a_written_run_is_a_baseline_and_other_files_are_not(tmp_path: Path) -> None:
    file, other = tmp_path / "run.json", tmp_path / "other.json"
    with file.open("w") as sink:
        finish("quality", {"settings": SETTINGS, "summary": {}}, MACHINE, sink)
    other.write_text(json.dumps({"benchmark": "engines"}))
    assert read_baseline(file)["settings"] == SETTINGS
    with pytest.raises(BaselineError, match="not a run"):
        read_baseline(other)
    with pytest.raises(BaselineError, match="cannot be read"):
        read_baseline(tmp_path / "nowhere.json")


# The page.


class Tags(HTMLParser):
    """Every tag with its attributes, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def sources(self, tag: str) -> list[str]:
        return [str(attrs["src"])[:22] for name, attrs in self.found if name == tag]


def page(*turns: Judged, found: tuple[Compared, ...] = ()) -> str:
    sample = AudioChunk(np.zeros(800, np.float32), 8_000)
    pitch = Pitch(np.linspace(100.0, 200.0, 50))
    references = {each: Reference("own voice", sample, None, pitch) for each in ("en", "zh")}
    result = {
        "settings": SETTINGS,
        "engines": {"asr": "small", "tts": "voice"},
        "summary": summary_of(turns),
        "missing": [{"metric": "lip_correlation", "languages": ["en"], "reason": "no <face>"}],
    }
    return report_page(Run(result, Machine().facts(), turns, references, b"webp", found))


def whole(language: str, number: int) -> Judged:
    one = turn(
        language, number, ttff_ms=250.0, asr_ms=100.0, rtf=0.3, reply_error_rate=0.1,
        question_error_rate=0.0, speaker_similarity=0.9, f0_mean_hz=150.0, f0_rmse_hz=4.0,
        av_offset_ms=-20.0, lip_correlation=0.6,
    )  # fmt: skip
    one.question, one.video = b"RIFF", b"mp4"
    one.pitch_percentiles_hz = (100.0, 120.0, 150.0, 180.0, 200.0)
    return one


def test_a_page_plays_every_question_every_answer_and_the_sample_and_loads_nothing() -> None:
    tags = Tags(page(whole("en", 1), whole("zh", 2)))
    assert tags.sources("video") == ["data:video/mp4;base64,"] * 2
    assert tags.sources("audio") == ["data:audio/wav;base64,"] * 3
    assert [a for t, a in tags.found if t in ("script", "link", "img", "iframe")] == []
    assert [a["aria-label"] for t, a in tags.found if t == "svg"] == [
        "Until the first fragment, ms",
        "Misunderstood: questions and replies",
        "Speaker similarity to the sample, cosine",
        "Pitch, Hz: 5, 25, 50, 75 and 95 %",
        "Sound before lips, ms, and how well they agree",
    ]


def test_a_drawing_without_figures_is_left_out() -> None:
    tags = Tags(page(turn("en", 1, ttff_ms=250.0)))
    assert [a["aria-label"] for t, a in tags.found if t == "svg"] == [
        "Until the first fragment, ms"
    ]


def test_what_people_and_servers_say_is_text_and_never_markup() -> None:
    said = whole("en", 1)
    said.turn = {**said.turn, "response_text": "<script>alert(1)</script>"}
    shown = page(said)
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "no &lt;face&gt;" in shown


def test_a_turn_without_an_answer_says_why() -> None:
    failed = Judged(Place("test", 2, Line("en", "?")), error="503: overloaded")
    assert "<p class=bad>503: overloaded</p>" in page(whole("en", 1), failed)


def test_regressions_come_first_and_are_counted() -> None:
    found = compared(run(reply_error_rate=0.1, lip_correlation=0.6),
                     run(reply_error_rate=0.2, lip_correlation=0.6))  # fmt: skip
    shown = page(whole("en", 1), found=tuple(found))
    assert "Against the baseline, regressions: 1" in shown
    assert shown.index("<tr class=bad>") < shown.index("turns without an answer")


def test_chinese_errors_are_called_cer() -> None:
    assert "reply misheard (CER)" in page(whole("zh", 1))
    assert "reply misheard (WER)" in page(whole("en", 1))


def test_turns_of_a_second_round_are_told_apart() -> None:
    place = Place("test", 1, Line("en", "?"))
    assert [place.name, replace(place, round_no=2).name] == ["test 1", "test 1, round 2"]
