"""Speech synthesis: what a TTS model's author writes."""

from collections.abc import Iterator
from typing import Protocol

from deployments.types import ReplySentence, SpeechChunk, TtsCapabilities


class TtsEngine(Protocol):
    """Loads and warms up in its constructor; stepped from one thread at a time."""

    capabilities: TtsCapabilities

    def speak(
        self, sentence: ReplySentence, language: str, voice: str | None
    ) -> Iterator[SpeechChunk]:
        """The sentence's speech in blocks of 100-250 ms; the last one says so.

        Each sentence begins with at least 50 ms of silence, so that a lossy encoder's first
        packet costs no sound, and ends with the pause that belongs after it. The same call gives
        the same samples. Closing the iterator stops the synthesis within one block. Times count
        from the sentence's first sample; phonemes come no later than their audio.

        Args:
            sentence: what to say; not empty.
            language: one of ``capabilities.languages``.
            voice: id of a voice of ``capabilities.voices`` that speaks the language; ``None``
                takes the language's default.

        Raises:
            EngineInputError: empty text, unknown language or voice.
            EngineRuntimeError: the synthesiser failed.
            EngineLoadError: it cannot work here any more, and the replica is to be replaced.
        """
        ...
