"""A turn's spans follow from the stamps that its timings follow from."""

import pytest

from deployments.caller import Caller
from graph.events import Timings
from graph.record import Span, TurnRecord, TurnReport
from graph.timing import TurnClock


class _Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def stamped(*stamps: tuple[float, str]) -> TurnClock:
    """The clock of a turn whose request came at 10 s; stamps are ms since then."""
    now = _Clock()
    clock = TurnClock(now, 10.0)
    for at_ms, name in stamps:
        now.now_s = 10.0 + at_ms / 1000
        clock.mark(name)
    return clock


def record_of(clock: TurnClock, outcome: str = "finished") -> TurnRecord:
    timings = clock.timings()
    return TurnRecord(outcome, Caller(), 1000.0, TurnReport(timings, clock.marks_ms()))


WHOLE = (
    (1, "decode_start"), (7, "decode_end"), (8, "vad_start"), (9, "vad_end"),
    (10, "queue_start"), (30, "queue_end"),
    (31, "asr_start"), (131, "asr_end"), (132, "llm_start"), (142, "llm_first_token"),
    (143, "tts_start"), (155, "tts_first_audio"), (156, "first_audio"), (157, "avatar_start"),
    (207, "avatar_first_frame"), (209, "first_fragment"), (300, "llm_end"), (400, "tts_end"),
    (500, "avatar_end"), (510, "turn_end"),
)  # fmt: skip


def rounded(span: Span) -> tuple[str, float, float, dict[str, float], bool]:
    events = {name: round(at_ms, 6) for name, at_ms in span.events.items()}
    return span.name, round(span.start_ms, 6), round(span.end_ms, 6), events, span.is_whole


def test_every_stage_is_a_span_with_its_first_output_inside() -> None:
    record = record_of(stamped(*WHOLE))

    assert [rounded(span) for span in record.spans()] == [
        ("turn", 0, 510, {"first_audio": 156, "first_fragment": 209}, True),
        ("decode", 1, 7, {}, True),
        ("vad", 8, 9, {}, True),
        ("queue", 10, 30, {}, True),
        ("asr", 31, 131, {}, True),
        ("llm", 132, 300, {"llm_first_token": 142}, True),
        ("tts", 143, 400, {"tts_first_audio": 155}, True),
        ("avatar", 157, 500, {"avatar_first_frame": 207}, True),
    ]
    assert record.queue_ms == pytest.approx(20)


def test_spans_and_timings_say_the_same() -> None:
    record = record_of(stamped(*WHOLE))
    timings = record.report.timings
    spans = {span.name: span for span in record.spans()}
    found = {
        "decode_ms": spans["decode"].length_ms,
        "asr_ms": spans["asr"].length_ms,
        "llm_first_token_ms": spans["llm"].events["llm_first_token"] - spans["llm"].start_ms,
        "llm_ms": spans["llm"].length_ms,
        "tts_first_audio_ms": spans["tts"].events["tts_first_audio"] - spans["tts"].start_ms,
        "avatar_first_frame_ms": spans["avatar"].events["avatar_first_frame"]
        - spans["avatar"].start_ms,
        "ttfa_ms": spans["turn"].events["first_audio"],
        "ttff_ms": spans["turn"].events["first_fragment"],
        "turn_ms": spans["turn"].length_ms,
    }
    assert found == pytest.approx({name: getattr(timings, name) for name in found})


def test_a_stage_that_did_not_end_was_at_work_when_the_turn_did() -> None:
    record = record_of(stamped((5, "asr_start"), (5005, "turn_end")), "engine_failed")
    assert [rounded(span) for span in record.spans()] == [
        ("turn", 0, 5005, {}, True),
        ("asr", 5, 5005, {}, False),
    ]


def test_a_turn_that_was_never_let_in_has_only_waited() -> None:
    clock = stamped((2, "queue_start"), (1002, "turn_end"))
    record = record_of(clock, "overloaded")
    assert [rounded(span) for span in record.spans()] == [
        ("turn", 0, 1002, {}, True),
        ("queue", 2, 1002, {}, False),
    ]
    assert record.report.timings == Timings(turn_ms=record.spans()[0].end_ms)
