"""The language model: what an LLM client's author writes."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Literal, Protocol

from deployments.errors import EngineInputError, StageError
from deployments.types import LlmCapabilities, Message, ReplyDelta


class LlmEngine(Protocol):
    """Ready when its constructor returns.

    Streams of several turns run at once on one event loop, and may share it with Serve itself: an
    engine that works (and not only waits) does so on a thread.
    """

    capabilities: LlmCapabilities

    def reply(self, messages: Sequence[Message], language: str) -> AsyncGenerator[ReplyDelta, None]:
        """The reply in small deltas; their joined texts are the whole reply.

        Closing the stream, or cancelling the task that reads it, ends the request.

        Args:
            messages: the dialogue, oldest first; the last one is the user's.
            language: BCP 47 primary tag to answer in.

        Raises:
            EngineInputError: no message, or the last is not the user's; an unknown language.
            EngineRuntimeError: the model failed.
        """
        ...


Outcome = Literal["answered", "late", "failed", "blocked", "cut", "kept_out"]
"""What came of an engine in a chain: it began to answer; it did not in time, or failed, or must not
say it; it was lost after it had begun; it was not asked because it kept failing."""

OnAttempt = Callable[[str, Outcome], None]
"""Told the engine's name and what came of it."""


class ChainedLlm(LlmEngine, Protocol):
    """An engine whose capabilities name a ``chain``."""

    def watch(self, on_attempt: OnAttempt) -> None:
        """Tell ``on_attempt`` what comes of each of its engines, from now on."""
        ...

    def outages(self) -> Mapping[str, str]:
        """Those of its engines that are out, and why, in words for the operator."""
        ...


def words_of(error: StageError) -> str:
    """What the error says, for the log and the operator. What a library said is left out, since it
    may quote what somebody said or a key."""
    if (cause := error.__cause__) is not None:
        return f"the engine failed: {type(cause).__name__}"
    return error.message


def check_dialogue(
    messages: Sequence[Message], language: str, capabilities: LlmCapabilities
) -> None:
    """Check what ``LlmEngine.reply`` is called with.

    Raises:
        EngineInputError: as ``LlmEngine.reply`` says.
    """
    if not messages or messages[-1].role != "user":
        raise EngineInputError("the dialogue must end with the user's message", stage="llm")
    if language not in capabilities.languages:
        text = f"{capabilities.engine} does not know the language {language!r}"
        raise EngineInputError(text, stage="llm")
