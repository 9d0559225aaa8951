"""The language model: what an LLM client's author writes."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from deployments.errors import EngineInputError
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
