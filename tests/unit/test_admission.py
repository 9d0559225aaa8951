"""The rules of admission, with time given by hand: fits, queue, leases, promises, a fresh start."""

import pytest
from pydantic import ValidationError

from deployments.types import Effort
from graph.admission import AdmissionSettings, SpeechAdmission, Waiter
from graph.costs import CostBook, falls_behind
from graph.events import Progress, QueueUpdated
from graph.fluid import Machine, Place, Work, fits, pour, waits
from graph.running import ReplyLengths, Running

SETTINGS = AdmissionSettings(
    target_utilisation=1.0,
    slack_s=0.0,
    reserve_s=0.0,
    settle_s=0.0,
    expected_reply_s=10.0,
    start_speech_s=0.001,  # any number may start at once
)


def measured(capacity: float, settings: AdmissionSettings = SETTINGS) -> SpeechAdmission:
    """One whose face makes so many seconds of speech per second."""
    admission = SpeechAdmission(settings)
    admission.note("avatar", Effort("r1", 10.0 / capacity, 10.0), 0.0)
    return admission


def ask(admission: SpeechAdmission, turn_id: str, now_s: float) -> Waiter:
    return admission.ask(turn_id, "ingress", now_s)


def untouched(*turn_ids: str) -> dict[str, Progress | None]:
    return dict.fromkeys(turn_ids)


@pytest.mark.parametrize(
    ("leads_s", "is_kept"),
    [
        ((0.0, 0.0), True),  # two at a speed of two
        ((0.0, 0.0, 0.0), False),
        ((0.0, 0.0, 10.0), True),  # the third begins to need when the others are done
        ((0.0, 0.0, 9.0), False),
        ((5.0, 5.0, 5.0), True),  # five seconds in hand make ten of work
        ((-1.0, 0.0), False),  # one second late is late
    ],
)
def test_turns_fit_as_long_as_no_moment_asks_more_than_was_made(
    leads_s: tuple[float, ...], is_kept: bool
) -> None:
    assert fits([Work(lead_s, 10.0) for lead_s in leads_s], 2.0, 0.0) is is_kept


def test_who_is_late_takes_from_what_is_free_and_does_not_shut_everybody_out() -> None:
    works = [Work(-1.0, 10.0), Work(0.0, 10.0)]
    assert fits(works, 2.3, 0.0)
    assert not fits(works, 2.1, 0.0)  # two on time would fit


def test_one_alone_fits_however_slow_the_machine() -> None:
    assert fits([Work(0.0, 10.0)], 0.1, 0.0)


def test_the_machine_serves_first_those_whose_viewers_run_out_first() -> None:
    works = [Work(0.0, 10.0), Work(4.0, 10.0), Work(1.0, 0.5)]
    pour(works, 2.5, look_ahead_s=20.0)
    # One second for the first alone, half of one for each of two, the last half for the first.
    assert works == [Work(2.0, 8.0), Work(4.0, 10.0), Work(1.5, 0.0)]


def test_nobody_is_drawn_further_ahead_than_allowed() -> None:
    works = [Work(3.0, 10.0), Work(4.0, 1.0)]
    pour(works, 100.0, look_ahead_s=5.0)
    assert works == [Work(5.0, 8.0), Work(5.0, 0.0)]


def test_those_in_line_get_in_one_after_the_other() -> None:
    machine = Machine(2.0, 2.0, slack_s=0.0, reserve_s=0.0, look_ahead_s=20.0)
    running = [Work(0.0, 10.0), Work(0.0, 10.0)]
    assert waits(running, [Place(0.0, 10.0)] * 3, machine) == pytest.approx(
        [10.0, 10.0, 20.0], abs=1.0
    )


def test_a_promise_keeps_its_place_before_those_who_came_later() -> None:
    machine = Machine(1.0, 1.0, slack_s=0.0, reserve_s=0.0, look_ahead_s=20.0)
    running = [Work(0.0, 10.0)]
    promised, later = waits(running, [Place(10.0, 10.0), Place(0.0, 10.0)], machine)
    assert promised == pytest.approx(10.0, abs=1.0)
    assert later == pytest.approx(20.0, abs=2.0)


def test_a_cost_follows_the_speech_not_the_number_of_outputs() -> None:
    book = CostBook(half_life_s=20.0, memory_s=60.0)
    book.note("avatar", Effort("a", 2.0, 20.0), 0.0)
    assert book.mean("avatar", 0.0) == pytest.approx(0.1)
    for _ in range(20):
        book.note("avatar", Effort("a", 0.3, 1.0), 1.0)
    assert book.mean("avatar", 1.0) == pytest.approx(0.2, abs=0.03)


def test_the_tightest_stage_is_the_capacity_and_unknown_ones_limit_nothing() -> None:
    book = CostBook(half_life_s=20.0, memory_s=60.0)
    book.note("tts", Effort("t", 0.5, 1.0), 0.0)
    assert book.capacity({"avatar": 2, "tts": 1}, 0.0) is None
    book.note("avatar", Effort("a", 0.1, 1.0), 0.0)
    assert book.capacity({"avatar": 2, "tts": 1}, 0.0) == pytest.approx(2.0)
    assert book.capacity({"avatar": 2, "tts": 20}, 0.0) == pytest.approx(20.0)
    assert book.capacity({"avatar": 0, "tts": 20}, 0.0) == pytest.approx(10.0)


def test_a_replica_that_is_gone_is_forgotten_but_not_what_the_stage_cost() -> None:
    book = CostBook(half_life_s=20.0, memory_s=60.0)
    book.note("avatar", Effort("slow", 9.0, 10.0), 0.0)
    book.note("avatar", Effort("fast", 1.0, 10.0), 50.0)
    assert book.mean("avatar", 50.0) == pytest.approx(0.5)
    assert book.mean("avatar", 70.0) == pytest.approx(0.1)
    assert book.mean("avatar", 500.0) == pytest.approx(0.1)


def test_what_is_left_of_a_reply_is_learnt_from_those_that_were_longer() -> None:
    lengths = ReplyLengths(15.0)
    assert (lengths.mean_s, lengths.left_s(5.0)) == (15.0, 10.0)
    for length_s in (10.0, 10.0, 10.0, 10.0, 10.0, 30.0, 30.0, 30.0, 30.0, 30.0):
        lengths.add(length_s)
    assert lengths.mean_s == pytest.approx(20.0)
    assert lengths.left_s(0.0) == pytest.approx(20.0)
    assert lengths.left_s(12.0) == pytest.approx(18.0)


def test_one_more_than_fits_waits_and_is_let_in_when_one_ends() -> None:
    admission = measured(2.0)
    assert [ask(admission, name, 0.0).is_admitted for name in "ab"] == [True, True]
    third = ask(admission, "c", 0.0)
    assert third.is_waiting
    place = admission.place(third, 0.0)
    assert place == QueueUpdated(1, place.predicted_wait_s)
    assert place.predicted_wait_s == pytest.approx(10.0, abs=1.0)
    admission.leave("a")
    admission.review(0.1)
    assert third.is_admitted


@pytest.mark.parametrize(
    ("capacity", "words"),
    [
        (None, ""),
        (1.0, ""),
        (
            0.518,
            "makes 0.52 s of video per second, less than one person watches, so the picture gives "
            "way",
        ),
    ],
)
def test_a_machine_too_slow_for_one_person_is_called_so(capacity: float | None, words: str) -> None:
    assert falls_behind(capacity) == words


def test_a_silent_face_costs_nothing() -> None:
    admission = measured(2.0)
    for name in "ab":
        ask(admission, name, 0.0)
    sent = Progress(10.0, 10.0, 9.0, True)
    admission.report("ingress", {"a": sent, "b": sent}, 1.0)
    assert [ask(admission, name, 1.0).is_admitted for name in "cd"] == [True, True]
    assert admission.n_running == 4


def test_newcomers_do_not_overtake_those_who_wait() -> None:
    admission = measured(2.0)
    waiters = [ask(admission, name, 0.0) for name in "abcd"]
    admission.leave("a")
    late = ask(admission, "e", 0.1)
    assert [w.is_admitted for w in (*waiters, late)] == [True, True, True, False, False]
    assert admission.place(late, 0.1).position == 2


def test_a_wait_that_would_be_too_long_is_refused_at_once_with_the_wait() -> None:
    admission = measured(2.0)
    waiters = [ask(admission, name, 0.0) for name in "abcdef"]
    assert [w.refusal is None for w in waiters] == [True, True, True, True, False, False]
    refusals = [w.refusal.predicted_wait_s for w in waiters[4:] if w.refusal]
    assert refusals == pytest.approx([20.0, 20.0], abs=2.0)


def told_in_a_rush(n: int) -> list[float]:
    """What those are told who come one after the other while the machine is full."""
    admission = measured(4.0)
    waiters = [ask(admission, f"t{i}", i * 1e-3) for i in range(n)]
    return [w.refusal.predicted_wait_s for w in waiters if w.refusal is not None]


def test_a_long_rush_is_refused_from_few_forecasts_that_say_what_many_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n_forecasts = 0

    def counted(running: list[Work], line: list[Place], machine: Machine) -> list[float]:
        nonlocal n_forecasts
        n_forecasts += 1
        return waits(running, line, machine)

    monkeypatch.setattr("graph.admission.waits", counted)
    quick = told_in_a_rush(56)
    assert n_forecasts < 32
    monkeypatch.setattr("graph.admission._LONG_LINE", 1000)
    exact = told_in_a_rush(56)
    assert n_forecasts > 64
    assert quick == pytest.approx(exact, rel=0.3)


def test_a_full_queue_is_refused_at_once() -> None:
    admission = measured(2.0, SETTINGS.model_copy(update={"max_queue": 1}))
    waiters = [ask(admission, name, 0.0) for name in "abcd"]
    assert [w.is_waiting for w in waiters] == [False, False, True, False]
    assert waiters[3].refusal is not None
    assert waiters[3].refusal.predicted_wait_s >= 1.0


def test_who_has_waited_as_long_as_anybody_may_is_refused_then() -> None:
    admission = measured(2.0)
    waiter = [ask(admission, name, 0.0) for name in "abc"][-1]
    for now_s in (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 14.9):  # nobody has got anything
        admission.report("ingress", untouched("a", "b"), now_s)
        admission.review(now_s)
    assert waiter.is_waiting
    admission.review(15.0)
    assert waiter.refusal is not None


def test_room_that_is_there_goes_to_who_has_waited_too_long_rather_than_to_nobody() -> None:
    admission = measured(1.0)
    assert ask(admission, "a", 0.0).is_admitted
    assert admission.ask("b", "ingress", 0.0, waited_s=14.0).refusal is not None
    admission.leave("a")
    assert admission.ask("c", "ingress", 1.0, waited_s=15.0).is_admitted


def test_who_comes_back_when_told_stands_before_those_who_came_later() -> None:
    admission = measured(1.0)
    ask(admission, "a", 0.0)
    waiting = ask(admission, "b", 0.0)
    refused = ask(admission, "c", 0.0)
    assert waiting.is_waiting
    assert refused.refusal is not None
    due_s = refused.refusal.predicted_wait_s
    beaten = ask(admission, "d", 1.0)
    assert beaten.refusal is not None
    assert beaten.refusal.predicted_wait_s == pytest.approx(due_s + 9.0, abs=2.0)
    admission.report("ingress", untouched("a"), 9.0)
    admission.leave("a")
    admission.review(10.0)
    assert waiting.is_admitted
    for now_s in (11.0, 13.0, 15.0, 17.0, 19.0, due_s):
        admission.report("ingress", untouched("b"), now_s)
    back = ask(admission, "c2", due_s)
    assert admission.place(back, due_s).position == 1
    admission.leave("b")
    admission.review(due_s)
    assert back.is_admitted


def test_a_promise_holds_when_the_queue_is_full() -> None:
    admission = measured(1.0, SETTINGS.model_copy(update={"max_queue": 1, "max_wait_s": 30.0}))
    first = [ask(admission, name, 0.0) for name in "ab"][-1]
    refusal = ask(admission, "c", 0.0).refusal
    assert refusal is not None
    due_s = refusal.predicted_wait_s
    for now_s in (2.0, 4.0, 6.0, 8.0, 10.0):
        admission.report("ingress", untouched("a"), now_s)
    admission.leave("a")
    admission.review(10.0)
    assert first.is_admitted
    came_since = ask(admission, "d", 11.0)
    for now_s in (12.0, 14.0, 16.0, 18.0, 20.0, due_s):
        admission.report("ingress", untouched("b"), now_s)
    back = ask(admission, "c2", due_s)
    assert [w.is_waiting for w in (came_since, back)] == [True, True]
    assert admission.place(back, due_s).position == 1


@pytest.mark.parametrize(("late_s", "is_free"), [(-0.1, False), (1.6, True)])
def test_who_does_not_come_back_loses_the_place(late_s: float, is_free: bool) -> None:
    admission = measured(1.0, SETTINGS.model_copy(update={"max_queue": 0}))
    ask(admission, "a", 0.0)
    refusal = ask(admission, "b", 0.0).refusal
    assert refusal is not None
    due_s = refusal.predicted_wait_s
    assert due_s == pytest.approx(10.0, abs=2.0)
    for now_s in range(2, int(due_s) + 1, 2):
        admission.report("ingress", untouched("a"), now_s)
    admission.leave("a")
    assert ask(admission, "somebody else", due_s + late_s).is_admitted is is_free


def test_a_turn_whose_ingress_fell_silent_gives_its_room_back() -> None:
    admission = measured(1.0)
    ask(admission, "a", 0.0)
    waiter = admission.ask("b", "other", 0.0)
    admission.report("other", {}, 2.0)
    admission.review(2.4)
    assert waiter.is_waiting
    admission.review(2.6)
    assert waiter.is_admitted


def test_a_turn_that_its_ingress_no_longer_names_has_ended() -> None:
    admission = measured(1.0)
    ask(admission, "a", 0.0)
    admission.report("ingress", {}, 0.5)  # was sent before "a" was let in
    assert admission.n_running == 1
    admission.report("ingress", {}, 1.5)
    assert admission.n_running == 0


def test_after_a_restart_nobody_gets_in_before_all_have_reported() -> None:
    admission = measured(1.0, SETTINGS.model_copy(update={"settle_s": 0.75}))
    early = ask(admission, "new", 0.1)
    assert early.is_waiting
    admission.report("other", untouched("old"), 0.3)
    admission.review(0.8)
    assert early.is_waiting
    assert admission.place(early, 0.8).predicted_wait_s == pytest.approx(10.0, abs=1.0)


def test_while_the_cost_is_unknown_only_a_few_get_in() -> None:
    admission = SpeechAdmission(SETTINGS.model_copy(update={"start_window_s": 1e-6}))
    admission.n_replicas = {"avatar": 2}
    waiters = [ask(admission, f"t{i}", i * 1e-3) for i in range(10)]
    assert [w.is_admitted for w in waiters] == [True] * 8 + [False] * 2


def test_no_more_start_at_once_than_the_machine_can_begin_in_time() -> None:
    quick = SETTINGS.model_copy(update={"expected_reply_s": 1.0, "start_speech_s": 0.4})
    admission = measured(8.0, quick)
    waiters = [ask(admission, f"t{i}", 0.0) for i in range(12)]
    # 8 s of speech per second for 0.5 s, in stretches of 0.4 s, although only 8 would be too many
    assert sum(w.is_admitted for w in waiters) == 8
    admission = measured(2.0, quick.model_copy(update={"expected_reply_s": 0.1}))
    waiters = [ask(admission, f"t{i}", 0.0) for i in range(4)]
    assert sum(w.is_admitted for w in waiters) == 2


def test_one_of_two_gives_half_of_the_room() -> None:
    admission = measured(4.0)
    admission.share = 0.5
    assert [ask(admission, name, 0.0).is_admitted for name in "abc"] == [True, True, False]


@pytest.mark.parametrize(("is_held", "expected"), [(True, 4.0), (False, 2.0)])
def test_turns_that_their_viewers_hold_up_say_nothing_of_the_machine(
    is_held: bool, expected: float
) -> None:
    admission = measured(4.0)
    waiting = Progress(spoken_s=6.0, sent_s=3.0, ahead_s=0.3, is_all_spoken=False, is_held=is_held)
    for tenth in range(100):
        admission.report("ingress", {"a": waiting, "b": waiting, "c": waiting}, tenth / 10)
    assert admission.capacity(10.0) == pytest.approx(expected)


def test_a_lease_that_an_idle_ingress_would_outlive_is_no_setting() -> None:
    with pytest.raises(ValidationError, match="lease_s must be more than"):
        AdmissionSettings(lease_s=2.0)


def test_only_what_was_sent_counts_as_delivered_when_a_viewer_leaves() -> None:
    running = Running(expected_reply_s=10.0, lease_s=2.5)
    running.admit("a", "i", 0.0)
    running.report("i", {"a": Progress(8.0, 2.0, 1.0, True)}, 1.0)
    running.leave("a", Progress(8.0, 2.4, 1.0, True))
    assert running.sent_s == pytest.approx(2.4)


def test_a_reply_that_ends_between_two_reports_counts_all_the_same() -> None:
    running = Running(expected_reply_s=10.0, lease_s=2.5)
    running.admit("a", "i", 0.0)
    running.leave("a", Progress(3.0, 3.0, 2.0, True))
    assert (running.sent_s, running.lengths.mean_s) == (3.0, 3.0)


def test_processes_that_are_long_gone_are_forgotten() -> None:
    running = Running(expected_reply_s=10.0, lease_s=2.5)
    for n in range(100):
        running.report(f"i{n}", {}, float(n))
        running.expire(float(n))
    assert running.n_ingresses(100.0, memory_s=1000.0) < 70
