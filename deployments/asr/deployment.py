"""The ASR stage on a replica: one engine on one thread."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from deployments.asr.engine import AsrEngine
from deployments.config import AsrConfig
from deployments.registry import load_engine
from deployments.streams import engine_errors
from deployments.types import AsrCapabilities, AudioChunk, Transcript


class Asr:
    """Loaded and warm when constructed."""

    def __init__(self, config: AsrConfig) -> None:
        self._engine: AsrEngine = load_engine("asr", config.engine, config.options)
        self._thread = ThreadPoolExecutor(1, "asr")

    async def describe(self) -> AsrCapabilities:
        """What the engine can do."""
        return self._engine.capabilities

    async def transcribe(self, audio: AudioChunk, language: str | None) -> Transcript:
        """The final transcript of one utterance; see ``AsrEngine.transcribe``."""
        loop = asyncio.get_running_loop()
        with engine_errors("asr"):
            return await loop.run_in_executor(
                self._thread, self._engine.transcribe, audio, language
            )
