"""Any server with OpenAI's chat interface: vLLM, Ollama, llama.cpp, SGLang, and OpenAI itself.

Client: openai (Apache-2.0). The model, and its licence, are those of whoever runs the server. How
the client behaves was measured with openai 3.52 against a loopback server, November 2026.
"""

import logging
import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from deployments.errors import EngineLoadError
from deployments.llm.prompt import Prompt
from deployments.llm.remote import (
    KEEP_ALIVE_S,
    TRY_TIMEOUT_S,
    Emit,
    End,
    Piece,
    RemoteSettings,
    broken,
    has_any,
    read_key,
    refused,
    remote_reply,
)
from deployments.types import LlmCapabilities, Message, ReplyDelta

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

logger = logging.getLogger("ray.serve.avatar")

_ENGINE = "openai_compatible"
_KEY_VARIABLE = "OPENAI_API_KEY"
_NO_KEY = (
    "openai_compatible has no API key for OpenAI: set OPENAI_API_KEY, or name a file in its option "
    "api_key_file; for a server of your own set base_url"
)
_ENDS: dict[str, End] = {"length": "limit", "content_filter": "blocked"}
_KEY_IS_THE_REASON = (401, 403)


class OpenAiCompatibleLlm:
    """Streams from the server. A key is tried when constructed, a server need not be up yet."""

    class Settings(RemoteSettings):
        """``base_url``: of the server, with its ``/v1``; ``None`` or empty is OpenAI.

        The key in ``OPENAI_API_KEY`` is for OpenAI, or for the server in ``OPENAI_BASE_URL``; any
        other is sent that of ``api_key_file`` or none.
        """

        base_url: str | None = None
        reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None

        @field_validator("base_url")
        @classmethod
        def _is_somewhere(cls, url: str | None) -> str | None:
            return url or None

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.capabilities = LlmCapabilities(_ENGINE, settings.languages)
        key = self._key()
        self._client = _client(settings.base_url, key)
        self._try_key(key)

    @staticmethod
    def lacks(settings: Settings) -> str:
        """A key, where it needs one. Whether it is right is not looked at here."""
        is_given = bool(settings.api_key_file or settings.base_url) or has_any((_KEY_VARIABLE,))
        return "" if is_given else _NO_KEY

    def reply(self, messages: Sequence[Message], language: str) -> AsyncGenerator[ReplyDelta, None]:
        """See ``LlmEngine.reply``."""
        return remote_reply(self._ask, messages, language, self.capabilities, self._settings)

    async def aclose(self) -> None:
        """Let its connections go."""
        await self._client.close()

    async def _ask(self, prompt: Prompt, emit: Emit) -> None:
        with self._failures():
            stream = await self._client.chat.completions.create(
                model=self._settings.model,
                messages=_messages(prompt),
                stream=True,
                stream_options={"include_usage": True},
                extra_body=self._more(),
            )
            async for chunk in stream:
                await emit(_piece(chunk))

    def _more(self) -> dict[str, Any]:
        """What is only sent where it is set, since servers refuse what they do not know."""
        settings = self._settings
        # OpenAI's own models that think refuse the old name; Ollama knows no other.
        limit = "max_tokens" if settings.base_url else "max_completion_tokens"
        wished = {
            "temperature": settings.temperature,
            "reasoning_effort": settings.reasoning_effort,
        }
        given = {name: value for name, value in wished.items() if value is not None}
        return {limit: settings.max_output_tokens, **given}

    def _key(self) -> str:
        """Raises:
        EngineLoadError: OpenAI needs one, and there is none.
        """
        settings = self._settings
        is_meant = settings.base_url in (None, os.environ.get("OPENAI_BASE_URL"))
        variables = (_KEY_VARIABLE,) if is_meant else ()
        key = read_key(_ENGINE, settings.api_key_file, variables)
        if not key and settings.base_url is None:
            raise EngineLoadError(_NO_KEY, stage="llm")
        return key or "none"  # the client insists on one

    def _try_key(self, key: str) -> None:
        """Ask what models there are: a wrong key shows now, and not at the first question."""
        from openai import APIStatusError, OpenAI

        url = self._settings.base_url
        try:
            with OpenAI(base_url=url, api_key=key, timeout=TRY_TIMEOUT_S, max_retries=0) as client:
                client.models.list()
        except APIStatusError as error:  # of others than these nothing follows: few have a list
            if error.status_code in _KEY_IS_THE_REASON:
                failure = refused(_ENGINE, self._settings.model, error.status_code)
                raise EngineLoadError(failure.message, stage="llm") from None
        except Exception as error:
            logger.warning("not tried yet: %s", broken(_ENGINE, error).message)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        from openai import APIStatusError

        try:
            yield
        except APIStatusError as error:  # whose text, and what led to it, stays here
            raise refused(_ENGINE, self._settings.model, error.status_code) from None
        except Exception as error:
            raise broken(_ENGINE, error) from None


def _client(base_url: str | None, key: str) -> "AsyncOpenAI":
    import httpx2
    from openai import AsyncOpenAI

    limits = httpx2.Limits(keepalive_expiry=KEEP_ALIVE_S)
    return AsyncOpenAI(
        base_url=base_url,
        api_key=key,
        timeout=None,
        max_retries=0,
        http_client=httpx2.AsyncClient(limits=limits, timeout=None),
    )


def _messages(prompt: Prompt) -> "list[ChatCompletionMessageParam]":
    said: list[ChatCompletionMessageParam] = [{"role": "system", "content": prompt.instruction}]
    for message in prompt.messages:
        if message.role == "user":
            said.append({"role": "user", "content": message.content})
        else:
            said.append({"role": "assistant", "content": message.content})
    return said


def _piece(chunk: "ChatCompletionChunk") -> Piece:
    """What a part of the stream tells; the one with the counts has no choices."""
    text, usage = "", chunk.usage
    end: End = ""
    for choice in chunk.choices[:1]:
        text = choice.delta.content or ""
        end = _ENDS.get(choice.finish_reason, "done") if choice.finish_reason else ""
    if usage is None:
        return Piece(text, end=end)
    return Piece(text, usage.prompt_tokens, usage.completion_tokens, end)
