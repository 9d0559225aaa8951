"""Where a request goes: to the least busy replica that nobody has reported as stalled."""

import pytest

from graph.replicas import (
    FIRST_QUARANTINE_S,
    LONGEST_QUARANTINE_S,
    SILENCE_S,
    Replicas,
)


class Clock:
    """Stands still until told otherwise."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(clock: Clock) -> Replicas:
    return Replicas(clock)


BOTH = {"a", "b"}


def report(known: Replicas, replica: str) -> None:
    known.sent(f"lost at {replica}", replica)
    known.stalled(f"lost at {replica}")


def test_requests_go_where_the_fewest_are(known: Replicas) -> None:
    for request, replica in (("1", "a"), ("2", "a"), ("3", "b"), ("4", "c")):
        known.sent(request, replica)
    known.ended("4", "c")
    three = {"a", "b", "c"}
    assert known.best(three, three) == ["c", "b", "a"]


def test_eight_at_once_are_four_and_four(known: Replicas) -> None:
    chosen = []
    for index in range(8):
        chosen.append(known.best(BOTH, BOTH)[0])
        known.sent(str(index), chosen[-1])
    assert sorted(chosen) == ["a"] * 4 + ["b"] * 4


def test_among_equals_the_choice_is_not_always_the_same(known: Replicas) -> None:
    assert {known.best(BOTH, BOTH)[0] for _ in range(100)} == BOTH


def test_a_request_that_ended_counts_no_more(known: Replicas) -> None:
    known.sent("1", "a")
    known.ended("1", "a")
    known.sent("2", "b")
    assert known.best(BOTH, BOTH) == ["a", "b"]


def test_a_request_counts_while_serve_asks_whether_there_is_room(known: Replicas) -> None:
    known.meant("1", "a")
    assert known.best(BOTH, BOTH) == ["b", "a"]
    known.sent("1", "b")  # there was none
    assert known.best(BOTH, BOTH) == ["a", "b"]
    known.sent("2", "a")
    known.meant("3", "a")
    known.dropped("3")
    assert {known.best(BOTH, BOTH)[0] for _ in range(100)} == BOTH


def test_a_request_that_waits_for_room_accuses_nobody(known: Replicas) -> None:
    known.meant("1", "a")
    known.stalled("1")
    assert "a" in known.best(BOTH, BOTH)


def test_a_request_that_waits_for_room_while_others_are_sent_is_asked_again(
    known: Replicas, clock: Clock
) -> None:
    known.meant("1", "a")
    clock.now_s += SILENCE_S
    assert not known.stalled("1")  # nobody got room
    known.gone(["a"])
    known.sent("2", "b")
    known.meant("1", "b")
    assert known.stalled("1")
    assert set(known.best(BOTH, BOTH)) == BOTH  # it accuses nobody
    known.meant("3", "b")
    known.sent("4", "b")
    assert not known.stalled("3")  # not yet


def test_the_late_end_of_a_rejected_request_leaves_its_second_try_counted(known: Replicas) -> None:
    known.sent("1", "a")
    known.sent("1", "b")
    known.ended("1", "a")
    assert known.best(BOTH, BOTH) == ["a", "b"]


def test_a_stalled_replica_gets_nothing_however_busy_the_other_is(known: Replicas) -> None:
    report(known, "a")
    for index in range(20):
        known.sent(str(index), "b")
    assert known.best(BOTH, BOTH) == ["b"]


def test_when_all_are_suspects_all_are_allowed(known: Replicas) -> None:
    report(known, "a")
    report(known, "b")
    assert set(known.best(BOTH, BOTH)) == BOTH


def test_a_far_replica_is_better_than_a_near_suspect(known: Replicas) -> None:
    report(known, "a")
    assert known.best({"a"}, BOTH) == ["b"]
    report(known, "b")
    assert known.best({"a"}, BOTH) == ["a"]


def test_a_near_replica_is_better_than_a_far_one(known: Replicas) -> None:
    known.sent("1", "a")
    assert known.best({"a"}, BOTH) == ["a"]


def test_a_request_that_nobody_has_accuses_nobody(known: Replicas) -> None:
    known.stalled("never sent")
    known.sent("1", "a")
    known.ended("1", "a")
    known.stalled("1")
    assert set(known.best(BOTH, BOTH)) == BOTH


def test_a_suspect_is_probed_after_its_quarantine_and_again_until_it_answers(
    known: Replicas, clock: Clock
) -> None:
    report(known, "a")
    assert known.due(BOTH) == set()
    clock.now_s += FIRST_QUARANTINE_S
    assert known.due(BOTH) == {"a"}
    assert known.due(BOTH) == set()
    assert known.best(BOTH, BOTH) == ["b"]  # has not answered yet
    clock.now_s += FIRST_QUARANTINE_S
    assert known.due(BOTH) == {"a"}
    known.answered("a")
    clock.now_s += FIRST_QUARANTINE_S
    assert known.due(BOTH) == set()
    assert set(known.best(BOTH, BOTH)) == BOTH


def test_another_deployments_suspects_are_not_ours_to_probe(known: Replicas, clock: Clock) -> None:
    report(known, "a")
    clock.now_s += FIRST_QUARANTINE_S
    assert known.due({"b"}) == set()
    assert known.due({"a"}) == {"a"}


def quarantines_s(known: Replicas, clock: Clock, n: int) -> list[float]:
    """How long a replica that answers probes and gives no output is left alone each time."""
    found = []
    for _ in range(n):
        report(known, "a")
        found.append(0.0)
        while not known.due(BOTH):
            clock.now_s += FIRST_QUARANTINE_S
            found[-1] += FIRST_QUARANTINE_S
        known.answered("a")
    return found


def test_who_answers_probes_and_gives_nothing_is_left_alone_for_longer_each_time(
    known: Replicas, clock: Clock
) -> None:
    assert quarantines_s(known, clock, 7) == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, LONGEST_QUARANTINE_S]


def test_an_output_ends_the_distrust(known: Replicas, clock: Clock) -> None:
    assert quarantines_s(known, clock, 3)[-1] == 2.0
    known.sent("1", "a")
    known.delivered("1")
    clock.now_s += SILENCE_S
    assert quarantines_s(known, clock, 1) == [0.5]


def test_a_second_report_leaves_the_first_probe_where_it_is(known: Replicas, clock: Clock) -> None:
    report(known, "a")
    clock.now_s += FIRST_QUARANTINE_S / 2
    assert known.stalled("lost at a")
    clock.now_s += FIRST_QUARANTINE_S / 2
    assert known.due(BOTH) == {"a"}


def test_nothing_is_kept_of_replicas_that_are_gone(known: Replicas, clock: Clock) -> None:
    report(known, "a")
    known.sent("1", "b")
    known.gone(["a"])
    clock.now_s += FIRST_QUARANTINE_S
    assert known.due(BOTH) == set()
    assert known.best(BOTH, BOTH) == ["a", "b"]


def test_a_suspect_that_gives_an_output_is_none(known: Replicas) -> None:
    report(known, "a")
    report(known, "b")  # alone with all the work, it was only slow
    known.sent("1", "b")
    known.delivered("1")
    assert known.best(BOTH, BOTH) == ["b"]
    known.delivered("unknown")
    assert known.best(BOTH, BOTH) == ["b"]


def test_who_gives_others_their_output_is_busy_and_no_suspect(
    known: Replicas, clock: Clock
) -> None:
    known.sent("1", "a")
    known.sent("2", "a")
    known.delivered("2")
    assert not known.stalled("1")
    assert set(known.best(BOTH, BOTH)) == BOTH
    clock.now_s += SILENCE_S
    assert known.stalled("1")
    assert known.best(BOTH, BOTH) == ["b"]


def test_when_all_are_suspects_each_is_asked_in_turn(known: Replicas) -> None:
    report(known, "a")
    report(known, "b")
    chosen = []
    for i in range(4):
        chosen.append(known.best(BOTH, BOTH)[0])
        known.sent(f"new {i}", chosen[-1])
    assert sorted(chosen) == ["a", "a", "b", "b"]
