"""The TTS stage on a replica: one synthesiser on one thread."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from copy import copy
from dataclasses import replace

from deployments.caller import NOBODY, Call, Caller
from deployments.config import TtsConfig
from deployments.errors import EngineLoadError
from deployments.registry import load_engine
from deployments.streams import EngineThread, from_engine, timed
from deployments.tts.engine import TtsEngine
from deployments.types import Effort, ReplySentence, SpeechChunk, TtsCapabilities


class Tts:
    """Loaded and warm when constructed."""

    def __init__(self, config: TtsConfig) -> None:
        self._engine: TtsEngine = load_engine("tts", config.engine, config.options)
        self._thread = EngineThread("tts")
        self._hang_timeout_s = config.hang_timeout_s
        self._lost: EngineLoadError | None = None  # why the engine cannot work here any more

    async def check_health(self) -> None:
        """Asked by Serve, which replaces the replica when this raises."""
        self._thread.check(self._hang_timeout_s)
        if self._lost is not None:
            raise copy(self._lost)  # asked again, and raising writes the traceback into it

    async def describe(self) -> TtsCapabilities:
        """What the engine can do."""
        return self._engine.capabilities

    async def speak(
        self,
        sentence: ReplySentence,
        language: str,
        voice: str | None,
        caller: Caller = NOBODY,
    ) -> AsyncGenerator[SpeechChunk, None]:
        """The sentence's speech; see ``TtsEngine.speak``."""
        speech = from_engine(timed(self._engine.speak(sentence, language, voice)), self._thread)
        with Call("tts", caller) as call:
            async with aclosing(speech) as chunks:
                try:
                    async for chunk, busy_s in chunks:
                        effort = Effort(self._thread.replica, busy_s, chunk.audio.duration_s)
                        call.made(effort)
                        yield replace(chunk, effort=effort)
                except EngineLoadError as error:
                    self._lost = error
                    raise
