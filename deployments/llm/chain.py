"""Engines that answer in each other's place: the first that begins in time speaks the whole reply.

An engine that does not load is left out, one that fails again and again is kept out for a while.
Once a word of a reply was passed on nobody else takes over, since he would answer in other words.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import Field, model_validator

from deployments import config
from deployments.errors import (
    ConfigError,
    EngineInputError,
    EngineLoadError,
    EngineRuntimeError,
    ReplyBlockedError,
    StageError,
    StageTimeoutError,
    engine_errors,
)
from deployments.llm.breaker import Breaker
from deployments.llm.engine import LlmEngine, OnAttempt, Outcome, check_dialogue, words_of
from deployments.registry import check_options, load_engine
from deployments.streams import Reader
from deployments.types import LlmCapabilities, Message, ReplyDelta

logger = logging.getLogger("ray.serve.avatar")

Load = Callable[[str, str, dict[str, Any]], Any]
Now = Callable[[], float]


class Link(config.Settings):
    """One engine. ``name`` is what answers, logs and metrics call it; by default the engine's own,
    which is not enough where a chain has two of a kind."""

    engine: str
    options: dict[str, Any] = Field(default_factory=dict)  # validated by the engine's Settings
    first_token_timeout_s: float = Field(default=3.0, gt=0)
    name: str = ""

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if self.engine == "chain":
            raise ValueError("a chain is no link of a chain")
        check_options("llm", self.engine, self.options)
        return self

    @property
    def called(self) -> str:
        return self.name or self.engine


def _ignore_attempt(engine: str, outcome: Outcome) -> None:
    """The default observer."""


class ChainLlm:
    """The engines of ``Settings.engines``, the best one first; there is at least one."""

    class Settings(config.Settings):
        """``n_failures`` in a row keep an engine out for ``cool_down_s``; then one reply tries."""

        engines: tuple[Link, ...] = Field(min_length=1)
        n_failures: int = Field(default=3, ge=1)
        cool_down_s: float = Field(default=30.0, gt=0)

        @model_validator(mode="after")
        def _has_names(self) -> Self:
            names = [link.called for link in self.engines]
            if len(set(names)) < len(names):
                raise ValueError("two engines have one name; give each a `name` of its own")
            return self

        @property
        def patience_s(self) -> float:
            """How long it takes at the longest until the last engine has had its time."""
            return sum(link.first_token_timeout_s for link in self.engines)

    def __init__(
        self, settings: Settings, load: Load = load_engine, now: Now = time.monotonic
    ) -> None:
        self._members: list[_Member] = []
        self._left_out: dict[str, str] = {}
        for link in settings.engines:
            try:
                engine = load("llm", link.engine, link.options)
            except (EngineLoadError, ConfigError) as error:
                logger.warning("%s is left out: %s", link.called, error.message)
                self._left_out[link.called] = error.message
                continue
            breaker = Breaker(settings.n_failures, settings.cool_down_s, now)
            self._members.append(_Member(link, engine, breaker))
        if not self._members:
            raise EngineLoadError(_listed("no engine loads", self._left_out), stage="llm")
        names = tuple(link.called for link in settings.engines)
        self.capabilities = LlmCapabilities("chain", _languages(self._members), names)
        self._on_attempt: OnAttempt = _ignore_attempt

    def watch(self, on_attempt: OnAttempt) -> None:
        """See ``ChainedLlm.watch``."""
        self._on_attempt = on_attempt

    def outages(self) -> Mapping[str, str]:
        """See ``ChainedLlm.outages``."""
        kept_out = {m.name: m.why for m in self._members if m.breaker.is_open}
        return {**self._left_out, **kept_out}

    async def reply(
        self, messages: Sequence[Message], language: str
    ) -> AsyncGenerator[ReplyDelta, None]:
        """See ``LlmEngine.reply``.

        Raises:
            EngineInputError: as an engine raised it.
            EngineRuntimeError: no engine answered; or the one that spoke failed, as it said.
        """
        check_dialogue(messages, language, self.capabilities)
        failures: dict[str, str] = {}
        for member in self._in_order(language):
            async with aclosing(Reader(member.engine.reply(messages, language))) as reader:
                try:
                    first = await self._first(member, reader)
                except EngineInputError:
                    raise
                except StageError as error:
                    failures[member.name] = words_of(error)
                    logger.warning("%s does not answer: %s", member.name, failures[member.name])
                    continue
                with self._judged(member, speaks=True):
                    yield first
                    while (delta := await reader.next()) is not None:
                        yield replace(delta, engine=member.name)
                return
        raise EngineRuntimeError(_listed("no engine answers", failures), stage="llm")

    def _in_order(self, language: str) -> Iterator["_Member"]:
        """Who may be asked; then, since there is nothing to lose, those who were kept out."""
        kept_out = []
        for member in self._members:
            if language not in member.engine.capabilities.languages:
                continue
            if member.breaker.enter():
                yield member
            else:
                self._on_attempt(member.name, "kept_out")
                kept_out.append(member)
        yield from kept_out

    async def _first(self, member: "_Member", reader: Reader[ReplyDelta]) -> ReplyDelta:
        """The engine's first words.

        Raises:
            StageTimeoutError: they did not come in time.
            EngineRuntimeError: there are none.
        """
        limit_s, loop = member.link.first_token_timeout_s, asyncio.get_running_loop()
        until_s = loop.time() + limit_s
        with self._judged(member, speaks=False):
            try:
                while delta := await reader.next(max(0.0, until_s - loop.time())):
                    if delta.text:
                        return replace(delta, engine=member.name)
            except TimeoutError:
                text = f"{member.name} said nothing within {limit_s:g} s"
                raise StageTimeoutError(text, stage="llm") from None
            raise EngineRuntimeError(f"{member.name} ended without a word", stage="llm")

    @contextmanager
    def _judged(self, member: "_Member", *, speaks: bool) -> Iterator[None]:
        """Tell the engine's breaker and the observer what comes of a call that has begun.

        ``speaks``: of the words after the first ones, else of those.
        """
        breaker = member.breaker
        try:
            with engine_errors("llm"):
                yield
        except StageError as error:
            outcome = _outcome(error, speaks)
            member.note(error, outcome)
            self._on_attempt(member.name, outcome)
            raise
        except BaseException:  # whoever listened has left
            if speaks:
                breaker.succeeded()
            else:
                breaker.left()
            raise
        if speaks:
            breaker.succeeded()
        else:
            breaker.answered()
            self._on_attempt(member.name, "answered")


@dataclass(slots=True, eq=False)
class _Member:
    """An engine that has loaded; ``why`` it failed last."""

    link: Link
    engine: LlmEngine
    breaker: Breaker
    why: str = ""

    @property
    def name(self) -> str:
        return self.link.called

    def note(self, error: StageError, outcome: Outcome) -> None:
        """What it failed with; what it must not say, or was asked wrongly, is no fault of its."""
        if outcome == "blocked":
            self.breaker.succeeded()
        elif isinstance(error, EngineInputError):
            self.breaker.left()
        else:
            self.why = words_of(error)
            self.breaker.failed()


def _outcome(error: StageError, speaks: bool) -> Outcome:
    if isinstance(error, ReplyBlockedError):
        return "blocked"
    if speaks:
        return "cut"
    return "late" if isinstance(error, StageTimeoutError) else "failed"


def _languages(members: Sequence[_Member]) -> tuple[str, ...]:
    """Of all engines, the best one's first."""
    every = (language for m in members for language in m.engine.capabilities.languages)
    return tuple(dict.fromkeys(every))


def _listed(what: str, failures: Mapping[str, str]) -> str:
    return f"{what}: " + "; ".join(f"{name}: {why}" for name, why in failures.items())
