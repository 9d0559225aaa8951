"""A breaker: who fails again and again is left alone for a while, and then tried by one."""

from deployments.llm.breaker import Breaker


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def opened() -> tuple[Breaker, Clock]:
    """After two failures in a row, of which two are needed; the cool-down is ten seconds."""
    clock = Clock()
    breaker = Breaker(2, 10.0, clock)
    for _ in range(2):
        assert breaker.enter()
        breaker.failed()
    return breaker, clock


def test_failures_in_a_row_keep_an_engine_out() -> None:
    breaker, _ = opened()
    assert breaker.is_open
    assert not breaker.enter()


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker = Breaker(2, 10.0, Clock())
    for verb in (breaker.failed, breaker.succeeded, breaker.failed):
        assert breaker.enter()
        verb()
    assert not breaker.is_open


def test_after_the_cool_down_one_call_at_a_time_tries_the_engine() -> None:
    breaker, clock = opened()
    clock.now_s += 9.9
    assert not breaker.enter()
    clock.now_s += 0.1
    assert [breaker.enter(), breaker.enter()] == [True, False]
    assert breaker.is_open


def test_an_engine_that_is_back_is_asked_by_everybody() -> None:
    breaker, clock = opened()
    clock.now_s += 10
    assert breaker.enter()
    breaker.answered()
    assert not breaker.is_open
    assert [breaker.enter(), breaker.enter()] == [True, True]


def test_one_failure_of_an_engine_that_has_just_come_back_keeps_it_out_again() -> None:
    breaker, clock = opened()
    clock.now_s += 10
    breaker.enter()
    breaker.answered()
    breaker.failed()
    assert breaker.is_open
    assert not breaker.enter()


def test_a_failed_try_lasts_for_another_cool_down() -> None:
    breaker, clock = opened()
    clock.now_s += 10
    breaker.enter()
    breaker.failed()
    clock.now_s += 9.9
    assert not breaker.enter()
    clock.now_s += 0.1
    assert breaker.enter()


def test_a_try_that_is_given_up_leaves_the_next_call_free_to_try() -> None:
    breaker, clock = opened()
    clock.now_s += 10
    breaker.enter()
    breaker.left()
    assert breaker.is_open
    assert breaker.enter()
