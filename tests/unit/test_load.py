"""The load test's arithmetic, judgement and reading; how fast anything is decides nothing here."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.fragments import Fragment, Movie, Run
from benchmarks.incoming import AnswerError, BoxReader
from benchmarks.load_client import Caller, Manner
from benchmarks.load_questions import Question, SpokenQuestions, typed
from benchmarks.load_record import (
    Attempt,
    Heard,
    Outcome,
    TurnRecord,
    judge,
    n_frames_due,
    read_records,
    write_line,
)
from benchmarks.load_report import Lateness, ladder_share, show_summary, summary
from benchmarks.load_report import Run as LoadRun
from benchmarks.load_settings import LoadSettings, Range, add_arguments, comes_back_after_s
from benchmarks.load_viewer import Arrival, Viewer, Watched, watched
from benchmarks.load_waits import Honesty, Returned, Wait, queue_waits, refused_waits
from deployments.llm.rules import RulesLlm
from deployments.types import Message
from graph.mux import END_BOX
from graph.preflight import ROOT
from tests.scripted_server import (
    N_FRAMES,
    REPLY,
    Asked,
    Scripted,
    events_of,
    serving,
    video_event,
    well,
)
from tests.unit.test_mux import a_reply
from web.wire import sse

# Fragments.


def fragments_of(data: bytes) -> list[Fragment]:
    found: list[Fragment] = []
    movie: Movie | None = None
    for name, content in BoxReader().push(data):
        if name == "moov":
            movie = Movie(content)
        if name == "moof" and movie is not None:
            found.append(movie.fragment(content))
    return found


def test_a_fragment_tells_from_when_to_when_its_tracks_go() -> None:
    found = fragments_of(a_reply(12))
    assert [f.number for f in found] == [1, 2, 3]
    assert [f.picture for f in found] == [Run(0.0, 0.2, 5), Run(0.2, 0.4, 5), Run(0.4, 0.48, 2)]
    sounds = [f.sound for f in found if f.sound]
    assert sounds[0].start_s == 0
    assert [one.end_s for one in sounds[:-1]] == [one.start_s for one in sounds[1:]]
    assert sounds[-1].end_s == pytest.approx(0.48)


def test_a_fragment_of_a_track_that_the_movie_does_not_have_is_an_error() -> None:
    moof = next(content for name, content in BoxReader().push(a_reply(10)) if name == "moof")
    with pytest.raises(AnswerError, match="track 1"):
        Movie(b"").fragment(moof)


# Watching.


def arrivals(*at_s: float) -> list[Arrival]:
    """Fragments of 0.2 s that came at these times."""
    runs = [Run(0.2 * i, 0.2 * (i + 1), 5) for i in range(len(at_s))]
    return [Arrival(at, Fragment(i + 1, runs[i], None)) for i, at in enumerate(at_s)]


@pytest.mark.parametrize(
    ("at_s", "buffer_s", "expected"),
    [
        ((7.0, 7.1, 7.4), 0.0, Watched(3, 0, 0.0, 0.0, 0.0)),
        ((7.0, 7.25, 7.4), 0.0, Watched(3, 0, 0.05, 0.05, 0.05)),  # within the 50 ms
        ((7.0, 7.26, 7.4), 0.0, Watched(3, 1, 0.06, 0.06, 0.06)),
        ((7.0, 7.26, 7.4), 0.3, Watched(3, 0, -0.24, 0.0, 0.0)),
        ((7.0, 7.7, 7.9), 0.0, Watched(3, 2, 0.5, 0.5, 0.5)),  # one gap makes all that follows late
        ((7.0, 7.7, 8.3), 0.3, Watched(3, 2, 0.6, 0.4, 0.6)),  # ... a player that waits sees two
        ((), 0.0, Watched(0, 0, 0.0, 0.0, 0.0)),
    ],
)
def test_a_fragment_is_late_that_comes_50_ms_after_its_time(
    at_s: Sequence[float], buffer_s: float, expected: Watched
) -> None:
    found = watched(arrivals(*at_s), buffer_s)
    assert (found.n_fragments, found.n_late) == (expected.n_fragments, expected.n_late)
    wanted = (expected.worst_late_s, expected.longest_gap_s, expected.stalled_s)
    assert (found.worst_late_s, found.longest_gap_s, found.stalled_s) == pytest.approx(wanted)


def test_a_fragment_without_a_picture_is_neither_late_nor_counted() -> None:
    only_sound = Arrival(9.0, Fragment(4, None, Run(0.6, 0.8, 10)))
    assert watched([*arrivals(7.0, 7.1, 7.4), only_sound], 0.0) == Watched(3, 0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("size", [1, 1000, 10**6])
def test_a_viewer_sees_the_whole_reply_however_it_arrives(size: int) -> None:
    viewer = Viewer()
    for at in range(0, len(REPLY), size):
        viewer.push(REPLY[at : at + size], at_s=at / len(REPLY))
    assert viewer.n_frames == N_FRAMES
    assert viewer.video_s == pytest.approx(N_FRAMES / 25)
    assert viewer.av_offset_ms == pytest.approx(0.0, abs=0.1)
    assert (viewer.is_whole, viewer.fault, viewer.n_bytes) == (True, "", len(REPLY))
    assert viewer.first_sound_s == viewer.arrivals[0].at_s


def test_a_missing_fragment_is_a_fault_of_the_timeline() -> None:
    boxes = REPLY.split(b"moof")
    second = len(boxes[0]) + len(b"moof") + len(boxes[1]) - 4
    third = second + len(b"moof") + len(boxes[2])
    viewer = Viewer()
    viewer.push(REPLY[:second] + REPLY[third:], 0.0)
    assert viewer.fault == "fragments missing or out of order"


def test_a_hole_in_a_track_is_a_fault_of_the_timeline() -> None:
    viewer = Viewer()
    viewer.arrivals = [
        Arrival(0.0, Fragment(1, Run(0.0, 0.2, 5), None)),
        Arrival(0.1, Fragment(2, Run(0.4, 0.6, 5), None)),
    ]
    assert viewer.fault == "picture goes from 0.200 s to 0.400 s"


# Questions.


@pytest.mark.parametrize("language", ["en", "zh", "es"])
@pytest.mark.parametrize("seconds", [3.0, 20.0])
def test_a_typed_question_is_answered_by_what_the_rules_say_and_by_nothing_else(
    language: str, seconds: float
) -> None:
    settings = LoadSettings(language=language, answer_s=Range(seconds, seconds))
    llm = RulesLlm(RulesLlm.Settings())
    mine = typed(settings, 3, 1, Random(1))
    others = typed(settings, 4, 1, Random(1))
    reply = llm.answer([Message("user", mine.text)], language)
    assert mine.is_answered_by(reply)
    assert not others.is_answered_by(reply)
    assert mine.is_begun_by(reply[: len(reply) // 2])
    assert not others.is_begun_by(reply)


def test_answers_are_as_long_as_asked_for() -> None:
    lengths = [
        len(typed(LoadSettings(answer_s=Range(s, s)), 0, 1, Random(0)).answer) for s in (10, 20, 40)
    ]
    assert [n / s for n, s in zip(lengths, (10, 20, 40), strict=True)] == pytest.approx(
        [15.8] * 3, rel=0.05
    )


def test_a_spoken_question_is_not_answered_by_what_answers_another() -> None:
    asked = Question("spoken", tell="Today is", others=("octopus",))
    assert asked.is_answered_by("Today is Monday.")
    assert asked.is_answered_by("I don't know that.")  # misheard, which happens to people too
    assert not asked.is_answered_by("An octopus has three hearts.")
    assert asked.unchecked().is_answered_by("An octopus has three hearts.")


def test_questions_from_a_folder_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFFa")
    (tmp_path / "b.wav").write_bytes(b"RIFFb")
    questions = SpokenQuestions(LoadSettings(wav_folder=str(tmp_path)))
    drawn = [questions.draw(user, 1, Random(0)).wav for user in (0, 1, 2)]
    assert drawn == [b"RIFFb", b"RIFFa", b"RIFFb"]


def test_an_empty_folder_of_questions_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)):
        SpokenQuestions(LoadSettings(wav_folder=str(tmp_path)))


def test_questions_of_our_own_are_as_long_as_asked_for() -> None:
    pytest.importorskip("espeakng_loader")
    short = SpokenQuestions(LoadSettings(question="spoken", question_s=Range(3, 3)))
    drawn = [short.draw(user, 1, Random(0)) for user in range(6)]
    assert len({question.text for question in drawn}) == 6
    assert all(3 <= question.lasts_s <= 5 for question in drawn)
    assert all(question.wav and question.wav[:4] == b"RIFF" for question in drawn)


# Settings.


@pytest.mark.parametrize(("text", "low", "high"), [("5", 5, 5), ("0-5", 0, 5), ("1.5-2", 1.5, 2)])
def test_a_range_is_one_number_or_two(text: str, low: float, high: float) -> None:
    assert Range.parse(text) == Range(low, high)
    assert low <= Range.parse(text).draw(Random(1)) <= high


@pytest.mark.parametrize("text", ["", "a", "5-1", "-1", "1-2-3"])
def test_anything_else_is_no_range(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- float's own words are as good
        Range.parse(text)


def parsed(*arguments: str) -> LoadSettings:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return LoadSettings.of(parser.parse_args(arguments))


def test_settings_come_from_the_command_line_then_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert parsed() == LoadSettings()
    monkeypatch.setenv("LOAD_PAUSE_S", "1-2")
    monkeypatch.setenv("LOAD_TURNS", "7")
    assert parsed("--turns", "9") == LoadSettings(pause_s=Range(1, 2), turns=9)


def test_spoken_questions_in_other_languages_must_be_given() -> None:
    with pytest.raises(ValueError, match="wav-folder"):
        parsed("--question", "mixed", "--language", "es")


# How a turn ended.

QUESTION = Question("typed", "Repeat after me: One. Two.", None, "One. Two.")


def heard(**changes: Any) -> Heard:
    """A whole answer, and what is different about it."""
    viewer = Viewer()
    viewer.push(REPLY, 10.5)
    turn = {
        "turn_id": "turn-0001",
        "session_id": "session-0001",
        "response_text": "One. Two.",
        "timings": {"audio_s": 1.0, "ladder": []},
    }
    told = {**turn, **changes.pop("turn", {})}
    base: dict[str, Any] = {
        "asked_at": 1e9,
        "sent_s": 10.0,
        "status": 200,
        "turn_id": "turn-0001",
        "session_id": "session-0001",
        "turn": told,
        "ended_s": 11.0,
        "let_in_s": 10.25,
        "viewer": viewer,
    }
    return Heard(**{**base, **changes})


def cut_viewer(n_bytes: int) -> Viewer:
    viewer = Viewer()
    viewer.push(REPLY[:n_bytes], 10.5)
    return viewer


def sounding(until_s: float | None) -> Viewer:
    """A whole picture of 33 frames, 1.32 s, with sound to ``until_s``."""
    sound = None if until_s is None else Run(0.0, round(until_s, 3), 50)
    fragment = Fragment(1, Run(0.0, 1.32, 33), sound)
    return Viewer([Arrival(10.5, fragment)], is_whole=True)


LADDER = {"audio_s": 1.0, "ladder": [{"level": "half_rate", "from_s": 0.0, "to_s": 0.5}]}
UNCLOSED = len(REPLY) - len(END_BOX)


@pytest.mark.parametrize(
    ("changes", "outcome", "code", "fault"),
    [
        ({}, "finished", "", ""),
        ({"turn": {"timings": LADDER}}, "ladder", "", ""),
        ({"turn": {"response_text": "One.", "is_shortened": True}}, "shortened", "", ""),
        ({"turn": {"response_text": "One."}}, "broken", "", "shortened without a mark"),
        ({"turn": {"response_text": "Three."}}, "broken", "", "not the answer to its question"),
        (
            {"turn": {"response_text": "Three.", "is_shortened": True}},
            "broken", "", "not the beginning of its answer",
        ),
        ({"turn": {"turn_id": "turn-0002"}}, "broken", "", "another turn's id"),
        ({"turn": {"session_id": "session-2"}}, "broken", "", "another session's id"),
        ({"turn": {"timings": {"audio_s": 1.02}}}, "broken", "", "33 frames instead of 34"),
        ({"viewer": cut_viewer(UNCLOSED)}, "broken", "", "ended without its closing box"),
        ({"turn": None}, "broken", "", "ended without `done`"),
        ({"turn": None, "is_turn_told": False}, "unverified", "", ""),
        ({"viewer": sounding(None)}, "broken", "", "without sound or without picture"),
        ({"viewer": sounding(1.32 - 0.08)}, "finished", "", ""),
        ({"viewer": sounding(1.32 - 0.09)}, "broken", "", "sound ends -90 ms after the picture"),
        ({"viewer": sounding(1.32 + 0.04)}, "finished", "", ""),
        ({"viewer": sounding(1.32 + 0.05)}, "broken", "", "sound ends +50 ms after the picture"),
        ({"viewer": cut_viewer(900), "how_ended": "cut", "why_cut": "silence"},
         "cut", "silence", ""),
        ({"viewer": cut_viewer(900), "how_ended": "left"}, "left", "", ""),
        ({"problem": {"code": "engine_failed"}}, "error", "engine_failed", ""),
        ({"problem": {}, "status": 502}, "error", "http_502", ""),
        ({"problem": {"code": "overloaded"}, "status": 503}, "refused", "overloaded", ""),
    ],
)  # fmt: skip
def test_every_end_of_a_turn_has_one_name(
    changes: dict[str, Any], outcome: Outcome, code: str, fault: str
) -> None:
    one = heard(**{**changes, "turn": changes.get("turn") or {}})
    if "turn" in changes and changes["turn"] is None:
        one.turn = None
    assert judge(one, QUESTION) == (outcome, code, fault)


@pytest.mark.parametrize(
    ("audio_s", "n_frames"), [(1.0, (33, 34)), (1.02, (34,)), (21.717, (551,)), (None, None)]
)
def test_a_reply_has_a_frame_for_every_40_ms_begun_and_eight_to_rest(
    audio_s: float | None, n_frames: tuple[int, ...] | None
) -> None:
    assert n_frames_due(audio_s) == n_frames


def test_times_of_a_record_count_from_the_request() -> None:
    record = Attempt(2, 5, 1, "stream", QUESTION, 0.0).record(heard())
    assert (record.ttff_s, record.ttfa_s, record.end_s) == (0.5, 0.5, 1.0)
    assert (record.n_fragments, record.n_frames, record.n_frames_due) == (7, 33, 34)
    assert (record.predicted_wait_s, record.waited_s) == (None, None)


def test_a_wait_in_the_queue_lasts_until_the_first_word() -> None:
    one = heard(queued_s=10.05, predicted_wait_s=0.5, let_in_s=10.45)
    record = Attempt(2, 5, 1, "stream", QUESTION, 0.0).record(one)
    assert (record.was_queued, record.predicted_wait_s) == (True, 0.5)
    assert record.waited_s == pytest.approx(0.4)


def test_whoever_was_refused_waits_until_let_in_and_remembers_the_first_promise() -> None:
    overloaded = {"problem": {"code": "overloaded"}, "let_in_s": None, "turn": {}}
    first = Attempt(2, 5, 1, "stream", QUESTION, 0.0)
    refusal = heard(**overloaded, retry_after_s=4.0, ended_s=2.25)
    assert first.record(refusal).waited_s == 0
    second = first.again(refusal, is_impatient=True)
    refused = second.record(heard(**overloaded, retry_after_s=9.0, ended_s=7.0))
    assert (refused.outcome, refused.is_let_in, refused.waited_s) == ("refused", False, 4.75)
    third = second.again(heard(**overloaded, retry_after_s=9.0), is_impatient=True)
    record = third.record(heard())
    assert (record.attempt, record.is_impatient, record.is_let_in) == (3, True, True)
    assert (record.predicted_wait_s, record.waited_s) == (4.0, 8.0)
    assert record.queue_waited_s is None


def test_a_wait_in_the_queue_that_ends_in_refusal_was_cut_off() -> None:
    one = heard(problem={"code": "overloaded"}, let_in_s=None, queued_s=10.0,
                predicted_wait_s=0.5, retry_after_s=7.0)  # fmt: skip
    record = Attempt(2, 5, 1, "stream", QUESTION, 0.0).record(one)
    assert (record.is_let_in, record.queue_predicted_s, record.queue_waited_s) == (False, 0.5, 1.0)
    assert (record.predicted_wait_s, record.waited_s) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("told_s", "is_impatient", "after_s"),
    [(8.0, False, 8.0), (8.0, True, 2.0), (1.0, True, 0.5), (None, False, 1.0), (None, True, 0.5)],
)
def test_the_impatient_come_back_after_a_quarter_of_what_they_are_told(
    told_s: float | None, is_impatient: bool, after_s: float
) -> None:
    assert comes_back_after_s(told_s, is_impatient) == after_s


def test_records_survive_their_file(tmp_path: Path) -> None:
    record = Attempt(2, 5, 1, "stream", QUESTION, 0.0).record(heard(turn={"timings": LADDER}))
    file = tmp_path / "turns"
    file.write_text(write_line(record) * 2)
    assert read_records(file) == [TurnRecord.of_json(record.json())] * 2
    assert read_records(file)[0].ladder == tuple(LADDER["ladder"])  # type: ignore[arg-type]


# Figures.


def turn(**changes: Any) -> TurnRecord:
    base = TurnRecord(
        user=0, number=1, attempt=1, kind="typed", endpoint="stream", asked_at=1e9,
        outcome="finished", ttff_s=0.25, ttfa_s=0.25, n_fragments=100, video_s=20.0,
        audio_s=19.7, is_whole=True, av_offset_ms=0.0, end_s=5.0, timings={"llm_ms": 30.0},
    )  # fmt: skip
    return replace(base, **changes)


def test_late_fragments_of_slow_readers_are_their_own_affair() -> None:
    records = [
        turn(n_late=1, worst_late_s=0.25, longest_gap_s=0.2),
        turn(n_late=90, worst_late_s=9.0, longest_gap_s=9.0, is_slow=True),
        turn(n_fragments=300),
    ]
    assert Lateness.of(records) == Lateness(400, 1, 0.25, 0.2)
    assert Lateness.of(records).share == 1 / 400


def test_honesty_compares_what_was_told_with_what_was_waited() -> None:
    waits = [
        Wait(4.0, 5.0, True),
        Wait(3.0, 2.0, True),
        Wait(1.0, 0.1, True),  # too short to say anything
        Wait(11.0, 0.1, True),  # ... unless a long wait was foretold
        Wait(6.0, 8.0, False),  # cut off, and too long already
        Wait(6.0, 5.0, False),
    ]
    found = Honesty.of(waits)
    assert found.off == pytest.approx((0.2, 0.5, 109.0, 0.25))
    assert (found.n_cut_off, found.n_dropped) == (1, 1)
    assert found.median == pytest.approx(0.375)
    assert Honesty.of([]).median is None


def test_waits_in_the_queue_and_after_a_refusal_are_kept_apart() -> None:
    def waited(number: int, attempt: int, predicted_s: float, waited_s: float, **more: Any
               ) -> TurnRecord:  # fmt: skip
        one = turn(number=number, attempt=attempt, predicted_wait_s=predicted_s,
                   waited_s=waited_s, is_let_in="outcome" not in more)  # fmt: skip
        return replace(one, **more)

    early, out = {"is_impatient": True}, {"outcome": "refused"}
    records = [
        waited(1, 1, 2.0, 3.0, queue_predicted_s=2.0, queue_waited_s=3.0),
        waited(2, 1, 8.0, 0.0, **early, **out),
        waited(2, 2, 8.0, 2.0, **early, **out),
        waited(2, 3, 8.0, 4.0, **early),  # let in after half of what was foretold
        waited(3, 1, 5.0, 0.0, **out),
        waited(3, 2, 5.0, 5.25, **out),
        waited(3, 3, 5.0, 9.0, queue_predicted_s=1.0, queue_waited_s=2.0),
        waited(4, 1, 5.0, 3.0, **out),  # the run ended
        turn(number=5),
    ]
    assert queue_waits(records) == [Wait(2.0, 3.0, True), Wait(1.0, 2.0, True)]
    assert refused_waits(records, is_impatient=True) == [Wait(8.0, 4.0, True)]
    assert refused_waits(records, is_impatient=False) == [
        Wait(5.0, 9.0, True), Wait(5.0, 3.0, False),
    ]  # fmt: skip
    assert Returned.of(records) == Returned(1, 1)


def test_the_ladder_is_a_share_of_the_video() -> None:
    step = {"level": "idle_face", "from_s": 2.0, "to_s": 4.0}
    assert ladder_share([turn(ladder=(step,)), turn()]) == 2 / 40
    assert ladder_share([]) == 0


def test_the_report_says_all_in_tables_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    refused = turn(
        outcome="refused", code="overloaded", retry_after_s=4.0, end_s=0.05, ttff_s=None,
        ttfa_s=None, n_fragments=0, video_s=0.0, audio_s=None, is_whole=False, av_offset_ms=None,
        timings={},
    )  # fmt: skip
    cut = replace(refused, outcome="cut", code="silence", retry_after_s=None)
    queued = turn(was_queued=True, predicted_wait_s=2.0, waited_s=4.0, ttff_s=4.25,
                  is_let_in=True, queue_predicted_s=2.0, queue_waited_s=4.0)  # fmt: skip
    step = {"level": "half_rate", "from_s": 0.0, "to_s": 4.0}
    on_ladder = turn(outcome="ladder", ladder=(step,), av_offset_ms=-12.0, n_late=1)
    run = LoadRun(n_users=2, wall_s=40.0, generator_cpu_s=0.8, load_average=(1.5, 1.0, 0.5))
    found = summary([turn(), refused, cut, queued, on_ladder], run)
    assert json.loads(json.dumps(found)) == found
    assert found["turns"] == {
        "all": 5, "finished": 2, "ladder": 1, "unverified": 0, "shortened": 0, "refused": 1,
        "error": 0, "cut": 1, "left": 0, "broken": 0,
    }  # fmt: skip
    assert found["errors"] == {"silence": 1}
    assert found["ttff_s"] == {"p50": 0.25, "p95": 3.85, "p99": 4.17, "n": 3}
    assert found["stages"]["llm_ms"] == {"p50": 30.0, "p95": 30.0, "p99": 30.0, "n": 3}
    assert found["fragments"]["share"] == round(1 / 300, 6)
    assert found["av_offset_ms"] == {"least": -12.0, "most": 0.0}
    assert found["refusals"]["at_once"] == 1
    assert found["refusals"]["time_s"] == {"p50": 0.05, "p95": 0.05, "p99": 0.05, "n": 1}
    assert found["waits"]["queue"] == {
        "predicted_off_median": 0.5, "n": 1, "cut_off": 0, "dropped": 0,
    }  # fmt: skip
    assert found["ladder"]["half_rate"] == found["ladder"]["share"] == round(4 / 60, 6)
    assert (found["video_s_per_s"], found["videos_per_hour"]) == (1.5, 270.0)
    assert found["generator_cores_per_user"] == 0.01
    show_summary(found)
    shown = capsys.readouterr().out
    assert "1 of 300 (0.333%)" in shown
    assert "50% (1 waits, 0 cut off, 0 dropped)" in shown


# Asking, over real sockets.


def ask(script: Any, *, is_stream: bool = True, **manner: Any) -> tuple[TurnRecord, list[Asked]]:
    question = typed(LoadSettings(answer_s=Range(3, 3)), 1, 1, Random(1))
    with serving(script) as (url, asked):
        caller = Caller(url, is_stream=is_stream, language="en", key="k", silence_s=0.5)
        found = caller.ask(question, "session-9999", Manner(**manner))
    endpoint = "stream" if is_stream else "video"
    return Attempt(1, 1, 1, endpoint, question, 0.0).record(found), asked


@pytest.mark.parametrize("is_stream", [True, False])
def test_an_answer_is_heard_to_its_end(is_stream: bool) -> None:
    record, (asked,) = ask(well, is_stream=is_stream)
    assert (record.outcome, record.fault, record.status) == ("finished", "", 200)
    assert (record.turn_id, record.session_id) == ("turn-0001", "session-9999")
    assert (record.n_frames, record.n_fragments, record.audio_s) == (33, 7, 1.0)
    assert record.timings == {"audio_s": 1.0, "ttff_ms": 12.5}
    assert asked.form["language"] == "en"
    assert asked.headers["Authorization"] == "Bearer k"


def test_a_spoken_question_is_uploaded() -> None:
    with serving(well) as (url, asked):
        caller = Caller(url, is_stream=True, language="en")
        caller.ask(Question("spoken", wav=b"RIFF" * 5000), "", Manner())
    assert asked[0].form == {"language": "en", "audio": "20000"}


def test_the_answer_of_somebody_else_is_noticed() -> None:
    def mixed_up(asked: Asked) -> Scripted:
        other = typed(LoadSettings(answer_s=Range(3, 3)), 2, 1, Random(1))
        return Scripted(events_of(asked, response_text=other.answer))

    record, _ = ask(mixed_up)
    assert (record.outcome, record.fault) == ("broken", "not the answer to its question")


@pytest.mark.parametrize("is_stream", [True, False])
def test_an_answer_that_breaks_off_is_cut(is_stream: bool) -> None:
    def breaks_off(asked: Asked) -> Scripted:
        return Scripted(tuple(b[:9000] for b in well(asked).blocks[:-1] or (REPLY,)), ends=False)

    record, _ = ask(breaks_off, is_stream=is_stream)
    assert (record.outcome, record.code) == ("cut", "IncompleteRead")


def test_a_server_that_is_not_there_is_cut_as_well() -> None:
    with serving(well) as (url, _):
        pass
    caller = Caller(url, is_stream=True, language="en")
    found = caller.ask(QUESTION, "", Manner())
    assert judge(found, QUESTION) == ("cut", "ConnectionRefusedError", "")


def test_a_refusal_says_when_to_come_back() -> None:
    body = json.dumps({"code": "overloaded", "retry_after_s": 3}).encode()
    record, _ = ask(lambda _: Scripted((body,), 503, (("Retry-After", "3"),)))
    assert (record.outcome, record.code, record.retry_after_s) == ("refused", "overloaded", 3.0)


def test_a_plain_answer_of_a_proxy_is_an_error_by_its_status() -> None:
    record, _ = ask(lambda _: Scripted((b"Internal Server Error",), 500))
    assert (record.outcome, record.code) == ("error", "http_500")


def test_waiting_in_the_queue_is_seen_and_so_is_its_end_by_refusal() -> None:
    place = sse("queue", {"position": 2, "predicted_wait_s": 1.5})
    over = sse("error", {"code": "overloaded", "retry_after_s": 7})
    record, _ = ask(lambda _: Scripted((place, over)))
    assert (record.outcome, record.was_queued, record.retry_after_s) == ("refused", True, 7.0)
    record, _ = ask(lambda asked: Scripted((place, *events_of(asked))))
    assert (record.outcome, record.predicted_wait_s) == ("finished", 1.5)
    assert record.waited_s is not None


def test_an_error_event_ends_the_turn_with_its_code() -> None:
    failed = sse("error", {"code": "engine_failed"})
    record, _ = ask(lambda asked: Scripted((*events_of(asked)[:3], failed)))
    assert (record.outcome, record.code) == ("error", "engine_failed")


def test_whoever_leaves_is_not_kept() -> None:
    record, _ = ask(well, leave_after_s=0.0)
    assert (record.outcome, record.is_whole) == ("left", False)


def test_bytes_that_are_no_video_cut_the_answer() -> None:
    record, _ = ask(lambda _: Scripted((video_event(0, b"\0\0\0\0moof"),)))
    assert record.outcome == "cut"


def test_an_address_without_a_scheme_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(ValueError, match="localhost:8000"):
        Caller("localhost:8000", is_stream=True, language="en")


# The whole of it, in processes of its own: Locust would make this one's sockets its own.


@pytest.mark.parametrize("processes", [1, 2])
def test_users_converse_under_locust_and_every_turn_is_written(
    tmp_path: Path, processes: int
) -> None:
    turns, report = tmp_path / "turns", tmp_path / "report"
    n_refusals = [2]

    def script(asked: Asked) -> Scripted:
        if asked.nth > 1 and n_refusals[0]:
            n_refusals[0] -= 1
            body = json.dumps({"code": "overloaded"}).encode()
            return Scripted((body,), 503, (("Retry-After", "0.2"),))
        return well(asked)

    with serving(script) as (url, asked):
        command = [
            sys.executable, "-m", "benchmarks.load", "--url", url, "--users", "2", "--turns", "5",
            "--pause-s", "0", "--answer-s", "3", "--processes", str(processes), "--impatient", "1",
            "--turns-file", str(turns), "--report-file", str(report),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=60,
            env={**os.environ, "LOAD_API_KEY": "secret-1"},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = read_records(turns)
    by_turn = sorted((r.user, r.number) for r in records if r.outcome == "finished")
    assert by_turn == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]
    assert [r.outcome for r in records].count("refused") == 2
    returned = [r for r in records if r.attempt > 1 and r.outcome == "finished"]
    assert returned
    assert all(r.waited_s and r.is_let_in and r.is_impatient for r in returned)
    assert {one.headers["Authorization"] for one in asked} == {"Bearer secret-1"}
    line = json.loads(done.stdout.splitlines()[-1])
    assert line == json.loads(report.read_text())
    assert (line["benchmark"], line["turns"]["finished"], line["users"]) == ("load", 5, 2)
    assert line["faults"] == {}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_test_that_cannot_start_says_why_and_ends(tmp_path: Path, processes: int) -> None:
    command = [
        sys.executable, "-m", "benchmarks.load", "--url", "http://127.0.0.1:9", "--turns", "2",
        "--question", "spoken", "--wav-folder", str(tmp_path), "--processes", str(processes),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"error: no .wav file in {tmp_path}" in done.stderr
    assert "Traceback" not in done.stderr


def test_new_turns_come_at_their_rate_however_long_answers_last(tmp_path: Path) -> None:
    turns = tmp_path / "turns"
    with serving(well) as (url, asked):
        command = [
            sys.executable, "-m", "benchmarks.load", "--url", url, "--users", "2", "--turns", "6",
            "--arrivals", "open", "--rate", "20", "--answer-s", "3", "--turns-file", str(turns),
        ]  # fmt: skip
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    records = read_records(turns)
    assert [r.outcome for r in records] == ["finished"] * 6
    first_user = sorted(r.asked_at for r in records if r.user == 0)
    assert min(b - a for a, b in pairwise(first_user)) < N_FRAMES / 25  # while one still plays
    assert not [one for one in asked if "session_id" in one.form]


def test_the_load_test_explains_itself() -> None:
    command = [sys.executable, "-m", "benchmarks.load", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    said = " ".join(done.stdout.split())
    assert "one line of JSON" in said
    assert "LOAD_PAUSE_S" in said
