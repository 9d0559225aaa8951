"""The LLM stage on a replica: any number of replies in progress on its event loop."""

import secrets
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace

from deployments.caller import NOBODY, Call, Caller
from deployments.config import LlmConfig
from deployments.errors import EngineInputError, StageError, engine_errors
from deployments.llm.engine import LlmEngine
from deployments.registry import load_engine
from deployments.streams import joined
from deployments.types import LlmCapabilities, LlmStatus, Message, ReplyDelta

JOIN_WINDOW_S = 0.01
"""Deltas this close together travel together: less than a listener can notice."""


class Llm:
    """Ready when constructed."""

    def __init__(self, config: LlmConfig) -> None:
        self._engine: LlmEngine = load_engine("llm", config.engine, config.options)
        self._replica = secrets.token_hex(4)
        self._trouble = ""

    async def describe(self) -> LlmCapabilities:
        """What the engine can do."""
        return self._engine.capabilities

    async def status(self) -> LlmStatus:
        """How it is just doing: what the last reply that failed said, until one succeeds."""
        return LlmStatus(self._replica, self._trouble)

    async def reply(
        self, messages: Sequence[Message], language: str, caller: Caller = NOBODY
    ) -> AsyncGenerator[ReplyDelta, None]:
        """The reply's deltas; see ``LlmEngine.reply``.

        Raises:
            EngineRuntimeError: for anything that is not ours that the engine raised, too.
        """
        stream = joined(self._engine.reply(messages, language), JOIN_WINDOW_S, _joined)
        with Call("llm", caller) as call, self._watched(), engine_errors("llm"):
            async with aclosing(stream) as deltas:
                async for delta in deltas:
                    call.made()
                    yield delta

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Remember why a reply fails, until one succeeds."""
        try:
            yield
        except EngineInputError:
            raise
        except StageError as error:
            self._trouble = error.message
            raise
        self._trouble = ""


def _joined(earlier: ReplyDelta, later: ReplyDelta) -> ReplyDelta:
    return replace(later, text=earlier.text + later.text, usage=later.usage or earlier.usage)
