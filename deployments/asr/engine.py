"""Speech recognition: what an ASR model's author writes."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

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


HearingT = TypeVar("HearingT")
"""What an engine knows of an utterance in progress: its own affair."""


class BatchingAsrEngine(AsrEngine, Protocol[HearingT]):
    """Hears several utterances in one step; ``capabilities.batch`` is more than 1."""

    def open(self, audio: AudioChunk, language: str | None) -> HearingT:
        """An utterance of which nothing is heard yet. Takes no time: any thread may call it.

        Args and errors as of ``transcribe``.
        """
        ...

    def hear(self, hearings: Sequence[HearingT]) -> list[Transcript]:
        """The next step of each: what is heard of it so far, or its final transcript.

        Each comes out as it would alone. One that is final is not given again, and one whose
        caller has left is simply not given any more.

        Args:
            hearings: 1 to ``capabilities.batch``, each as far on as it happens to be.

        Raises:
            EngineRuntimeError: the model failed; then no hearing has changed.
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
