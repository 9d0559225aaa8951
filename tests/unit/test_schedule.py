"""Whose frame is drawn next, in virtual time: no engine, no clock, no loop."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.avatar.schedule import Due, Schedule, drawn_frames
from deployments.types import AudioChunk, Stretch

FPS = 25
PACKET = 5
timeless = settings(deadline=None)  # other programs may hold the processor during an example
SILENCE = AudioChunk(np.zeros(0, np.float32), 16_000)


def stretch(n_frames: int, needed_in_s: float = 0.0, *, n_sent: int = 0, step: int = 1) -> Stretch:
    return Stretch(
        avatar_id="mira",
        audio=SILENCE,
        phonemes=(),
        first_frame=0,
        n_frames=n_frames,
        n_frames_sent=n_sent,
        needed_in_s=needed_in_s,
        frame_step=step,
    )


def later(asked: Stretch, start_s: float) -> Stretch:
    return replace(asked, needed_in_s=asked.needed_in_s + start_s)


def schedule() -> Schedule[str]:
    return Schedule(FPS, PACKET)


def names(batch: Sequence[Due[str]]) -> str:
    return "".join(due.job for due in batch)


class Asked(NamedTuple):
    """A stretch and when it is asked for."""

    at_s: float
    stretch: Stretch


@st.composite
def stretches(draw: st.DrawFn) -> Stretch:
    """Of new turns and of sessions ahead, some of them repetitions or at a lower frame rate.

    What was sent may lie in the past; the first frame that was not never does.
    """
    n_frames = draw(st.integers(0, 25))
    n_sent = draw(st.integers(0, n_frames))
    n_past = draw(st.integers(0, n_sent))
    return stretch(
        n_frames,
        draw(st.sampled_from([0.0, 0.2, 1.0, 4.0])) - n_past / FPS,
        n_sent=n_sent,
        step=draw(st.integers(1, 4)),
    )


def loads() -> st.SearchStrategy[list[Asked]]:
    at_s = st.integers(0, 200).map(lambda hundredths: hundredths / 100)
    return st.lists(st.builds(Asked, at_s, stretches()), min_size=1, max_size=8)


class Frame(NamedTuple):
    """What the plainest scheduler would sort."""

    deadline_s: float
    packet: int
    arrival: int
    frame_no: int


def frames_of(arrival: int, asked: Asked) -> list[Frame]:
    first = asked.stretch.n_frames_sent
    found = []
    for frame_no in drawn_frames(asked.stretch):
        packet = (frame_no - first) // PACKET
        first_of_packet = first + packet * PACKET
        playout_s = asked.at_s + asked.stretch.needed_in_s + first_of_packet / FPS
        found.append(Frame(playout_s, packet, arrival, frame_no))
    return found


@dataclass
class Engine:
    """Virtual time: draws batches of a schedule, each frame taking ``frame_s``."""

    frame_s: float
    batch: int
    now_s: float = 0.0
    drawn: list[tuple[float, Due[int]]] = field(default_factory=list)  # when, what

    def run(self, load: list[Asked]) -> None:
        waiting, line = sorted(enumerate(load), key=lambda item: item[1].at_s), schedule_of_ints()
        while waiting or len(line):
            while waiting and waiting[0][1].at_s <= self.now_s:
                job, asked = waiting.pop(0)
                line.add(job, asked.stretch, asked.at_s)
            batch = line.take(self.batch)
            self.now_s += self.frame_s * len(batch)
            self.drawn += [(self.now_s, due) for due in batch]
            if not batch and waiting:
                self.now_s = waiting[0][1].at_s

    def worst_lateness_s(self) -> float:
        return max((at_s - due.deadline_s for at_s, due in self.drawn), default=0.0)


def schedule_of_ints() -> Schedule[int]:
    return Schedule(FPS, PACKET)


def unavoidable_lateness_s(load: list[Asked], frame_s: float) -> float:
    """What no order of drawing can avoid: in some span more is asked for than fits."""
    frames = [(asked.at_s, f) for i, asked in enumerate(load) for f in frames_of(i, asked)]
    return max(
        (
            sum(frame_s for at_s, f in frames if at_s >= start_s and f.deadline_s <= end.deadline_s)
            - (end.deadline_s - start_s)
            for start_s in {at_s for at_s, _ in frames}
            for _, end in frames
            if end.deadline_s >= start_s - 1e-9  # a past start and its frames' distance round
        ),
        default=0.0,
    )


def test_a_new_turns_first_packet_comes_before_a_session_that_is_ahead() -> None:
    line = schedule()
    line.add("a", stretch(25, needed_in_s=2.0), now_s=0.0)
    assert names(line.take(3)) == "aaa"
    line.add("b", stretch(10, needed_in_s=0.0), now_s=0.1)
    assert names(line.take(12)) == "bbbbbbbbbbaa"


def test_a_session_is_drawn_however_far_ahead_it_is_when_nobody_else_wants_the_engine() -> None:
    line = schedule()
    line.add("a", stretch(8, needed_in_s=3600.0), now_s=0.0)
    assert [due.frame_no for due in line.take(16)] == list(range(8))
    assert len(line) == 0


def test_packets_that_are_needed_at_once_are_completed_one_by_one() -> None:
    line = schedule()
    for name in "abc":
        line.add(name, stretch(10), now_s=0.0)
    assert names(line.take(30)) == "aaaaabbbbbccccc" * 2


def test_at_the_same_moment_a_first_packet_comes_before_a_later_one() -> None:
    line = schedule()
    line.add("a", stretch(10, needed_in_s=0.0), now_s=0.0)
    line.add("b", stretch(5, needed_in_s=0.2), now_s=0.0)
    assert names(line.take(15)) == "aaaaabbbbbaaaaa"


def test_a_packet_that_was_begun_gives_way_to_a_more_urgent_one_and_is_then_finished() -> None:
    line = schedule()
    line.add("a", stretch(10, needed_in_s=1.0), now_s=0.0)
    assert names(line.take(2)) == "aa"
    line.add("b", stretch(5), now_s=0.0)
    assert names(line.take(8)) == "bbbbbaaa"


def test_a_frame_is_due_with_the_first_frame_of_its_packet() -> None:
    line = schedule()
    line.add("a", stretch(7, needed_in_s=0.4), now_s=100.0)
    batch = line.take(7)
    assert [due.deadline_s for due in batch] == pytest.approx([100.4] * 5 + [100.6] * 2)


def test_a_repetition_is_packed_anew_from_its_first_undelivered_frame() -> None:
    line = schedule()
    line.add("a", stretch(12, n_sent=3), now_s=0.0)
    batch = line.take(12)
    assert [due.frame_no for due in batch] == list(range(3, 12))
    assert [due.deadline_s for due in batch] == pytest.approx([0.12] * 5 + [0.32] * 4)


def test_a_repetition_is_due_when_its_own_frames_are_though_the_stretch_began_in_the_past() -> None:
    line = schedule()
    line.add("a", stretch(20, needed_in_s=-0.2, n_sent=10), now_s=100.0)
    line.add("b", stretch(5, needed_in_s=0.1), now_s=100.0)
    batch = line.take(15)
    assert names(batch) == "bbbbbaaaaaaaaaa"
    due_s = [100.1] * 5 + [100.2] * 5 + [100.4] * 5
    assert [due.deadline_s for due in batch] == pytest.approx(due_s)


@pytest.mark.parametrize(
    ("step", "n_sent", "drawn"),
    [
        (1, 0, [0, 1, 2, 3, 4, 5, 6]),
        (2, 0, [0, 2, 4, 6]),
        (2, 3, [3, 4, 6]),
        (3, 4, [4, 6]),
        (3, 3, [3, 6]),
        (9, 0, [0]),
        (2, 7, []),
    ],
)
def test_every_kth_frame_is_drawn_and_the_first_undelivered_one(
    step: int, n_sent: int, drawn: list[int]
) -> None:
    assert drawn_frames(stretch(7, n_sent=n_sent, step=step)) == drawn


def test_a_halved_frame_rate_is_due_when_its_packets_are() -> None:
    line = schedule()
    line.add("a", stretch(10, step=2), now_s=0.0)
    assert [(due.frame_no, due.deadline_s) for due in line.take(9)] == [
        (0, 0.0), (2, 0.0), (4, 0.0), (6, 0.2), (8, 0.2),
    ]  # fmt: skip


def test_dropping_what_is_done_or_unknown_is_no_matter() -> None:
    line = schedule()
    line.add("a", stretch(2), now_s=0.0)
    line.take(2)
    line.drop("a")
    line.drop("b")
    assert line.take(1) == []


def test_a_session_far_ahead_beside_new_turns_without_end_is_drawn_by_its_deadline() -> None:
    frame_s = 0.004
    ahead = Asked(0.0, stretch(25, needed_in_s=5.0))
    turns = [Asked(i * 0.1, stretch(22)) for i in range(70)]  # 88 % of the engine's time
    engine = Engine(frame_s, batch=3)
    engine.run([ahead, *turns])
    done_s = [at_s for at_s, due in engine.drawn if due.job == 0]
    assert len(done_s) == 25
    assert max(done_s) <= 5.0
    assert min(done_s) < 0.1  # in the first gap between two turns


@timeless
@given(loads(), st.integers(1, 16))
def test_batches_are_full_while_frames_wait_and_never_larger(load: list[Asked], n: int) -> None:
    line = schedule_of_ints()
    for job, asked in enumerate(load):
        line.add(job, asked.stretch, asked.at_s)
    n_waiting = sum(len(drawn_frames(asked.stretch)) for asked in load)
    while n_waiting:
        assert len(line) == n_waiting
        batch = line.take(n)
        assert len(batch) == min(n, n_waiting)
        n_waiting -= len(batch)
    assert line.take(n) == []


@timeless
@given(st.data())
def test_any_coming_leaving_and_taking_is_what_sorting_all_frames_would_give(
    data: st.DataObject,
) -> None:
    line, known, now_s, n_arrived = schedule_of_ints(), list[Frame](), 0.0, 0
    for _ in range(data.draw(st.integers(1, 20))):
        now_s += data.draw(st.sampled_from([0.0, 0.04, 0.2, 0.5]))
        match data.draw(st.sampled_from(["come", "come", "take", "leave"])):
            case "come":
                asked = Asked(now_s, data.draw(stretches()))
                line.add(n_arrived, asked.stretch, now_s)
                known += frames_of(n_arrived, asked)
                n_arrived += 1
            case "take":
                n = data.draw(st.integers(1, 9))
                expected, known = sorted(known)[:n], sorted(known)[n:]
                taken = [(due.job, due.frame_no, due.deadline_s) for due in line.take(n)]
                assert taken == [(f.arrival, f.frame_no, f.deadline_s) for f in expected]
            case _:
                gone = data.draw(st.integers(0, max(0, n_arrived - 1)))
                line.drop(gone)
                known = [frame for frame in known if frame.arrival != gone]
        assert len(line) == len(known)


@timeless
@given(loads(), st.integers(1, 16))
def test_everything_is_drawn_once_and_each_stretch_in_order(load: list[Asked], n: int) -> None:
    engine = Engine(0.004, n)
    engine.run(load)
    for job, asked in enumerate(load):
        drawn = [due.frame_no for _, due in engine.drawn if due.job == job]
        assert drawn == drawn_frames(asked.stretch)


@timeless
@given(loads(), st.sampled_from([0.001, 0.004, 0.02]), st.integers(1, 16))
def test_nothing_is_later_than_it_must_be_but_for_two_batches(
    load: list[Asked], frame_s: float, n: int
) -> None:
    """A batch in progress is finished first, and a frame may share its own with later ones."""
    engine = Engine(frame_s, n)
    engine.run(load)
    assert engine.worst_lateness_s() <= (
        max(0.0, unavoidable_lateness_s(load, frame_s)) + 2 * n * frame_s + 1e-9
    )


@timeless
@given(loads(), st.sampled_from([0.001, 0.004, 0.02]), st.integers(1, 8))
def test_on_a_load_that_fits_nothing_is_late(load: list[Asked], frame_s: float, n: int) -> None:
    """Every session is given just so much start as makes the sum of demands fit in every span."""
    start_s = max(0.0, unavoidable_lateness_s(load, frame_s)) + 2 * n * frame_s
    fits = [Asked(asked.at_s, later(asked.stretch, start_s)) for asked in load]
    engine = Engine(frame_s, n)
    engine.run(fits)
    assert engine.worst_lateness_s() <= 1e-9


@timeless
@given(loads())
def test_one_by_one_and_all_there_at_once_nothing_is_later_than_it_must_be(
    load: list[Asked],
) -> None:
    together = [Asked(0.0, asked.stretch) for asked in load]
    engine = Engine(0.02, batch=1)
    engine.run(together)
    if engine.drawn:
        assert engine.worst_lateness_s() == pytest.approx(unavoidable_lateness_s(together, 0.02))
