"""The language model: what an LLM client's author writes."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from deployments.types import LlmCapabilities, Message


class LlmEngine(Protocol):
    """Ready when its constructor returns; iterators of several turns may be open at once, stepped
    from different threads."""

    capabilities: LlmCapabilities

    def reply(self, messages: Sequence[Message], language: str) -> Iterator[str]:
        """The reply's text in small deltas; joined, they are the whole reply.

        Closing the iterator ends the request.

        Args:
            messages: the dialogue, oldest first; the last one is the user's.
            language: BCP 47 primary tag to answer in.

        Raises:
            EngineInputError: no message, or the last is not the user's.
            EngineRuntimeError: the model failed.
        """
        ...
