"""Speech recognition: what an ASR model's author writes."""

from typing import Protocol

from deployments.types import AsrCapabilities, AudioChunk, Transcript


class AsrEngine(Protocol):
    """Loads and warms up in its constructor; called from one thread at a time; may block."""

    capabilities: AsrCapabilities

    def transcribe(self, audio: AudioChunk, language: str | None) -> Transcript:
        """The final transcript of one utterance; empty text where nobody speaks.

        Args:
            audio: mono, any rate; the engine resamples.
            language: BCP 47 primary tag, one of ``capabilities.languages``; ``None`` asks the
                engine to detect it, or to assume its only one.

        Raises:
            EngineInputError: a language that the engine does not know.
            EngineRuntimeError: the model failed.
        """
        ...
