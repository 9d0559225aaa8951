"""A declared fake: says what it is told to, as slowly and as badly as a test wants it."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Literal

from pydantic import Field

from deployments import config
from deployments.cost_model import StageCost
from deployments.errors import EngineLoadError, EngineRuntimeError
from deployments.llm.engine import check_dialogue
from deployments.llm.usage import Prices
from deployments.logical_gpu import loaded
from deployments.types import LlmCapabilities, Message, ReplyDelta

_CHARACTERS_PER_S = 15.0  # of speech, as espeak's voices and the fake's speak
_N_THREADS = 64  # that spend the declared costs: as many replies at once as profiles let in

_COLON = re.compile("[:：]")
_DELTA = re.compile(r"\s*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff]+)|\s+$")


class FakeLlm:
    """Replies with a fixed text, with what the user said, or with what it is asked to repeat."""

    class Settings(config.Settings):
        """Calls count from 1 over the engine's life.

        ``fail_after_deltas`` says when the failing call fails; alone it makes every call fail.
        A hanging call says nothing for ``hang_s`` and then fails. ``repeat`` says what follows the
        first colon ("Repeat after me: ..."), and the text where there is none. A message takes a
        token, and a delta does.
        """

        rule: Literal["fixed", "echo", "repeat"] = "fixed"
        text: str = "Certainly. This is the reply of a fake, and it has two sentences."
        languages: tuple[str, ...] = ("en", "zh", "es")
        cost: StageCost = StageCost()
        fail_on_call: int | None = Field(default=None, ge=1)
        fail_after_deltas: int | None = Field(default=None, ge=0)
        hang_on_call: int | None = Field(default=None, ge=1)
        hang_s: float = Field(default=30.0, gt=0)
        fail_load: bool = False
        prices: Prices = Prices()

    def __init__(self, settings: Settings) -> None:
        if settings.fail_load:
            raise EngineLoadError("this fake was told not to load", stage="llm")
        self.capabilities = LlmCapabilities(engine="fake", languages=settings.languages)
        self._settings = settings
        self._spend = loaded("llm", settings.cost)
        self._threads = ThreadPoolExecutor(_N_THREADS, "llm")
        self._calls = count(1)

    async def reply(
        self, messages: Sequence[Message], language: str
    ) -> AsyncGenerator[ReplyDelta, None]:
        """See ``LlmEngine.reply``."""
        check_dialogue(messages, language, self.capabilities)
        call, spent_s = next(self._calls), 0.0
        if call == self._settings.hang_on_call:
            await asyncio.sleep(self._settings.hang_s)
            raise EngineRuntimeError("this fake hung", stage="llm", retryable=True)
        n_before_failure = self._deltas_before_failure(call)
        for i, match in enumerate(_DELTA.finditer(self._text(messages[-1].content))):
            if i == n_before_failure:
                break
            spent_s = await self._spend_until(match.end() / _CHARACTERS_PER_S, spent_s)
            yield ReplyDelta(match[0], usage=self._settings.prices.of(len(messages), i + 1))
        if n_before_failure is not None:
            raise EngineRuntimeError("this fake was told to fail", stage="llm", retryable=True)

    def _text(self, heard: str) -> str:
        rule = self._settings.rule
        if rule == "repeat" and (colon := _COLON.search(heard)):
            return heard[colon.end() :].strip()
        return heard if rule == "echo" else self._settings.text

    async def _spend_until(self, media_s: float, spent_s: float) -> float:
        """Take the time that so many seconds of speech cost; what has been spent by then."""
        due_s = self._settings.cost.work_s(media_s)
        if due_s > spent_s:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, self._spend, due_s - spent_s)
        return due_s

    def _deltas_before_failure(self, call: int) -> int | None:
        settings = self._settings
        if settings.fail_on_call is None:
            return settings.fail_after_deltas
        return (settings.fail_after_deltas or 0) if call == settings.fail_on_call else None
