"""Gemini, by an API key or on Vertex AI by application default credentials.

Client: google-genai (Apache-2.0). Models are Google's, used under its terms of service; nothing is
kept here. Source of the names and of how the client behaves: measured with google-genai 3.4 against
a loopback server, and Google's list of models, November 2026.
"""

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from deployments.errors import EngineLoadError, EngineRuntimeError
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
    import httpx2
    from google.genai import Client, types
    from google.genai.errors import APIError

logger = logging.getLogger("ray.serve.avatar")

_KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_NO_KEY = (
    "gemini has no API key: set GEMINI_API_KEY, name a file in its option api_key_file, or use "
    "Vertex AI (option vertex_project)"
)
_NO_CREDENTIALS = (
    "gemini found no application default credentials for Vertex AI: run `gcloud auth "
    "application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
)
_BLOCKED = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"}


class GeminiLlm:
    """Streams from Gemini. The key is read and tried when constructed."""

    class Settings(RemoteSettings):
        """With ``vertex_project`` the same models are asked through Vertex AI. ``base_url``: of a
        proxy, instead of Google's. ``thinking_level``: ``None`` for models that know none."""

        model: str = Field(default="gemini-3.8-flash", min_length=1)
        vertex_project: str | None = None
        vertex_location: str = "global"
        base_url: str | None = None
        thinking_level: Literal["minimal", "low", "medium", "high"] | None = "low"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.capabilities = LlmCapabilities("gemini", settings.languages)
        self._http = _http()
        self._client = _client(settings, self._http)
        if settings.vertex_project is None:
            self._try_key()

    @staticmethod
    def lacks(settings: Settings) -> str:
        """A key. Whether it is right, and credentials of Vertex AI, are not looked at here."""
        has_key = bool(settings.api_key_file or settings.vertex_project) or has_any(_KEY_VARIABLES)
        return "" if has_key else _NO_KEY

    def reply(self, messages: Sequence[Message], language: str) -> AsyncGenerator[ReplyDelta, None]:
        """See ``LlmEngine.reply``."""
        return remote_reply(self._ask, messages, language, self.capabilities, self._settings)

    async def aclose(self) -> None:
        """Let its connections go."""
        await self._client.aio.aclose()
        await self._http.aclose()

    async def _ask(self, prompt: Prompt, emit: Emit) -> None:
        with self._failures():
            stream = await self._client.aio.models.generate_content_stream(
                model=self._settings.model,
                contents=_contents(prompt),
                config=_config(prompt, self._settings),
            )
            async for chunk in stream:
                await emit(_piece(chunk))

    def _try_key(self) -> None:
        """Ask for the model's card: a wrong key or a model that is gone shows now, and not at the
        first question. A server that cannot be reached may be there by then."""
        from google.genai import types

        options = types.HttpOptions(timeout=int(TRY_TIMEOUT_S * 1000))
        config = types.GetModelConfig(http_options=options)
        try:
            with self._failures():
                self._client.models.get(model=self._settings.model, config=config)
        except EngineRuntimeError as error:
            if not error.retryable:
                raise EngineLoadError(error.message, stage="llm") from None
            logger.warning("gemini could not be tried: %s", error.message)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        from google.genai import errors

        engine, model = "gemini", self._settings.model
        try:
            yield
        except errors.APIError as error:  # whose text, and what led to it, stays here
            raise refused(engine, model, error.code, is_key=_is_about_key(error)) from None
        except Exception as error:
            raise broken(engine, error) from None


def _http() -> "httpx2.AsyncClient":
    """A client of our own: where aiohttp is installed, as Ray does, google-genai would take that,
    and its limit of time is one of the whole reply."""
    import httpx2

    return httpx2.AsyncClient(limits=httpx2.Limits(keepalive_expiry=KEEP_ALIVE_S), timeout=None)


def _client(settings: GeminiLlm.Settings, http: "httpx2.AsyncClient") -> "Client":
    """Raises:
    EngineLoadError: neither a key nor credentials.
    """
    from google import genai
    from google.genai import types

    # Without a timeout, since the server is told of it and takes it for one of the whole reply.
    options = types.HttpOptions(base_url=settings.base_url, httpx_async_client=http)
    if settings.vertex_project is not None:
        return genai.Client(
            vertexai=True,
            project=settings.vertex_project,
            location=settings.vertex_location,
            credentials=_credentials(),
            http_options=options,
        )
    key = read_key("gemini", settings.api_key_file, _KEY_VARIABLES)
    if not key:
        raise EngineLoadError(_NO_KEY, stage="llm")
    return genai.Client(vertexai=False, api_key=key, http_options=options)


def _credentials() -> Any:
    from google import auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        credentials, _ = auth.default(scopes=[_SCOPE])
    except DefaultCredentialsError:
        raise EngineLoadError(_NO_CREDENTIALS, stage="llm") from None
    return credentials


def _contents(prompt: Prompt) -> "list[types.ContentUnionDict]":
    from google.genai import types

    roles = {"user": "user", "assistant": "model"}
    return [
        types.Content(role=roles[m.role], parts=[types.Part(text=m.content)])
        for m in prompt.messages
    ]


def _config(prompt: Prompt, settings: GeminiLlm.Settings) -> "types.GenerateContentConfig":
    from google.genai import types

    level = settings.thinking_level
    return types.GenerateContentConfig(
        system_instruction=prompt.instruction,
        max_output_tokens=settings.max_output_tokens,
        temperature=settings.temperature,
        thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel(level.upper()))
        if level
        else None,
    )


def _piece(chunk: "types.GenerateContentResponse") -> Piece:
    """What a part of the stream tells; thoughts are no reply, but they are paid for."""
    candidate = chunk.candidates[0] if chunk.candidates else None
    content = candidate.content if candidate else None
    parts = (content.parts if content else None) or []
    text = "".join(part.text or "" for part in parts if not part.thought)
    end = _end(chunk, candidate)
    if (usage := chunk.usage_metadata) is None:
        return Piece(text, end=end)
    n_output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return Piece(text, usage.prompt_token_count, n_output, end)


def _end(chunk: "types.GenerateContentResponse", candidate: "types.Candidate | None") -> End:
    feedback = chunk.prompt_feedback
    if feedback is not None and feedback.block_reason is not None:
        return "blocked"
    if candidate is None or candidate.finish_reason is None:
        return ""
    reason = candidate.finish_reason.value
    return "blocked" if reason in _BLOCKED else "limit" if reason == "MAX_TOKENS" else "done"


def _is_about_key(error: "APIError") -> bool:
    """A wrong key is a 400 as any bad request is; only the details tell."""
    told = error.details if isinstance(error.details, dict) else {}
    failure = told.get("error", told)
    details = failure.get("details") if isinstance(failure, dict) else None
    return any(
        isinstance(detail, dict) and detail.get("reason") == "API_KEY_INVALID"
        for detail in details or ()
    )
