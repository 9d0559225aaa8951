"""Utterances that wait on a replica are heard together. Knows neither Ray nor a model."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from deployments.asr.engine import BatchingAsrEngine, HearingT
from deployments.errors import AvatarError
from deployments.types import AudioChunk, Transcript

Run = Callable[..., Awaitable[Any]]
"""Has the engine's thread call something; raises what it raised, as one of ours."""

Step = tuple[Transcript, float]
"""A transcript, and the seconds of the engine's time that this step of it took."""


@dataclass(frozen=True, slots=True, eq=False)
class _Place(Generic[HearingT]):
    """Somebody who waits for the next step of an utterance; done when served or gone."""

    hearing: HearingT
    step: asyncio.Future[Step]


class Batches(Generic[HearingT]):
    """One step of the engine after the other, each with as many utterances as wait for theirs.

    It runs while somebody waits, as a task that the first one starts. Nobody is made to wait for
    company: who comes to an idle engine is heard at once, alone, and those who come meanwhile
    make the next batch. A long utterance goes to the end of the queue after each of its steps, so
    it holds nobody up for longer than one. The queue has no bound of its own: each caller has one
    place in it, and Serve's ``max_ongoing_requests`` bounds the callers.
    """

    def __init__(
        self,
        engine: BatchingAsrEngine[HearingT],
        run: Run,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._engine, self._run, self._now = engine, run, now
        self._waiting: deque[_Place[HearingT]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def transcribe(
        self, audio: AudioChunk, language: str | None
    ) -> AsyncGenerator[Step, None]:
        """As ``AsrEngine.transcribe``, each transcript with its share of its step's time.

        Who leaves is not heard any further; the step in progress is finished for the others.
        """
        hearing = self._engine.open(audio, language)
        is_final = False
        while not is_final:
            transcript, busy_s = await self._next(hearing)
            is_final = transcript.is_final
            yield transcript, busy_s

    async def _next(self, hearing: HearingT) -> Step:
        place = _Place(hearing, asyncio.get_running_loop().create_future())
        self._waiting.append(place)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._hear_all())
        return await place.step  # cancelled with who waits here, which gives the place up

    async def _hear_all(self) -> None:
        while batch := self._take():
            await self._hear(batch)

    def _take(self) -> list[_Place[HearingT]]:
        batch: list[_Place[HearingT]] = []
        while self._waiting and len(batch) < self._engine.capabilities.batch:
            place = self._waiting.popleft()
            if not place.step.done():
                batch.append(place)
        return batch

    async def _hear(self, batch: Sequence[_Place[HearingT]]) -> None:
        try:
            transcripts, step_s = await self._run(self._step, [place.hearing for place in batch])
        except AvatarError as error:
            await self._blame(batch, error)
            return
        for place, transcript in zip(batch, transcripts, strict=True):
            if not place.step.done():
                place.step.set_result((transcript, step_s / len(batch)))

    async def _blame(self, batch: Sequence[_Place[HearingT]], error: AvatarError) -> None:
        """Tell who is at fault; of several that turns out when each is heard alone."""
        for place in batch:
            if place.step.done():
                continue
            if len(batch) > 1:
                await self._hear([place])
            else:
                place.step.set_exception(error)

    def _step(self, hearings: Sequence[HearingT]) -> tuple[list[Transcript], float]:
        """On the engine's thread, where whatever is raised becomes an error of ours."""
        started_s = self._now()
        transcripts = self._engine.hear(hearings)
        if len(transcripts) != len(hearings):
            raise ValueError(f"{len(transcripts)} transcripts of {len(hearings)} utterances")
        return transcripts, self._now() - started_s
