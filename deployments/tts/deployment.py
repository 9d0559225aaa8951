"""The TTS stage on a replica: one synthesiser on one thread."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from copy import copy
from dataclasses import replace
from typing import cast

from deployments.caller import NOBODY, Call, Caller
from deployments.config import TtsConfig
from deployments.errors import EngineInputError, EngineLoadError
from deployments.registry import load_engine
from deployments.streams import EngineThread, from_engine, timed
from deployments.tts.engine import CloningTtsEngine, TtsEngine
from deployments.types import (
    AudioChunk,
    CustomVoice,
    Effort,
    ReplySentence,
    SpeechChunk,
    TtsCapabilities,
)


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
        voice: str | CustomVoice | None,
        caller: Caller = NOBODY,
    ) -> AsyncGenerator[SpeechChunk, None]:
        """The sentence's speech; see ``TtsEngine.speak``."""
        speech = from_engine(timed(self._engine.speak(sentence, language, voice)), self._thread)
        with Call("tts", caller) as call, self._watched():
            async with aclosing(speech) as chunks:
                async for chunk, busy_s in chunks:
                    effort = Effort(self._thread.replica, busy_s, chunk.audio.duration_s)
                    call.made(effort)
                    yield replace(chunk, effort=effort)

    async def clone(self, sample: AudioChunk, caller: Caller = NOBODY) -> bytes:
        """The state of the sample's voice; see ``CloningTtsEngine.clone``.

        Raises:
            EngineInputError: this engine cannot clone, or there is no voice in the sample.
        """
        if not self._engine.capabilities.clones_voices:
            raise EngineInputError("this engine cannot clone a voice", stage="tts")
        engine = cast(CloningTtsEngine, self._engine)
        with Call("tts", caller) as call, self._watched():
            state = await self._thread.run(engine.clone, sample)
            call.made()
            return state

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Have the replica replaced if the engine says that it cannot work here any more."""
        try:
            yield
        except EngineLoadError as error:
            self._lost = error
            raise
