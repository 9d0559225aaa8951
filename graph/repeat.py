"""Which calls are repeated after a loss, and how: decided here and nowhere else.

ASR, TTS and avatar calls are repeatable, because seed and state travel in the call: what was
already delivered is dropped from the repetition. An LLM call is repeated only before its first
delta. Each output has a deadline, since a replica that hangs raises nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

from deployments.config import StageConfig
from deployments.errors import StageError, StageTimeoutError
from deployments.types import (
    AsrCapabilities,
    AudioChunk,
    AvatarCapabilities,
    AvatarCard,
    Frame,
    LlmCapabilities,
    Message,
    ReplySentence,
    SpeechChunk,
    Stretch,
    Transcript,
    TtsCapabilities,
    VideoPackets,
)
from graph.stages import AsrStage, AvatarStage, LlmStage, Stages, TtsStage

T = TypeVar("T")


def with_repeats(
    stages: Stages, asr: StageConfig, llm: StageConfig, tts: StageConfig, avatar: StageConfig
) -> Stages:
    """The same stages, with deadlines and repetitions as their settings say."""
    return Stages(
        asr=RepeatingAsr(stages.asr, asr),
        llm=RepeatingLlm(stages.llm, llm),
        tts=RepeatingTts(stages.tts, tts),
        avatar=RepeatingAvatar(stages.avatar, avatar),
    )


class RepeatingAsr:
    """An ASR stage whose calls are repeated as a whole."""

    def __init__(self, stage: AsrStage, config: StageConfig) -> None:
        self._stage, self._config = stage, config

    async def describe(self) -> AsrCapabilities:
        return await _answer("asr", self._config, self._stage.describe)

    async def transcribe(self, audio: AudioChunk, language: str | None) -> Transcript:
        return await _answer("asr", self._config, lambda: self._stage.transcribe(audio, language))


class RepeatingLlm:
    """An LLM stage whose calls are repeated only before the first delta."""

    def __init__(self, stage: LlmStage, config: StageConfig) -> None:
        self._stage, self._config = stage, config

    async def describe(self) -> LlmCapabilities:
        return await _answer("llm", self._config, self._stage.describe)

    async def reply(self, messages: Sequence[Message], language: str) -> AsyncGenerator[str, None]:
        def attempt(_: int) -> AsyncGenerator[str, None]:
            return self._stage.reply(messages, language)

        stream = _repeated("llm", self._config, attempt, len, resumes=False)
        async with aclosing(stream) as deltas:
            async for delta in deltas:
                yield delta


class RepeatingTts:
    """A TTS stage whose repetitions go on after the last delivered sample."""

    def __init__(self, stage: TtsStage, config: StageConfig) -> None:
        self._stage, self._config = stage, config

    async def describe(self) -> TtsCapabilities:
        return await _answer("tts", self._config, self._stage.describe)

    async def speak(
        self, sentence: ReplySentence, language: str, voice: str | None
    ) -> AsyncGenerator[SpeechChunk, None]:
        def attempt(n_samples: int) -> AsyncGenerator[SpeechChunk, None]:
            return _without(self._stage.speak(sentence, language, voice), n_samples)

        def n_samples_of(chunk: SpeechChunk) -> int:
            return len(chunk.audio.samples)

        async with aclosing(_repeated("tts", self._config, attempt, n_samples_of)) as chunks:
            async for chunk in chunks:
                yield chunk


class RepeatingAvatar:
    """An avatar stage whose repetitions go on, from a keyframe, after the last delivered frame."""

    def __init__(self, stage: AvatarStage, config: StageConfig) -> None:
        self._stage, self._config = stage, config

    async def describe(self) -> AvatarCapabilities:
        return await _answer("avatar", self._config, self._stage.describe)

    async def portraits(self) -> tuple[AvatarCard, ...]:
        return await _answer("avatar", self._config, self._stage.portraits)

    async def still(self, avatar_id: str) -> Frame:
        return await _answer("avatar", self._config, lambda: self._stage.still(avatar_id))

    async def render(self, stretch: Stretch) -> AsyncGenerator[VideoPackets, None]:
        def attempt(n_frames: int) -> AsyncGenerator[VideoPackets, None]:
            n_sent = stretch.n_frames_sent + n_frames
            return self._stage.render(replace(stretch, n_frames_sent=n_sent))

        def n_frames_of(packets: VideoPackets) -> int:
            return packets.n_frames

        async with aclosing(_repeated("avatar", self._config, attempt, n_frames_of)) as packets:
            async for part in packets:
                yield part


async def _answer(stage: str, config: StageConfig, call: Callable[[], Awaitable[T]]) -> T:
    for attempts_left in reversed(range(config.n_attempts)):
        try:
            return await _in_time(stage, config.first_output_timeout_s, call())
        except StageError as error:
            if not (error.retryable and attempts_left):
                raise
    raise AssertionError("n_attempts is at least 1")


async def _repeated(
    stage: str,
    config: StageConfig,
    attempt: Callable[[int], AsyncGenerator[T, None]],
    size_of: Callable[[T], int],
    *,
    resumes: bool = True,
) -> AsyncGenerator[T, None]:
    """``attempt(n)`` continues after n delivered units, where the stage ``resumes`` at all."""
    delivered = 0
    for attempts_left in reversed(range(config.n_attempts)):
        try:
            async with aclosing(_timed(stage, config, attempt(delivered))) as items:
                async for item in items:
                    delivered += size_of(item)
                    yield item
            return
        except StageError as error:
            is_hopeless = delivered > 0 and not resumes
            if is_hopeless or not (error.retryable and attempts_left):
                raise


async def _timed(
    stage: str, config: StageConfig, stream: AsyncGenerator[T, None]
) -> AsyncGenerator[T, None]:
    limit_s = config.first_output_timeout_s
    async with aclosing(stream):
        while True:
            try:
                item = await _in_time(stage, limit_s, anext(stream))
            except StopAsyncIteration:
                return
            yield item
            limit_s = config.stall_timeout_s


async def _in_time(stage: str, limit_s: float, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await work
    except TimeoutError:
        text = f"the {stage} stage gave no output within {limit_s:g} s"
        raise StageTimeoutError(text, stage=stage) from None


async def _without(
    chunks: AsyncGenerator[SpeechChunk, None], n_samples: int
) -> AsyncGenerator[SpeechChunk, None]:
    """The stream less its first ``n_samples``; the same call gives the same samples."""
    async with aclosing(chunks):
        async for chunk in chunks:
            n_dropped = min(n_samples, len(chunk.audio.samples))
            n_samples -= n_dropped
            if n_dropped == 0:
                yield chunk
            elif n_dropped < len(chunk.audio.samples):
                yield _tail_of(chunk, n_dropped)


def _tail_of(chunk: SpeechChunk, n_samples: int) -> SpeechChunk:
    start_s = chunk.audio.start_s + n_samples / chunk.audio.sample_rate_hz
    return replace(
        chunk,
        audio=replace(chunk.audio, samples=chunk.audio.samples[n_samples:], start_s=start_s),
        phonemes=tuple(p for p in chunk.phonemes if p.start_s >= start_s),
    )
