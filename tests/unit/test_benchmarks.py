"""The benchmarks' own arithmetic and parsing; how fast anything is decides nothing here."""

import base64
import io
import json
import struct
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.client import Answer, User
from benchmarks.composed import ComposedTurn
from benchmarks.engines import chosen, frames_verdict, row
from benchmarks.incoming import AnswerError, BoxReader, EventReader, has_sound
from benchmarks.machine import Machine, memory_bytes, tree_of, tree_pss_bytes
from benchmarks.report import Spread, Verdict, finish, table
from benchmarks.speech import wav
from benchmarks.turn_report import Measured, Round, Story, show_all, spreads_of, verdicts_of
from benchmarks.words import word_error_rate
from deployments.types import Samples
from graph.mux import END_BOX
from graph.preflight import ROOT
from web.wire import KEEP_ALIVE, sse

TIMINGS = {"ttfa_ms": 150.0, "ttff_ms": 220.0, "turn_ms": 900.0, "audio_s": 4.0, "asr_ms": 110.5}
TURN = {"user_text": "Hi.", "response_text": "Hello.", "timings": TIMINGS}


def box(name: str, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), name.encode()) + content


INIT = box("ftyp", b"isom") + box("moov", b"m" * 90)
PICTURE_AND_SOUND = box("moof", box("mfhd") + box("traf") + box("traf")) + box("mdat", b"x" * 70)
PICTURE = box("moof", box("mfhd") + box("traf")) + box("mdat", b"y" * 40)


# Words.


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("One two three four.", "one, two three FOUR", 0.0),
        ("one two three four", "one two free four", 0.25),
        ("one two three four", "two three", 0.5),
        ("one two", "one big red two", 1.0),
        ("one two", "", 1.0),
        ("It’s well-known", "it's well known", 0.0),
    ],
)
def test_the_word_error_rate_counts_wrong_missing_and_invented_words(
    said: str, heard: str, rate: float
) -> None:
    assert word_error_rate([(said, heard)]) == rate


def test_long_sentences_weigh_more_in_the_word_error_rate() -> None:
    assert word_error_rate([("a b c", "a b c"), ("d", "x")]) == 0.25


# Reports.


def test_a_spread_is_the_middle_and_the_slow_end() -> None:
    assert Spread.of([float(n) for n in range(101)]) == Spread(50.0, 95.0, 99.0, 101)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0, 1)


def test_a_table_lines_up_numbers_on_the_right_and_words_on_the_left() -> None:
    shown = table(["what", "ms"], [["one", "7.5"], ["another", "120.0"], ["none", "-"]])
    assert shown.splitlines() == [
        "what     ms",
        "-------  -----",
        "one        7.5",
        "another  120.0",
        "none         -",
    ]


@pytest.mark.parametrize(
    ("measured", "is_minimum", "is_ok"),
    [
        (149.9, True, False),
        (150.0, True, True),
        (150.0, False, True),
        (150.1, False, False),
        (None, True, None),
    ],
)
def test_a_figure_on_its_limit_is_good_enough(
    measured: float | None, is_minimum: bool, is_ok: bool | None
) -> None:
    verdict = Verdict("f", "m", measured, 150.0, "", is_minimum)
    assert verdict.is_ok is is_ok
    assert verdict.row()[-1] == {True: "yes", False: "NO", None: "not measured"}[is_ok]


def test_the_last_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    print("a table")
    finish("b", {"text": "two\nlines"}, {"cores": 2})
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last) == {"benchmark": "b", "machine": {"cores": 2}, "text": "two\nlines"}


def test_the_machine_says_what_a_figure_was_measured_on() -> None:
    facts = Machine().facts()
    assert facts["cores"] >= 1
    assert facts["ram_gb"] > 0
    assert len(facts["load_before"]) == len(facts["load_after"]) == 3
    assert facts["versions"]["numpy"]
    assert facts["cpu"] in Machine.describe(facts)


@pytest.mark.parametrize(("load", "is_busy"), [(0.9, False), (1.1, True)])
def test_figures_from_a_busy_machine_are_marked_as_such(load: float, is_busy: bool) -> None:
    facts = {**Machine().facts(), "cores": 2, "load_before": [load, 0.0, 0.0]}
    assert ("busy" in Machine.describe(facts)) is is_busy


# Memory.


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A launcher 10 with the children 11 and 12, a grandchild 13, and a stranger 99."""
    for pid, parent, pss, command in (
        (10, 1, 100, "python\0-m\0graph.launch\0"),
        (11, 10, 20, "/x/raylet\0--with=setup.py\0"),
        (12, 10, 3, "python3.11\0-u\0/x/dashboard.py\0"),
        (13, 11, 4000, "ray::Replica:asr.transcribe\0"),
        (99, 1, 7777, "python\0other.py\0"),
    ):
        entry = tmp_path / str(pid)
        entry.mkdir()
        (entry / "stat").write_text(f"{pid} (a ) name (x) S {parent} 0 0")
        (entry / "smaps_rollup").write_text(f"0-f ---p [rollup]\nRss: 9 kB\nPss:   {pss} kB\n")
        (entry / "cmdline").write_bytes(command.encode())
    return tmp_path


def test_a_tree_holds_all_descendants_and_nobody_else(proc: Path) -> None:
    assert sorted(tree_of(10, proc)) == [10, 11, 12, 13]


def test_memory_is_told_by_process(proc: Path) -> None:
    assert tree_pss_bytes(10, proc) == {
        "graph.launch 10": 100 * 1024,
        "raylet 11": 20 * 1024,
        "dashboard.py 12": 3 * 1024,
        "ray::Replica:asr 13": 4000 * 1024,
    }


def test_a_process_that_ended_has_no_memory(proc: Path) -> None:
    assert memory_bytes(14, "Pss", proc) is None
    assert memory_bytes(13, "Rss", proc) == 9 * 1024


# What a server sends.


@pytest.mark.parametrize("size", [1, 7, 8, 9, 100, 10_000])
def test_boxes_are_found_however_they_arrive(size: int) -> None:
    data, reader = INIT + PICTURE_AND_SOUND + END_BOX, BoxReader()
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    names = [name for piece in pieces for name, _ in reader.push(piece)]
    assert names == ["ftyp", "moov", "moof", "mdat", "mfra"]


def test_bytes_that_are_no_mp4_are_an_error() -> None:
    with pytest.raises(AnswerError):
        list(BoxReader().push(b"\0\0\0\0moof"))


def test_a_fragment_with_two_tracks_has_sound() -> None:
    assert [has_sound(moof[8:]) for moof in (PICTURE_AND_SOUND[:32], PICTURE[:24])] == [True, False]


@pytest.mark.parametrize("size", [1, 10, 10_000])
def test_events_are_read_however_they_arrive_and_comments_are_not_events(size: int) -> None:
    data, reader = (
        sse("reply", {"text": "a\n\nb: c"}) + KEEP_ALIVE + sse("done", TURN),
        EventReader(),
    )
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    events = [event for piece in pieces for event in reader.push(piece)]
    assert events == [("reply", {"text": "a\n\nb: c"}), ("done", TURN)]


class Scripted(httpx.BaseTransport):
    """A server that takes the whole request, then sends blocks at its own times."""

    def __init__(self, blocks: list[tuple[float, bytes]], status: int = 200) -> None:
        self.blocks, self.status = blocks, status
        self.time_s = 100.0
        self.requests: list[tuple[str, bytes]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        body = b""
        for block in request.stream:
            body += block
            self.time_s += 1.0  # each block takes a second to upload
        self.requests.append((f"{request.method} {request.url.path}", body))
        if request.method == "GET":
            return httpx.Response(200, json=TURN)
        headers = {"X-Turn-Id": "turn-1234"}
        return httpx.Response(self.status, headers=headers, stream=Blocks(self))

    def now(self) -> float:
        return self.time_s


class Blocks(httpx.SyncByteStream):
    def __init__(self, server: Scripted) -> None:
        self.server = server

    def __iter__(self) -> Iterator[bytes]:
        sent_at_s = self.server.time_s
        for after_s, block in self.server.blocks:
            self.server.time_s = sent_at_s + after_s
            yield block


def video_event(index: int, data: bytes) -> bytes:
    return sse("video", {"index": index, "data": base64.b64encode(data).decode()})


EVENTS = [
    (0.125, sse("transcript", {"text": "Hi.", "language": "en"})),
    (0.25, video_event(0, INIT)),
    (0.375, video_event(1, PICTURE)),
    (0.5, video_event(2, PICTURE_AND_SOUND)),
    (0.75, video_event(3, END_BOX)),
    (1.0, sse("done", TURN)),
]
VIDEO = [
    (0.125, INIT + PICTURE[:30]),
    (0.375, PICTURE[30:]),
    (0.5, PICTURE_AND_SOUND),
    (1.0, END_BOX),
]
ANSWER = Answer(
    first_byte_s=0.125,
    first_fragment_s=0.375,
    first_audio_s=0.5,
    fragment_s=(0.375, 0.5),
    end_s=1.0,
    n_bytes=len(INIT + PICTURE + PICTURE_AND_SOUND + END_BOX),
    user_text="Hi.",
    response_text="Hello.",
    timings=TIMINGS,
)


def test_times_count_from_the_last_uploaded_byte_to_whole_fragments() -> None:
    server = Scripted(EVENTS)
    with User("http://x", server, server.now) as user:
        assert user.ask(wav=b"w" * 200_000) == ANSWER
    ((target, body),) = server.requests
    assert target == "POST /api/v1/conversation/stream"
    assert b"w" * 200_000 in body


def test_the_bare_video_gives_the_same_times_and_asks_for_the_timings_afterwards() -> None:
    server = Scripted(VIDEO)
    with User("http://x", server, server.now) as user:
        assert user.ask(wav=b"w", endpoint="video") == ANSWER
    assert [target for target, _ in server.requests] == [
        "POST /api/v1/conversation",
        "GET /api/v1/turns/turn-1234",
    ]


def test_a_finished_turn_can_be_waited_for() -> None:
    server = Scripted([(2.5, json.dumps(TURN).encode())])
    with User("http://x", server, server.now) as user:
        assert user.wait(text="Tell me a story.") == (2.5, TURN)


@pytest.mark.parametrize(
    ("blocks", "status"),
    [
        (EVENTS[:-1], 200),  # no `done`
        (EVENTS[:-2] + EVENTS[-1:], 200),  # cut before its mfra
        ([EVENTS[0], (0.2, sse("error", {"code": "engine_failed"}))], 200),
        ([(0.1, b'{"code": "overloaded"}')], 503),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(
    blocks: list[tuple[float, bytes]], status: int
) -> None:
    server = Scripted(blocks, status)
    with User("http://x", server, server.now) as user, pytest.raises(AnswerError):
        user.ask(wav=b"w")


# What turn_latency makes of it.


def composed(ttff_s: float, **timings: float) -> ComposedTurn:
    return ComposedTurn(ttff_s, 1.0, 4.0, timings)


@pytest.fixture
def measured() -> Measured:
    one = Round(ANSWER, composed(0.25, asr_ms=100.0), composed(1.5, frames_ms=900.0))
    memory = {"a 1": 1_500_000_000, "b 2": 500_000_000}
    return Measured([one], [one], [Story(5.0, 25.0)], {"a 1": 2_600_000_000}, memory)


def test_served_and_composed_turns_stand_side_by_side(measured: Measured) -> None:
    spreads = spreads_of(measured.rounds)
    by_column = {name: {c: s.p50 for c, s in columns.items()} for name, columns in spreads.items()}
    assert by_column == {
        "ttff_ms": {"served": 375.0, "in-process": 250.0, "sequential": 1500.0},
        "ttfa_ms": {"served": 500.0},
        "turn_ms": {"served": 1000.0, "in-process": 1000.0, "sequential": 1000.0},
        "rtf": {"served": 0.25, "in-process": 0.25, "sequential": 0.25},
        "asr_ms": {"served": 110.5, "in-process": 100.0},
        "server_ttfa_ms": {"served": 150.0},
        "server_ttff_ms": {"served": 220.0},
        "frames_ms": {"sequential": 900.0},
    }


def test_every_figure_is_held_against_what_it_must_reach(measured: Measured) -> None:
    assert [(v.measured, v.is_ok) for v in verdicts_of(measured)] == [
        (0.375, False),  # TTFF p50, 0.35 s
        (0.375, True),  # TTFF p95, 0.55 s
        (0.125, False),  # sound came after the picture
        (0.2, True),  # the story's RTF
        (4.0, True),  # sequential over served
        (125.0, False),  # Serve's cost, 80 ms
        (2.6, False),  # the larger of both memory readings, 2.5 GB
    ]


def test_a_story_that_is_too_short_proves_nothing(measured: Measured) -> None:
    measured.stories = [Story(1.0, 19.9)]
    story = next(v for v in verdicts_of(measured) if "story" in v.figure)
    assert (story.measured, story.is_ok) == (None, None)


def test_memory_is_not_claimed_for_a_server_somebody_else_started(measured: Measured) -> None:
    measured.memory = measured.memory_at_start = None
    assert verdicts_of(measured)[-1].is_ok is None


def test_the_result_is_json(measured: Measured, capsys: pytest.CaptureFixture[str]) -> None:
    result: dict[str, Any] = json.loads(json.dumps(show_all(measured, verdicts_of(measured))))
    assert result["serve_cost_ms"] == {"p50": 125.0, "p95": 125.0, "p99": 125.0, "n": 1}
    assert result["stories"] == [{"audio_s": 25.0, "turn_s": 5.0, "rtf": 0.2}]
    assert (result["memory_at_start_gb"], result["memory_gb"]) == (2.6, 2.0)
    assert "Against the targets" in capsys.readouterr().out


# Engines.


def test_fakes_are_measured_only_when_asked_for() -> None:
    real = chosen(None, with_fakes=False)
    assert ("tts", "espeak") in real
    assert not [name for _, name in real if name == "fake"]
    assert ("tts", "fake") in chosen(None, with_fakes=True)
    assert chosen(["tts/fake"], with_fakes=False) == [("tts", "fake")]


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(SystemExit, match="tts/nobody"):
        chosen(["tts/nobody"], with_fakes=False)


def test_an_engine_that_cannot_run_here_says_why() -> None:
    missing = {"stage": "asr", "engine": "whisper", "missing": "install its extra"}
    assert row(missing)[-1] == "not measured: install its extra"
    verdict = frames_verdict({"missing": "no GPU"})
    assert (verdict.is_ok, verdict.note) == (None, "no GPU")


@pytest.mark.parametrize("benchmark", ["benchmarks.engines", "benchmarks.turn_latency"])
def test_each_benchmark_explains_itself(benchmark: str) -> None:
    command = [sys.executable, "-m", benchmark, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "one line of JSON" in " ".join(done.stdout.split())


def test_a_question_is_uploaded_as_a_wav_file() -> None:
    samples: Samples = np.array([0.0, 1.0, -1.0, 2.0], np.float32)
    with wave.open(io.BytesIO(wav(samples, 16_000))) as file:
        facts = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        frames = np.frombuffer(file.readframes(4), "<i2").tolist()
    assert facts == (1, 2, 16_000)
    assert frames == [0, 32767, -32767, 32767]
