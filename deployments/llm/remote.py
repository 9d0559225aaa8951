"""What language models behind an HTTP interface have in common: settings, keys, what becomes of a
stream, and failures in our words.

A server's own words are never passed on: they may hold the key, or what somebody said.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from deployments import config
from deployments.errors import (
    EngineLoadError,
    EngineRuntimeError,
    ReplyBlockedError,
    StageError,
    StageTimeoutError,
)
from deployments.llm.engine import check_dialogue
from deployments.llm.prompt import PERSONA, Prompt, n_tokens_of, prompt_of
from deployments.llm.spoken import SpokenText
from deployments.llm.usage import Prices
from deployments.streams import Reader, produced
from deployments.types import LlmCapabilities, Message, ReplyDelta, TokenUsage

TRY_TIMEOUT_S = 5.0  # for a server to say, at load, whether the key is right
KEEP_ALIVE_S = 120.0  # a question after a pause need not wait for another TLS handshake
_PAUSE_S = 0.2  # before a request is made once more


class RemoteSettings(config.Settings):
    """How long to wait for the first token is the caller's affair: a stage's
    ``first_output_timeout_s``, or a chain's ``first_token_timeout_s``."""

    model: str = Field(min_length=1)
    languages: tuple[str, ...] = ("en", "zh", "es")
    persona: str = PERSONA
    n_history_tokens: int = Field(default=2000, ge=0)  # by the estimate of deployments.llm.prompt
    # Of a reply of four sentences some 150, and what a model thinks before it; a bound of the cost.
    max_output_tokens: int = Field(default=1024, ge=16)
    temperature: float | None = Field(default=None, ge=0, le=2)  # None: the model's own
    api_key_file: Path | None = None  # holds the key and nothing else
    wait_timeout_s: float = Field(default=10.0, gt=0)  # for the next event of a stream
    n_attempts: int = Field(default=2, ge=1)  # of a request of which nothing has come yet
    prices: Prices = Prices()

    @field_validator("api_key_file")
    @classmethod
    def _is_whole(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_absolute():
            raise ValueError("write the whole path: a replica's working folder is not yours")
        return path


End = Literal["", "done", "limit", "blocked"]
"""Why a model ended: it was done, it had no more tokens, or it must not say (more)."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event of a server's stream told. The counts are of the whole reply so far."""

    text: str = ""
    n_prompt: int | None = None
    n_output: int | None = None
    end: End = ""


Emit = Callable[[Piece], Awaitable[None]]
Ask = Callable[[Prompt, Emit], Awaitable[None]]
"""Sends a prompt and emits what comes; cancelling it closes the connection."""


async def remote_reply(
    ask: Ask,
    messages: Sequence[Message],
    language: str,
    capabilities: LlmCapabilities,
    settings: RemoteSettings,
) -> AsyncGenerator[ReplyDelta, None]:
    """As ``LlmEngine.reply``, by what ``ask`` emits.

    Raises:
        EngineInputError: as ``LlmEngine.reply``.
        ReplyBlockedError: the model must not answer this.
        StageTimeoutError: the server was silent for too long.
        EngineRuntimeError: as ``ask`` raised it; the stream ended without a word.
    """
    check_dialogue(messages, language, capabilities)
    prompt = prompt_of(messages, language, settings.persona, settings.n_history_tokens)
    spoken, count, end = SpokenText(), _Count(prompt, settings.prices), ""
    # In a task of its own, because the clients close a connection only when the task that reads it
    # is cancelled, and only while it reads. So it never waits for us; max_output_tokens is what
    # bounds the queue.
    stream = produced(partial(_asked, ask, prompt, settings.n_attempts), size=0)
    async with aclosing(Reader(stream)) as pieces:
        while (piece := await _next(pieces, capabilities.engine, settings)) is not None:
            end = piece.end or end
            yield ReplyDelta(spoken.add(piece.text), usage=count.add(piece))
    if rest := spoken.finish():
        yield ReplyDelta(rest)
    if not spoken.has_begun:
        raise _nothing_said(capabilities.engine, end)


async def _asked(ask: Ask, prompt: Prompt, n_attempts: int, emit: Emit) -> None:
    """Ask, and once more where it may help: never when text may have been spoken already."""
    has_begun = False

    async def emit_and_note(piece: Piece) -> None:
        nonlocal has_begun
        has_begun = has_begun or bool(piece.text)
        await emit(piece)

    for n_failed in range(1, n_attempts + 1):
        try:
            return await ask(prompt, emit_and_note)
        except StageError as error:
            if has_begun or not error.retryable or n_failed == n_attempts:
                raise
        await asyncio.sleep(_PAUSE_S * n_failed)


async def _next(pieces: Reader[Piece], engine: str, settings: RemoteSettings) -> Piece | None:
    try:
        return await pieces.next(settings.wait_timeout_s)
    except TimeoutError:
        text = f"{engine} was silent for {settings.wait_timeout_s:g} s"
        raise StageTimeoutError(text, stage="llm") from None


class _Count:
    """The tokens of one reply: the server's figures as far as it tells any, else the estimate."""

    def __init__(self, prompt: Prompt, prices: Prices) -> None:
        self._prices, self._text = prices, ""
        self._n_prompt, self._n_output = prompt.n_tokens, 0

    def add(self, piece: Piece) -> TokenUsage:
        self._text += piece.text
        self._n_prompt = self._n_prompt if piece.n_prompt is None else piece.n_prompt
        self._n_output = n_tokens_of(self._text) if piece.n_output is None else piece.n_output
        return self._prices.of(self._n_prompt, self._n_output)


def _nothing_said(engine: str, end: str) -> EngineRuntimeError:
    if end == "blocked":
        return ReplyBlockedError(f"{engine}: the provider forbids an answer to this", stage="llm")
    why = ": max_output_tokens went into thinking" if end == "limit" else ""
    text = f"{engine} ended without a word{why}"
    return EngineRuntimeError(text, stage="llm", retryable=end != "limit")


def read_key(engine: str, file: Path | None, variables: Sequence[str]) -> str:
    """The key in the file or, without one, in the first of the environment's variables that is set;
    empty where there is none.

    Raises:
        EngineLoadError: the file cannot be read, or is empty.
    """
    if file is None:
        return next((key for name in variables if (key := os.environ.get(name, "").strip())), "")
    try:
        key = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        text = f"{engine}: its api_key_file {file} cannot be read ({type(error).__name__})"
        raise EngineLoadError(text, stage="llm") from None
    if not key:
        raise EngineLoadError(f"{engine}: its api_key_file {file} is empty", stage="llm")
    return key


def has_any(variables: Sequence[str]) -> bool:
    """Whether one of the environment's variables holds a key."""
    return any(os.environ.get(name, "").strip() for name in variables)


def refused(engine: str, model: str, status: int, *, is_key: bool = False) -> EngineRuntimeError:
    """A server's status that is no success, in words for the operator.

    Args:
        is_key: the server says that the key is the reason.
    """
    if is_key or status in (401, 403):
        what = "the key is wrong, or not for this model"
    elif status == 404:
        what = f"there is no model {model!r} (any more); set another in the options"
    elif status == 429:
        what = "the quota is used up, or too much is asked at once"
    else:
        what = "the server failed" if status >= 500 else "the server refuses the request"
    text = f"{engine} answered {status}: {what}"
    return EngineRuntimeError(text, stage="llm", retryable=status >= 500)


def broken(engine: str, error: Exception) -> EngineRuntimeError:
    """A connection that failed, or an answer that cannot be read."""
    text = f"{engine} cannot be reached, or its answer not be read ({type(error).__name__})"
    return EngineRuntimeError(text, stage="llm", retryable=True)
