"""Speech synthesis: what a TTS model's author writes."""

from collections.abc import Iterator
from typing import Protocol

from deployments.types import (
    AudioChunk,
    CustomVoice,
    ReplySentence,
    SpeechChunk,
    TtsCapabilities,
)


class TtsEngine(Protocol):
    """Loads and warms up in its constructor; stepped from one thread at a time."""

    capabilities: TtsCapabilities

    def speak(
        self, sentence: ReplySentence, language: str, voice: str | CustomVoice | None
    ) -> Iterator[SpeechChunk]:
        """The sentence's speech in blocks of 100-250 ms; the last one says so.

        Each sentence begins with at least 50 ms of silence, so that a lossy encoder's first
        packet costs no sound, and ends with the pause that belongs after it. The same call gives
        the same samples. Closing the iterator stops the synthesis within one block. Times count
        from the sentence's first sample; phonemes come no later than their audio.

        Args:
            sentence: what to say; not empty.
            language: one of ``capabilities.languages``.
            voice: id of a voice of ``capabilities.voices`` that speaks the language, or a cloned
                one; ``None`` takes the language's default.

        Raises:
            EngineInputError: empty text, unknown language or voice, a state of another format.
            EngineRuntimeError: the synthesiser failed.
            EngineLoadError: it cannot work here any more, and the replica is to be replaced.
        """
        ...


class CloningTtsEngine(TtsEngine, Protocol):
    """An engine whose capabilities say ``clones_voices`` and name a ``voice_format``."""

    def clone(self, sample: AudioChunk) -> bytes:
        """What it takes to speak in the sample's voice: the ``state`` of a ``CustomVoice``.

        The same sample gives the same bytes, and whoever has the same ``voice_format`` can speak
        with them. Called on the engine's thread, between two steps of somebody's speech, which wait
        for it.

        Args:
            sample: 6 to 30 s of one person's speech, mono, at any rate.

        Raises:
            EngineInputError: there is no voice in it.
            EngineRuntimeError: the model failed.
            EngineLoadError: it cannot work here any more, and the replica is to be replaced.
        """
        ...
