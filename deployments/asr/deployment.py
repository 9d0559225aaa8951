"""The ASR stage on a replica: one engine on one thread."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from deployments.asr.batching import Batches
from deployments.caller import NOBODY, Call, Caller
from deployments.config import AsrConfig
from deployments.errors import EngineRuntimeError
from deployments.registry import load_engine
from deployments.streams import EngineThread, from_engine, timed
from deployments.types import AsrCapabilities, AudioChunk, Effort, Transcript


class Asr:
    """Loaded and warm when constructed."""

    def __init__(self, config: AsrConfig) -> None:
        self._engine: Any = load_engine("asr", config.engine, config.options)
        self._thread = EngineThread("asr")
        is_batching = self._engine.capabilities.batch > 1
        self._batches = Batches[Any](self._engine, self._thread.run) if is_batching else None
        self._hang_timeout_s = config.hang_timeout_s

    async def check_health(self) -> None:
        """Asked by Serve, which replaces the replica when this raises."""
        self._thread.check(self._hang_timeout_s)

    async def describe(self) -> AsrCapabilities:
        """What the engine can do."""
        capabilities: AsrCapabilities = self._engine.capabilities
        return capabilities

    async def transcribe(
        self, audio: AudioChunk, language: str | None, caller: Caller = NOBODY
    ) -> Transcript:
        """The final transcript of one utterance; see ``AsrEngine.transcribe``.

        A caller who leaves ends the work after the engine's step in progress.
        """
        with Call("asr", caller) as call:
            transcript = await self._final(audio, language)
            call.made(transcript.effort)
            return transcript

    async def _final(self, audio: AudioChunk, language: str | None) -> Transcript:
        busy_s = 0.0
        async with aclosing(self._steps(audio, language)) as transcripts:
            async for transcript, step_s in transcripts:
                busy_s += step_s
                if transcript.is_final:
                    effort = Effort(self._thread.replica, busy_s, audio.duration_s)
                    return replace(transcript, effort=effort)
        raise EngineRuntimeError("the engine gave no final transcript", stage="asr")

    def _steps(
        self, audio: AudioChunk, language: str | None
    ) -> AsyncGenerator[tuple[Transcript, float], None]:
        """Transcripts, each with its seconds of the engine's time."""
        if self._batches is not None:
            return self._batches.transcribe(audio, language)
        return from_engine(timed(self._engine.transcribe(audio, language)), self._thread)
