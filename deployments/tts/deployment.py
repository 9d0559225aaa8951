"""The TTS stage on a replica: one synthesiser on one thread."""

from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

from deployments.config import TtsConfig
from deployments.registry import load_engine
from deployments.streams import from_engine
from deployments.tts.engine import TtsEngine
from deployments.types import ReplySentence, SpeechChunk, TtsCapabilities


class Tts:
    """Loaded and warm when constructed."""

    def __init__(self, config: TtsConfig) -> None:
        self._engine: TtsEngine = load_engine("tts", config.engine, config.options)
        self._thread = ThreadPoolExecutor(1, "tts")

    async def describe(self) -> TtsCapabilities:
        """What the engine can do."""
        return self._engine.capabilities

    async def speak(
        self, sentence: ReplySentence, language: str, voice: str | None
    ) -> AsyncGenerator[SpeechChunk, None]:
        """The sentence's speech; see ``TtsEngine.speak``."""
        speech = self._engine.speak(sentence, language, voice)
        async with aclosing(from_engine(speech, self._thread, "tts")) as chunks:
            async for chunk in chunks:
                yield chunk
