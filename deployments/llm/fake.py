"""A declared fake: says what it is told to, as slowly and as badly as a test wants it."""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from deployments import config
from deployments.cost_model import StageCost
from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.logical_gpu import loaded
from deployments.types import LlmCapabilities, Message

_CHARACTERS_PER_S = 15.0  # of speech, as espeak's voices and the fake's speak

_COLON = re.compile("[:：]")
_DELTA = re.compile(r"\s*(?:[\u3400-\u9fff]|[^\s\u3400-\u9fff]+)|\s+$")


class FakeLlm:
    """Replies with a fixed text, with what the user said, or with what it is asked to repeat."""

    class Settings(config.Settings):
        """Calls count from 1 over the engine's life.

        ``fail_after_deltas`` says when the failing call fails; alone it makes every call fail.
        A hanging call says nothing for ``hang_s`` and then fails. ``repeat`` says what follows the
        first colon ("Repeat after me: ..."), and the text where there is none.
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

    def __init__(self, settings: Settings) -> None:
        if settings.fail_load:
            raise EngineLoadError("this fake was told not to load", stage="llm")
        self.capabilities = LlmCapabilities(engine="fake", languages=settings.languages)
        self._settings = settings
        self._spend = loaded("llm", settings.cost)
        self._lock = threading.Lock()
        self._n_calls = 0

    def reply(self, messages: Sequence[Message], language: str) -> Iterator[str]:
        """See ``LlmEngine.reply``."""
        if not messages or messages[-1].role != "user":
            raise EngineInputError("the dialogue must end with the user's message", stage="llm")
        if language not in self.capabilities.languages:
            raise EngineInputError(f"this fake does not know {language!r}", stage="llm")
        with self._lock:
            self._n_calls += 1
            call = self._n_calls
        return self._stream(self._text(messages[-1].content), call)

    def _text(self, heard: str) -> str:
        rule = self._settings.rule
        if rule == "repeat" and (colon := _COLON.search(heard)):
            return heard[colon.end() :].strip()
        return heard if rule == "echo" else self._settings.text

    def _stream(self, text: str, call: int) -> Iterator[str]:
        settings = self._settings
        if call == settings.hang_on_call:
            time.sleep(settings.hang_s)
            raise EngineRuntimeError("this fake hung", stage="llm", retryable=True)
        n_before_failure, spent_s = self._deltas_before_failure(call), 0.0
        for i, match in enumerate(_DELTA.finditer(text)):
            if i == n_before_failure:
                break
            due_s = settings.cost.work_s(match.end() / _CHARACTERS_PER_S)
            self._spend(due_s - spent_s)
            spent_s = due_s
            yield match[0]
        if n_before_failure is not None:
            raise EngineRuntimeError("this fake was told to fail", stage="llm", retryable=True)

    def _deltas_before_failure(self, call: int) -> int | None:
        settings = self._settings
        if settings.fail_on_call is None:
            return settings.fail_after_deltas
        return (settings.fail_after_deltas or 0) if call == settings.fail_on_call else None
