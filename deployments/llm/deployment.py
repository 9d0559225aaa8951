"""The LLM stage on a replica: any number of replies in progress on its event loop."""

import secrets
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Protocol, cast

from deployments.caller import NOBODY, Call, Caller
from deployments.config import LlmConfig
from deployments.errors import EngineInputError, StageError, engine_errors
from deployments.llm.engine import ChainedLlm, LlmEngine, Outcome, words_of
from deployments.registry import load_engine
from deployments.streams import joined
from deployments.types import LlmCapabilities, LlmStatus, Message, ReplyDelta, TokenUsage

JOIN_WINDOW_S = 0.01
"""Deltas this close together travel together: less than a listener can notice."""


class LlmObserver(Protocol):
    """Told what a replica's engines do, by their names."""

    def used(self, engine: str, usage: TokenUsage) -> None:
        """A reply is over, whole or not, and has taken so much."""
        ...

    def attempted(self, engine: str, outcome: Outcome) -> None:
        """An engine of a chain was asked, or would have been."""
        ...

    def standing(self, is_out: Mapping[str, bool]) -> None:
        """Which engines of a chain are out; told every few seconds."""
        ...


class _Nobody:
    """The default observer."""

    def used(self, engine: str, usage: TokenUsage) -> None: ...

    def attempted(self, engine: str, outcome: Outcome) -> None: ...

    def standing(self, is_out: Mapping[str, bool]) -> None: ...


class Llm:
    """Ready when constructed. ``observer`` is called on the replica, and what it makes is told."""

    def __init__(self, config: LlmConfig, observer: Callable[[], LlmObserver] = _Nobody) -> None:
        self._engine: LlmEngine = load_engine("llm", config.engine, config.options)
        self._chain = _as_chain(self._engine)
        self._observer = observer()
        self._replica = secrets.token_hex(4)
        self._failure = ""  # of the last reply
        if self._chain is not None:
            self._chain.watch(self._observer.attempted)

    async def check_health(self) -> None:
        """Asked by Serve every few seconds, which is when a gauge has to be set to be seen."""
        if self._chain is not None:
            out = self._chain.outages()
            self._observer.standing({name: name in out for name in self._chain_names})

    async def describe(self) -> LlmCapabilities:
        """What the engine can do."""
        return self._engine.capabilities

    async def status(self) -> LlmStatus:
        """How it is just doing."""
        return LlmStatus(self._replica, self._failure or self._outage())

    async def reply(
        self, messages: Sequence[Message], language: str, caller: Caller = NOBODY
    ) -> AsyncGenerator[ReplyDelta, None]:
        """The reply's deltas; see ``LlmEngine.reply``.

        Raises:
            EngineRuntimeError: for anything that is not ours that the engine raised, too.
        """
        counted = self._counted(self._engine.reply(messages, language))
        with Call("llm", caller) as call, self._watched(), engine_errors("llm"):
            async with aclosing(joined(counted, JOIN_WINDOW_S, _joined)) as deltas:
                async for delta in deltas:
                    call.made()
                    yield delta

    async def _counted(
        self, deltas: AsyncGenerator[ReplyDelta, None]
    ) -> AsyncGenerator[ReplyDelta, None]:
        """The deltas without what they took, which is told once, however the reply ends."""
        engine, usage = "", None
        try:
            async with aclosing(deltas):
                async for delta in deltas:
                    engine, usage = delta.engine, delta.usage or usage
                    if delta.text or delta.usage is None:
                        yield replace(delta, usage=None)
        finally:
            if usage is not None:
                self._observer.used(engine or self._engine.capabilities.engine, usage)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Remember why a reply fails, until one succeeds."""
        try:
            yield
        except EngineInputError:
            raise
        except StageError as error:
            self._failure = f"the last reply failed: {words_of(error)}"
            raise
        self._failure = ""

    @property
    def _chain_names(self) -> tuple[str, ...]:
        return self._engine.capabilities.chain

    def _outage(self) -> str:
        """Of a chain's best engine; that the others wait to be needed troubles nobody."""
        out = {} if self._chain is None else self._chain.outages()
        best = next(iter(self._chain_names), "")
        return f"{best} is out, the next ones answer: {out[best]}" if best in out else ""


def _as_chain(engine: LlmEngine) -> ChainedLlm | None:
    return cast(ChainedLlm, engine) if engine.capabilities.chain else None


def _joined(earlier: ReplyDelta, later: ReplyDelta) -> ReplyDelta:
    return replace(later, text=earlier.text + later.text)
