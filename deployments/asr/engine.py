"""Speech recognition: what an ASR model's author writes."""

from collections.abc import Iterator
from typing import Protocol

from deployments.errors import EngineRuntimeError
from deployments.types import AsrCapabilities, AudioChunk, Transcript


class AsrEngine(Protocol):
    """Loads and warms up in its constructor; called from one thread at a time; may block."""

    capabilities: AsrCapabilities

    def transcribe(self, audio: AudioChunk, language: str | None) -> Iterator[Transcript]:
        """Transcripts of one utterance: partial ones while it works, and last a final one.

        The text is empty where nobody speaks. A long utterance takes several steps; closing the
        iterator ends the work after the step in progress.

        Args:
            audio: mono, any rate; the engine resamples.
            language: BCP 47 primary tag, one of ``capabilities.languages``; ``None`` asks the
                engine to detect it, or to assume its only one.

        Raises:
            EngineInputError: a language that the engine does not know.
            EngineRuntimeError: the model failed.
        """
        ...


def final(transcripts: Iterator[Transcript]) -> Transcript:
    """The final one of an engine's transcripts.

    Raises:
        EngineRuntimeError: the engine gave none.
    """
    for transcript in transcripts:
        if transcript.is_final:
            return transcript
    raise EngineRuntimeError("the engine gave no final transcript", stage="asr")
