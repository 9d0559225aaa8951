"""Attempts at one call, in virtual time: lost, stalled, hung, and who goes on."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from deployments.errors import EngineInputError, EngineRuntimeError, StageError, StageTimeoutError
from graph.race import RacePolicy, raced
from tests.virtual_time import now, run

HUNG = float("inf")
POLICY = RacePolicy("avatar", n_attempts=3, first_limit_s=5.0, next_limit_s=3.0, hedge_after_s=0.5)
PATIENT = RacePolicy("llm", n_attempts=2, first_limit_s=5.0, next_limit_s=3.0)
LOST = EngineRuntimeError("gone", stage="avatar", retryable=True)

Script = Sequence[tuple[float, int | StageError]]
"""What an attempt does: after so many seconds an item, or the error that ends it."""


@dataclass
class Calls:
    """Attempts that go by their scripts: the first by the first, and so on."""

    scripts: Sequence[Script]
    asked: list[tuple[float, int]] = field(default_factory=list)
    n_open: int = 0

    async def attempt(self, delivered: int) -> AsyncGenerator[int, None]:
        script = self.scripts[len(self.asked)]
        self.asked.append((now(), delivered))
        self.n_open += 1
        try:
            for delay_s, item in script:
                await (asyncio.Event().wait() if delay_s == HUNG else asyncio.sleep(delay_s))
                if isinstance(item, StageError):
                    raise item
                yield item
        finally:
            self.n_open -= 1


def items_of(
    policy: RacePolicy, *scripts: Script, resumes: bool = True
) -> tuple[list[tuple[float, int]], Calls, StageError | None]:
    """Items with their times, the attempts that were made, and the error at the end."""

    async def drive() -> tuple[list[tuple[float, int]], Calls, StageError | None]:
        calls, got, error = Calls(scripts), [], None
        stream = raced(policy, calls.attempt, lambda _: 1, resumes=resumes)
        try:
            async with aclosing(stream):
                async for item in stream:
                    got.append((round(now(), 6), item))
        except StageError as raised:
            error = raised
        assert calls.n_open == 0
        return got, calls, error

    return run(drive())


def test_one_that_answers_runs_alone() -> None:
    got, calls, error = items_of(POLICY, [(0.4, 1), (0.4, 2)])
    assert (got, calls.asked, error) == ([(0.4, 1), (0.8, 2)], [(0.0, 0)], None)


def test_a_stalled_one_is_overtaken_by_the_next() -> None:
    got, calls, _ = items_of(POLICY, [(HUNG, 0)], [(0.1, 1), (0.1, 2)])
    assert got == [(0.6, 1), (0.7, 2)]
    assert calls.asked == [(0.0, 0), (0.5, 0)]


def test_a_slow_one_that_answers_first_after_all_goes_on_and_the_other_is_left() -> None:
    got, calls, _ = items_of(POLICY, [(0.6, 1), (0.1, 2)], [(5.0, 7)])
    assert got == [(0.6, 1), (0.7, 2)]
    assert len(calls.asked) == 2


def test_one_that_stalls_midway_goes_on_where_it_stopped() -> None:
    got, calls, _ = items_of(POLICY, [(0.1, 1), (HUNG, 0)], [(0.2, 2), (0.1, 3)])
    assert got == [(0.1, 1), (0.8, 2), (0.9, 3)]
    assert calls.asked == [(0.0, 0), (0.6, 1)]


def test_a_lost_one_is_repeated_at_once() -> None:
    got, calls, _ = items_of(POLICY, [(0.1, 1), (0.05, LOST)], [(0.1, 2)])
    assert got == [(0.1, 1), (0.25, 2)]
    assert [delivered for _, delivered in calls.asked] == [0, 1]


def test_two_hung_replicas_cost_two_patiences() -> None:
    got, calls, _ = items_of(POLICY, [(HUNG, 0)], [(HUNG, 0)], [(0.1, 1)])
    assert got == [(1.1, 1)]
    assert [at for at, _ in calls.asked] == [0.0, 0.5, 1.0]


def test_when_all_hang_the_oldest_limit_ends_it() -> None:
    _, calls, error = items_of(POLICY, *[[(HUNG, 0)]] * 3)
    assert isinstance(error, StageTimeoutError)
    assert len(calls.asked) == 3


def test_without_hedging_the_next_begins_after_the_limit() -> None:
    got, calls, _ = items_of(PATIENT, [(HUNG, 0)], [(0.1, 1)])
    assert got == [(5.1, 1)]
    assert calls.asked == [(0.0, 0), (5.0, 0)]


def test_what_cannot_be_cured_is_not_repeated() -> None:
    wrong = EngineInputError("our bug")
    got, calls, error = items_of(POLICY, [(0.1, wrong)], [(0.1, 1)])
    assert (got, len(calls.asked), error) == ([], 1, wrong)


def test_what_does_not_resume_is_repeated_only_before_its_first_item() -> None:
    got, calls, _ = items_of(PATIENT, [(0.1, LOST)], [(0.1, 1), (0.1, 2)], resumes=False)
    assert [item for _, item in got] == [1, 2]
    assert len(calls.asked) == 2

    got, calls, error = items_of(PATIENT, [(0.1, 1), (0.1, LOST)], [(0.1, 2)], resumes=False)
    assert ([item for _, item in got], len(calls.asked), error) == ([1], 1, LOST)


def test_leaving_midway_ends_every_attempt() -> None:
    async def leave() -> int:
        calls = Calls([[(HUNG, 0)], [(HUNG, 0)], [(HUNG, 0)]])
        reader = asyncio.create_task(anext(raced(POLICY, calls.attempt, lambda _: 1), None))
        await asyncio.sleep(0.7)
        assert calls.n_open == 2
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        return calls.n_open

    assert run(leave()) == 0


def test_a_stall_is_told_before_the_next_attempt_begins() -> None:
    async def drive() -> list[tuple[float, int]]:
        calls, told = Calls([[(HUNG, 0)], [(HUNG, 0)], [(0.1, 1)]]), []

        def on_stall() -> bool:
            told.append((now(), len(calls.asked)))
            return True

        stream = raced(POLICY, calls.attempt, lambda _: 1, on_stall=on_stall)
        async with aclosing(stream):
            assert [item async for item in stream] == [1]
        return told

    assert run(drive()) == [(0.5, 1), (1.0, 2)]
