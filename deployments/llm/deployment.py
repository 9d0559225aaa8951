"""The LLM stage on a replica: one thread for each reply in progress."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from deployments.caller import NOBODY, Call, Caller
from deployments.config import LlmConfig
from deployments.llm.engine import LlmEngine
from deployments.registry import load_engine
from deployments.streams import EngineThread, from_engine, joined
from deployments.types import LlmCapabilities, Message

JOIN_WINDOW_S = 0.01
"""Deltas this close together travel together: less than a listener can notice."""


class Llm:
    """Ready when constructed."""

    def __init__(self, config: LlmConfig) -> None:
        self._engine: LlmEngine = load_engine("llm", config.engine, config.options)

    async def describe(self) -> LlmCapabilities:
        """What the engine can do."""
        return self._engine.capabilities

    async def reply(
        self, messages: Sequence[Message], language: str, caller: Caller = NOBODY
    ) -> AsyncGenerator[str, None]:
        """The reply's deltas; see ``LlmEngine.reply``."""
        thread = EngineThread("llm")
        try:
            stream = from_engine(self._engine.reply(messages, language), thread)
            with Call("llm", caller) as call:
                async with aclosing(joined(stream, JOIN_WINDOW_S)) as deltas:
                    async for delta in deltas:
                        call.made()
                        yield delta
        finally:
            thread.end()
