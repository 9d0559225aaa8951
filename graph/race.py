"""One stream out of several attempts at the same call: when one stalls or is lost, another begins.

A replica that hangs raises nothing, and one that is merely slow would be drowned by everybody's
repetitions; so a second attempt begins early, beside the first, and whichever gives the next item
goes on alone.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from deployments.errors import StageError, StageTimeoutError
from deployments.streams import Reader

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RacePolicy:
    """How long an attempt may be silent.

    ``limit_s`` (for the first item, then for each further one): after that it is given up.
    ``hedge_after_s``: after that another one begins beside it; ``None`` never.
    """

    stage: str
    n_attempts: int
    first_limit_s: float
    next_limit_s: float
    hedge_after_s: float | None = None


@dataclass(slots=True)
class _Attempt(Generic[T]):
    reader: Reader[T]
    silent_since_s: float
    limit_s: float

    @property
    def given_up_at_s(self) -> float:
        return self.silent_since_s + self.limit_s


@dataclass(slots=True)
class _Race(Generic[T]):
    """The attempts that are running, oldest first, and how many may still begin."""

    policy: RacePolicy
    begin: Callable[[], AsyncGenerator[T, None]]
    on_stall: Callable[[], None]
    n_left: int
    running: list[_Attempt[T]] = field(default_factory=list)
    hedge_at_s: float = 0.0

    def start(self) -> None:
        now_s = _now_s()
        reader = Reader(self.begin())
        reader.start()
        self.running.append(_Attempt(reader, now_s, self.policy.first_limit_s))
        self.n_left -= 1
        self._plan_hedge()

    async def next(self) -> T | None:
        """The first item of any attempt, which goes on alone; ``None`` at its end.

        Raises:
            StageError: the last attempt failed, or was silent for too long.
        """
        for attempt in self.running:
            attempt.silent_since_s = _now_s()
        self._plan_hedge()
        while True:
            winner = await self._first_done()
            if winner is not None:
                try:
                    item = await winner.reader.next()
                except StageError as error:
                    await self._lose(winner, error)
                    continue
                await self._go_on_alone(winner)
                return item
            await self._check_clocks()

    async def _first_done(self) -> _Attempt[T] | None:
        pending = {attempt.reader.start(): attempt for attempt in self.running}
        timeout_s = max(0.0, self._next_deadline_s() - _now_s())
        done, _ = await asyncio.wait(
            pending, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        return next((attempt for task, attempt in pending.items() if task in done), None)

    async def _check_clocks(self) -> None:
        now_s = _now_s()
        for attempt in [a for a in self.running if now_s >= a.given_up_at_s]:
            text = f"the {self.policy.stage} stage gave no output within {attempt.limit_s:g} s"
            await self._lose(attempt, StageTimeoutError(text, stage=self.policy.stage))
        if now_s >= self.hedge_at_s and self.n_left:
            self.on_stall()
            self.start()

    async def _lose(self, attempt: _Attempt[T], error: StageError) -> None:
        """Go on without the attempt.

        Raises:
            StageError: ``error``, where no other attempt can help.
        """
        self.running.remove(attempt)
        await attempt.reader.aclose()
        if not error.retryable or not (self.running or self.n_left):
            raise error
        if not self.running:
            self.start()

    async def _go_on_alone(self, winner: _Attempt[T]) -> None:
        losers = [attempt for attempt in self.running if attempt is not winner]
        self.running = [winner]
        winner.limit_s = self.policy.next_limit_s
        for loser in losers:
            await loser.reader.aclose()

    def _plan_hedge(self) -> None:
        after_s = self.policy.hedge_after_s
        can_help = after_s is not None and self.n_left > 0
        self.hedge_at_s = _now_s() + (after_s or 0.0) if can_help else float("inf")

    def _next_deadline_s(self) -> float:
        return min(self.hedge_at_s, *(attempt.given_up_at_s for attempt in self.running))

    async def aclose(self) -> None:
        for attempt in self.running:
            await attempt.reader.aclose()


def _ignore_stall() -> None:
    """The default listener."""


async def raced(
    policy: RacePolicy,
    attempt: Callable[[int], AsyncGenerator[T, None]],
    size_of: Callable[[T], int],
    *,
    on_stall: Callable[[], None] = _ignore_stall,
    resumes: bool = True,
) -> AsyncGenerator[T, None]:
    """The items of a call that is repeated when it is lost.

    Args:
        policy: when an attempt is given up, and when another begins beside it.
        attempt: called with how many units were delivered; gives the stream that follows them.
        size_of: how many units an item holds.
        on_stall: called before another attempt begins beside those that are running.
        resumes: whether an attempt can begin after units were delivered.

    Raises:
        StageError: as the last attempt raised it, or it was silent for too long.
    """
    delivered = 0
    race = _Race(policy, lambda: attempt(delivered), on_stall, policy.n_attempts)
    race.start()
    async with aclosing(race):
        while (item := await race.next()) is not None:
            delivered += size_of(item)
            if not resumes:
                race.n_left = 0
            yield item


def _now_s() -> float:
    return asyncio.get_running_loop().time()
