"""Stages whose outputs' efforts are noted, from which admission learns what speech costs."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from deployments.types import (
    AsrCapabilities,
    AudioChunk,
    AvatarCapabilities,
    AvatarCard,
    Effort,
    Frame,
    ReplySentence,
    SpeechChunk,
    Stretch,
    Transcript,
    TtsCapabilities,
    VideoPackets,
)
from graph.stages import AsrStage, AvatarStage, Stages, TtsStage

Note = Callable[[str, Effort], None]
"""Told the stage's name and what one output took."""


def measured(stages: Stages, note: Note) -> Stages:
    """The same stages. A language model has no effort of its own: it mostly runs elsewhere."""
    return replace(
        stages,
        asr=_MeasuredAsr(stages.asr, note),
        tts=_MeasuredTts(stages.tts, note),
        avatar=_MeasuredAvatar(stages.avatar, note),
    )


class _MeasuredAsr:
    def __init__(self, stage: AsrStage, note: Note) -> None:
        self._stage, self._note = stage, note

    async def describe(self) -> AsrCapabilities:
        return await self._stage.describe()

    async def transcribe(self, audio: AudioChunk, language: str | None) -> Transcript:
        heard = await self._stage.transcribe(audio, language)
        if heard.effort is not None:
            self._note("asr", heard.effort)
        return heard


class _MeasuredTts:
    def __init__(self, stage: TtsStage, note: Note) -> None:
        self._stage, self._note = stage, note

    async def describe(self) -> TtsCapabilities:
        return await self._stage.describe()

    async def speak(
        self, sentence: ReplySentence, language: str, voice: str | None
    ) -> AsyncGenerator[SpeechChunk, None]:
        async with aclosing(self._stage.speak(sentence, language, voice)) as chunks:
            async for chunk in chunks:
                if chunk.effort is not None:
                    self._note("tts", chunk.effort)
                yield chunk


class _MeasuredAvatar:
    def __init__(self, stage: AvatarStage, note: Note) -> None:
        self._stage, self._note = stage, note

    async def describe(self) -> AvatarCapabilities:
        return await self._stage.describe()

    async def portraits(self) -> tuple[AvatarCard, ...]:
        return await self._stage.portraits()

    async def still(self, avatar_id: str) -> Frame:
        return await self._stage.still(avatar_id)

    async def render(self, stretch: Stretch) -> AsyncGenerator[VideoPackets, None]:
        async with aclosing(self._stage.render(stretch)) as packets:
            async for part in packets:
                if part.effort is not None:
                    self._note("avatar", part.effort)
                yield part
