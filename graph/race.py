"""One stream out of several attempts at the same call: when one stalls or is lost, another begins.

A replica that hangs raises nothing, and one that is merely slow would be drowned by everybody's
repetitions; so a second attempt begins early, beside the first, and whichever gives the next item
goes on alone.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from math import inf
from typing import Generic, Literal, TypeVar

from deployments.errors import StageError, StageTimeoutError
from deployments.streams import Reader

T = TypeVar("T")

_SPARE_S = 1.0
"""What a repetition may take; a stalled stretch is hedged so long before its viewer needs it."""

_LONGEST_HEDGE = 4
"""However much time there is, a stall is watched for no longer than so many times the least
patience: the turn behind it stands still meanwhile."""

_LOOK_EVERY_S = 0.15
"""How often a silent attempt is looked at, and how long one must be silent to be looked at."""


Reason = Literal["lost", "silent", "hedge"]
"""Why an attempt is not the first: the one before failed, or gave nothing for too long, or is still
running and may hang."""


def reason_of(error: StageError) -> Reason:
    """Why the attempt follows that ended so."""
    return "silent" if isinstance(error, StageTimeoutError) else "lost"


@dataclass(frozen=True, slots=True)
class RacePolicy:
    """How long an attempt may be silent.

    ``first_limit_s``, ``next_limit_s``: before the first item and between two; then it is given up.
    ``hedge_after_s``: then another one may begin beside it; ``None`` never.
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
    attempt: Callable[[int], AsyncGenerator[T, None]]
    on_stall: Callable[[], bool]
    needed_at_s: Callable[[int], float] | None
    on_repeat: Callable[[Reason], None]
    n_left: int
    delivered: int = 0
    running: list[_Attempt[T]] = field(default_factory=list)
    is_asked: bool = False  # somebody waits for an item
    look_at_s: float = inf  # when to ask whether a silent one hangs
    hedge_at_s: float = inf

    def start(self) -> None:
        now_s = _now_s()
        reader = Reader(self.attempt(self.delivered))
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
        self.is_asked = True
        while True:
            winner = await self._first_done()
            if winner is not None:
                try:
                    item = await winner.reader.next()
                except StageError as error:
                    await self._lose(winner, error)
                    continue
                await self._go_on_alone(winner)
                self.is_asked = False
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
        if now_s >= self.look_at_s:
            hangs = self.on_stall()
            if hangs and now_s >= self.hedge_at_s:
                self.on_repeat("hedge")
                self.start()
            else:
                self.look_at_s = now_s + _LOOK_EVERY_S

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
            self.on_repeat(reason_of(error))
            self.start()

    async def _go_on_alone(self, winner: _Attempt[T]) -> None:
        winner.limit_s = self.policy.next_limit_s
        for loser in [attempt for attempt in self.running if attempt is not winner]:
            await loser.reader.aclose()
            self.running.remove(loser)

    def _plan_hedge(self) -> None:
        """Early where the next item is needed soon, and later where there is time to be sure."""
        after_s, now_s = self.policy.hedge_after_s, _now_s()
        if after_s is None or not self.n_left:
            self.look_at_s = self.hedge_at_s = inf
            return
        self.look_at_s = self.hedge_at_s = now_s + after_s
        if self.needed_at_s is not None:
            spare_until_s = self.needed_at_s(self.delivered) - _SPARE_S
            longest_s = now_s + _LONGEST_HEDGE * after_s
            self.hedge_at_s = min(max(self.hedge_at_s, spare_until_s), longest_s)

    def _next_deadline_s(self) -> float:
        return min(self.look_at_s, *(attempt.given_up_at_s for attempt in self.running))

    async def aclose(self) -> None:
        """Stop all attempts. One that is left while it is silent may hang, which others should
        know."""
        if self.policy.hedge_after_s is not None and self._is_silent():
            self.on_stall()
        for attempt in self.running:
            await attempt.reader.aclose()

    def _is_silent(self) -> bool:
        now_s = _now_s()
        return self.is_asked and any(
            now_s - attempt.silent_since_s >= _LOOK_EVERY_S for attempt in self.running
        )


def _ignore_repeat(reason: Reason) -> None:
    """The default observer."""


def _hangs() -> bool:
    """Where nobody knows better, who gives no output hangs."""
    return True


async def raced(
    policy: RacePolicy,
    attempt: Callable[[int], AsyncGenerator[T, None]],
    size_of: Callable[[T], int],
    *,
    on_stall: Callable[[], bool] = _hangs,
    needed_at_s: Callable[[int], float] | None = None,
    on_repeat: Callable[[Reason], None] = _ignore_repeat,
    resumes: bool = True,
) -> AsyncGenerator[T, None]:
    """The items of a call that is repeated when it is lost.

    Args:
        policy: when an attempt is given up, and when another begins beside it.
        attempt: called with how many units were delivered; gives the stream that follows them.
        size_of: how many units an item holds.
        on_stall: told that no attempt gives an output; says whether one hangs. Only then another
            begins beside it.
        needed_at_s: when, on the loop's clock, what follows so many delivered units is needed.
        on_repeat: told of each attempt but the first.
        resumes: whether an attempt can begin after units were delivered.

    Raises:
        StageError: as the last attempt raised it, or it was silent for too long.
    """
    race = _Race(policy, attempt, on_stall, needed_at_s, on_repeat, policy.n_attempts)
    race.start()
    async with aclosing(race):
        while (item := await race.next()) is not None:
            race.delivered += size_of(item)
            if race.delivered and not resumes:
                race.n_left = 0
            yield item


def _now_s() -> float:
    return asyncio.get_running_loop().time()
