"""What is counted and measured of turns, and under which names."""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial

import pytest

from deployments.caller import Caller
from deployments.types import Effort
from graph.cluster_gate import GateReport
from graph.events import LadderStep, Progress, Timings
from graph.metrics import AdmissionMetrics, BatchMetrics, Instruments, LoadMetrics, TurnMetrics
from graph.record import TurnRecord, TurnReport

Key = tuple[str, tuple[tuple[str, str], ...]]
Book = dict[Key, list[float]]
"""What was counted or observed, by metric name and tags."""


class _Written:
    """Stands where Ray's metric would: writes everything into one book."""

    def __init__(
        self,
        book: Book,
        name: str,
        *,
        description: str,
        tag_keys: tuple[str, ...] = (),
        boundaries: list[float] | None = None,
    ) -> None:
        assert description
        # Ray refuses a boundary of 0 or less.
        assert boundaries is None or (boundaries == sorted(boundaries) and boundaries[0] > 0)
        self._book, self._name, self._tag_keys = book, name, tag_keys

    def write(self, value: float, tags: Mapping[str, str]) -> None:
        assert set(tags) == set(self._tag_keys)
        self._book[self._name, tuple(sorted(tags.items()))].append(value)

    def inc(self, value: float, tags: Mapping[str, str]) -> None:
        assert value > 0  # Ray's counters refuse anything else
        self.write(value, tags)

    def observe(self, value: float, tags: Mapping[str, str]) -> None:
        self.write(value, tags)

    def set(self, value: float, tags: Mapping[str, str]) -> None:
        self.write(value, tags)


def into(book: Book) -> Instruments:
    written = partial(_Written, book)
    return Instruments(counter=written, gauge=written, histogram=written)


def ended(
    outcome: str, timings: Timings, *, n_frames: int = 0, n_late_frames: int = 0, n_bytes: int = 0
) -> TurnRecord:
    report = TurnReport(
        timings, {}, n_frames=n_frames, n_late_frames=n_late_frames, n_bytes=n_bytes
    )
    return TurnRecord(outcome, Caller("r", "t", "s"), 0.0, report)


@pytest.fixture
def book() -> Book:
    return defaultdict(list)


def test_each_wish_to_start_is_counted_and_the_wait_of_those_let_in_measured(book: Book) -> None:
    metrics = TurnMetrics(into(book))

    metrics.admit("admitted", 0.0)
    metrics.admit("queued", 1250.0)
    for decision in ("refused", "expired", "left"):
        metrics.admit(decision, None)

    decisions = ("admitted", "queued", "refused", "expired", "left")
    expected: Book = {
        ("avatar_admissions_total", (("decision", decision),)): [1.0] for decision in decisions
    }
    assert book == {**expected, ("avatar_queue_wait_ms", ()): [0.0, 1250.0]}


def test_a_reduced_face_is_counted_by_level_in_turns_and_in_seconds(book: Book) -> None:
    metrics = TurnMetrics(into(book))
    ladder = (
        LadderStep("half_rate", 1.0, 3.0),
        LadderStep("idle_face", 3.0, 3.5),
        LadderStep("half_rate", 3.5, 4.0),
        LadderStep("voice_only", 4.0, 4.0),  # left as soon as it was reached
    )

    first = Timings(turn_ms=5000.0, rtf=0.5, av_skew_ms=12.0, ladder=ladder)
    metrics.record(ended("finished", first))
    metrics.record(ended("finished", Timings(ladder=(LadderStep("half_rate", 0.0, 1.0),))))

    assert book == {
        ("avatar_turns_total", (("outcome", "finished"),)): [1.0, 1.0],
        ("avatar_turn_ms", ()): [5000.0],
        ("avatar_rtf", ()): [0.5],
        ("avatar_av_skew_ms", ()): [12.0],
        ("avatar_ladder_turns_total", (("level", "half_rate"),)): [1.0, 1.0],
        ("avatar_ladder_seconds_total", (("level", "half_rate"),)): [2.5, 1.0],
        ("avatar_ladder_turns_total", (("level", "idle_face"),)): [1.0],
        ("avatar_ladder_seconds_total", (("level", "idle_face"),)): [0.5],
    }


def test_a_turn_that_did_not_finish_counts_with_what_was_sent_but_not_with_its_times(
    book: Book,
) -> None:
    metrics = TurnMetrics(into(book))
    metrics.record(ended("overloaded", Timings(turn_ms=2.0)))
    times = Timings(ttff_ms=200.0, turn_ms=900.0)
    metrics.record(ended("cancelled", times, n_frames=50, n_late_frames=5, n_bytes=9000))

    assert book == {
        ("avatar_turns_total", (("outcome", "overloaded"),)): [1.0],
        ("avatar_turns_total", (("outcome", "cancelled"),)): [1.0],
        ("avatar_frames_total", ()): [50],
        ("avatar_late_frames_total", ()): [5],
        ("avatar_sent_bytes_total", ()): [9000],
    }


def test_each_report_shows_how_full_the_process_is_and_what_the_stages_cost(book: Book) -> None:
    metrics = LoadMetrics(into(book), n_avoided=lambda: 1)
    turns = {"a": Progress(3.0, 2.0, 1.5, False), "b": Progress(1.0, 1.0, -0.25, False), "c": None}
    efforts = (
        ("avatar", Effort("one", 0.25, 2.0)),
        ("avatar", Effort("two", 0.5, 1.0)),
        ("ingress", Effort("i", 0.1, 0.0)),
    )

    metrics.report(GateReport("i", turns, {}, efforts), 2, True)
    metrics.repeated("tts", "hedge")

    avatar, ingress = (("stage", "avatar"),), (("stage", "ingress"),)
    assert book == {
        ("avatar_turns_running", ()): [3],
        ("avatar_turns_waiting", ()): [2],
        ("avatar_replicas_avoided", ()): [1],
        ("avatar_admission_away", ()): [1.0],
        ("avatar_lead_ms", ()): [1500.0, -250.0],
        ("avatar_stage_busy_seconds_total", avatar): [0.25, 0.5],
        ("avatar_stage_media_seconds_total", avatar): [2.0, 1.0],
        ("avatar_stage_busy_seconds_total", ingress): [0.1],
        ("avatar_repeats_total", (("reason", "hedge"), ("stage", "tts"))): [1],
    }


def test_admission_shows_no_capacity_before_it_knows_one(book: Book) -> None:
    metrics = AdmissionMetrics(into(book))
    metrics.show(None, 1, 0, 0.0)
    metrics.show(6.5, 4, 2, 3.25)

    assert book == {
        ("avatar_admission_capacity", ()): [6.5],
        ("avatar_admission_turns_running", ()): [1, 4],
        ("avatar_admission_turns_waiting", ()): [0, 2],
        ("avatar_admission_predicted_wait_s", ()): [0.0, 3.25],
    }


def test_a_batch_is_measured_in_frames(book: Book) -> None:
    BatchMetrics(into(book))(8)
    assert book == {("avatar_draw_batch_frames", ()): [8]}
