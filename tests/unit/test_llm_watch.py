"""What /health learns of the language model: from several replicas, and never at its own cost."""

import asyncio
from collections.abc import Sequence
from itertools import cycle

from deployments.errors import EngineRuntimeError
from deployments.types import LlmStatus
from tests.virtual_time import now, run
from web.llm_watch import PATIENCE_S, LlmWatch


class Replicas:
    """Answer in turn, after ``takes_s``."""

    def __init__(self, *statuses: LlmStatus, takes_s: float = 0.01) -> None:
        self.statuses, self.takes_s, self.n_asked = statuses, takes_s, 0

    async def ask(self) -> LlmStatus:
        self.n_asked += 1
        status = self.statuses[(self.n_asked - 1) % len(self.statuses)]
        await asyncio.sleep(self.takes_s)
        return status


WELL, ILL = LlmStatus("a"), LlmStatus("b", "gemini is out")


def test_one_replica_in_trouble_is_enough() -> None:
    async def look() -> list[str]:
        replicas = Replicas(WELL, ILL)
        watch = LlmWatch(replicas.ask, now)
        return [await watch(2), await watch(2)]

    assert run(look()) == ["gemini is out"] * 2


def test_what_a_replica_said_counts_while_others_are_asked() -> None:
    async def look() -> list[str]:
        replicas = Replicas(ILL, WELL, WELL, WELL)
        watch = LlmWatch(replicas.ask, now)
        said = [await watch(1), await watch(1)]
        await asyncio.sleep(20)
        return [*said, await watch(1)]

    assert run(look()) == ["gemini is out", "gemini is out", ""]


def test_a_replica_that_is_well_again_says_so() -> None:
    async def look() -> list[str]:
        replicas = Replicas(ILL, LlmStatus("b"))
        watch = LlmWatch(replicas.ask, now)
        return [await watch(1), await watch(1)]

    assert run(look()) == ["gemini is out", ""]


def test_a_stage_that_hangs_holds_nobody_up_and_is_not_asked_twice() -> None:
    async def look() -> tuple[str, float, int]:
        replicas = Replicas(ILL, takes_s=100.0)
        watch = LlmWatch(replicas.ask, now)
        for _ in range(3):
            said = await watch(2)
        return said, round(now(), 6), replicas.n_asked

    assert run(look()) == ("", round(3 * PATIENCE_S, 6), 2)


def test_an_answer_that_comes_late_counts_the_next_time() -> None:
    async def look() -> list[str]:
        watch = LlmWatch(Replicas(ILL, takes_s=0.5).ask, now)
        said = [await watch(1)]
        await asyncio.sleep(1)
        return [*said, await watch(1)]

    assert run(look()) == ["", "gemini is out"]


def test_a_stage_without_replicas_is_left_asleep() -> None:
    async def look() -> tuple[str, int]:
        replicas = Replicas(ILL)
        return await LlmWatch(replicas.ask, now)(0), replicas.n_asked

    assert run(look()) == ("", 0)


def test_a_stage_that_cannot_be_asked_says_nothing() -> None:
    answers: Sequence[Exception] = (EngineRuntimeError("lost"), ValueError("unexpected"))
    errors = cycle(answers)

    async def ask() -> LlmStatus:
        raise next(errors)

    async def look() -> str:
        return await LlmWatch(ask, now)(2)

    assert run(look()) == ""
