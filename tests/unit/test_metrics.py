"""What is counted and measured of turns, and under which names."""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial

import pytest

from graph.events import LadderStep, Timings
from graph.metrics import TurnMetrics

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
        assert boundaries is None or boundaries == sorted(boundaries)
        self._book, self._name, self._tag_keys = book, name, tag_keys

    def write(self, value: float, tags: Mapping[str, str]) -> None:
        assert set(tags) == set(self._tag_keys)
        self._book[self._name, tuple(sorted(tags.items()))].append(value)

    def inc(self, value: float = 1.0, tags: Mapping[str, str] | None = None) -> None:
        assert value > 0  # Ray's counters refuse anything else
        self.write(value, tags or {})

    def observe(self, value: float, tags: Mapping[str, str] | None = None) -> None:
        self.write(value, tags or {})


def metrics_into(book: Book) -> TurnMetrics:
    return TurnMetrics(partial(_Written, book), partial(_Written, book))


@pytest.fixture
def book() -> Book:
    return defaultdict(list)


def test_each_wish_to_start_is_counted_and_the_wait_of_those_let_in_measured(book: Book) -> None:
    metrics = metrics_into(book)

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
    metrics = metrics_into(book)
    ladder = (
        LadderStep("half_rate", 1.0, 3.0),
        LadderStep("idle_face", 3.0, 3.5),
        LadderStep("half_rate", 3.5, 4.0),
        LadderStep("voice_only", 4.0, 4.0),  # left as soon as it was reached
    )

    metrics.record("finished", Timings(turn_ms=5000.0, rtf=0.5, av_skew_ms=12.0, ladder=ladder))
    metrics.record("finished", Timings(ladder=(LadderStep("half_rate", 0.0, 1.0),)))

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


def test_a_turn_that_did_not_finish_is_counted_and_nothing_else(book: Book) -> None:
    metrics_into(book).record("overloaded", None)

    assert book == {("avatar_turns_total", (("outcome", "overloaded"),)): [1.0]}
