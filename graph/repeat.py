"""Which calls are repeated after a loss, and how: decided here and nowhere else.

ASR, TTS and avatar calls are repeatable, because seed and state travel in the call: what was
already delivered is dropped from the repetition. An LLM call is repeated only until its first
sentence is whole. Each output has a deadline, since a replica that hangs raises nothing; where the
profile says so, a second attempt begins long before it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from deployments.config import StageConfig
from deployments.errors import StageError, StageTimeoutError, UnknownPortraitError
from deployments.types import (
    AsrCapabilities,
    AudioChunk,
    AvatarCapabilities,
    AvatarCard,
    CustomVoice,
    Frame,
    LlmCapabilities,
    LlmStatus,
    Message,
    PortraitSource,
    ReplyDelta,
    ReplySentence,
    SpeechChunk,
    Stretch,
    Transcript,
    TtsCapabilities,
    VideoPackets,
)
from graph.portraits import FindPortrait, nobodys, supplied
from graph.race import RacePolicy, Reason, raced, reason_of
from graph.sentences import Splitter
from graph.stages import AsrStage, AvatarStage, LlmStage, Stages, TtsStage
from graph.standin import StandIns

T = TypeVar("T")

OnStall = Callable[[AsyncGenerator[Any, None]], bool]
OnRepeat = Callable[[str, Reason], None]
"""Told the stage of each call that is made once more, and why."""


def _ignore_repeat(stage: str, reason: Reason) -> None:
    """The default observer."""


def with_repeats(
    stages: Stages,
    asr: StageConfig,
    llm: StageConfig,
    tts: StageConfig,
    avatar: StageConfig,
    *,
    find_portrait: FindPortrait = nobodys,
    on_repeat: OnRepeat = _ignore_repeat,
) -> Stages:
    """The same stages, with deadlines and repetitions as their settings say; and what stands in
    where drawing is late all the same."""
    repeating = RepeatingAvatar(stages.avatar, avatar, find_portrait, stages.on_stall, on_repeat)
    return Stages(
        asr=RepeatingAsr(stages.asr, asr, on_repeat),
        llm=RepeatingLlm(stages.llm, llm, on_repeat),
        tts=RepeatingTts(stages.tts, tts, stages.on_stall, on_repeat),
        avatar=repeating,
        stand_ins=StandIns(repeating),
    )


class _Repeating:
    """What all stages have in common whose calls are made once more after a loss."""

    name: str

    def __init__(self, config: StageConfig, on_repeat: OnRepeat) -> None:
        self._config, self._on_repeat = config, partial(on_repeat, self.name)

    @property
    def _policy(self) -> RacePolicy:
        config = self._config
        return RacePolicy(
            self.name,
            config.n_attempts,
            config.first_output_timeout_s,
            config.stall_timeout_s,
            config.hedge_after_s,
        )

    async def _answer(self, call: Callable[[], Awaitable[T]]) -> T:
        for attempts_left in reversed(range(self._config.n_attempts)):
            try:
                return await _in_time(self.name, self._config.first_output_timeout_s, call())
            except StageError as error:
                if not (error.retryable and attempts_left):
                    raise
                self._on_repeat(reason_of(error))
        raise AssertionError("n_attempts is at least 1")


class RepeatingAsr(_Repeating):
    """An ASR stage whose calls are repeated as a whole."""

    name = "asr"

    def __init__(self, stage: AsrStage, config: StageConfig, on_repeat: OnRepeat) -> None:
        super().__init__(config, on_repeat)
        self._stage = stage

    async def describe(self) -> AsrCapabilities:
        return await self._answer(self._stage.describe)

    async def transcribe(self, audio: AudioChunk, language: str | None) -> Transcript:
        return await self._answer(lambda: self._stage.transcribe(audio, language))


class RepeatingLlm(_Repeating):
    """An LLM stage whose calls are repeated until the first sentence is whole.

    Another attempt may answer in other words, so text is held until then: it could not be spoken
    any sooner, and nothing has to be taken back. A held delta arrives at once as an empty one.
    """

    name = "llm"

    def __init__(self, stage: LlmStage, config: StageConfig, on_repeat: OnRepeat) -> None:
        super().__init__(config, on_repeat)
        self._stage = stage

    async def describe(self) -> LlmCapabilities:
        return await self._answer(self._stage.describe)

    async def status(self) -> LlmStatus:
        return await self._answer(self._stage.status)

    async def reply(
        self, messages: Sequence[Message], language: str
    ) -> AsyncGenerator[ReplyDelta, None]:
        def attempt(_: int) -> AsyncGenerator[ReplyDelta, None]:
            return _held_until_whole(self._stage.reply(messages, language), language)

        def n_characters_of(delta: ReplyDelta) -> int:
            return len(delta.text)

        stream = raced(
            self._policy, attempt, n_characters_of, on_repeat=self._on_repeat, resumes=False
        )
        async with aclosing(stream) as deltas:
            async for delta in deltas:
                yield delta


class _Hedged(_Repeating):
    """What stages have in common whose calls may be asked a second time while the first runs."""

    def __init__(self, config: StageConfig, on_stall: OnStall, on_repeat: OnRepeat) -> None:
        super().__init__(config, on_repeat)
        self._on_stall = on_stall

    def _any_hangs(self, streams: Sequence[AsyncGenerator[Any, None]]) -> bool:
        """Whether one of them hangs; each is told of."""
        hanging = [self._on_stall(stream) for stream in streams]
        return any(hanging)


class RepeatingTts(_Hedged):
    """A TTS stage whose repetitions go on after the last delivered sample."""

    name = "tts"

    def __init__(
        self, stage: TtsStage, config: StageConfig, on_stall: OnStall, on_repeat: OnRepeat
    ) -> None:
        super().__init__(config, on_stall, on_repeat)
        self._stage = stage

    async def describe(self) -> TtsCapabilities:
        return await self._answer(self._stage.describe)

    async def clone(self, sample: AudioChunk) -> bytes:
        return await self._answer(lambda: self._stage.clone(sample))

    async def speak(
        self, sentence: ReplySentence, language: str, voice: str | CustomVoice | None
    ) -> AsyncGenerator[SpeechChunk, None]:
        spoken: list[AsyncGenerator[SpeechChunk, None]] = []

        def attempt(n_samples: int) -> AsyncGenerator[SpeechChunk, None]:
            spoken.append(self._stage.speak(sentence, language, voice))
            return _without(spoken[-1], n_samples)

        def on_stall() -> bool:
            return self._any_hangs(spoken)

        def n_samples_of(chunk: SpeechChunk) -> int:
            return len(chunk.audio.samples)

        stream = raced(
            self._policy, attempt, n_samples_of, on_stall=on_stall, on_repeat=self._on_repeat
        )
        async with aclosing(stream) as chunks:
            async for chunk in chunks:
                yield chunk


class RepeatingAvatar(_Hedged):
    """An avatar stage whose repetitions go on, from a keyframe, after the last delivered frame;
    and which supplies replicas with the pictures that they lack."""

    name = "avatar"

    def __init__(
        self,
        stage: AvatarStage,
        config: StageConfig,
        find_portrait: FindPortrait,
        on_stall: OnStall,
        on_repeat: OnRepeat,
    ) -> None:
        super().__init__(config, on_stall, on_repeat)
        self._stage, self._find_portrait = stage, find_portrait

    async def describe(self) -> AvatarCapabilities:
        return await self._answer(self._stage.describe)

    async def portraits(self) -> tuple[AvatarCard, ...]:
        return await self._answer(self._stage.portraits)

    async def still(self, avatar_id: str, source: PortraitSource | None = None) -> Frame:
        try:
            return await self._answer(lambda: self._stage.still(avatar_id, source))
        except UnknownPortraitError:
            found = await self._find_portrait(avatar_id)
            if found is None:
                raise
        return await self._answer(lambda: self._stage.still(avatar_id, found))

    async def render(self, stretch: Stretch) -> AsyncGenerator[VideoPackets, None]:
        drawn: list[AsyncGenerator[VideoPackets, None]] = []
        facts = await self._stage.describe()
        ordered_s = asyncio.get_running_loop().time()

        def order(wanted: Stretch) -> AsyncGenerator[VideoPackets, None]:
            drawn.append(self._stage.render(wanted))
            return drawn[-1]

        def attempt(n_frames: int) -> AsyncGenerator[VideoPackets, None]:
            n_sent = stretch.n_frames_sent + n_frames
            passed_s = asyncio.get_running_loop().time() - ordered_s
            # What was delivered lies in the past, what is left does not.
            needed_in_s = max(stretch.needed_in_s - passed_s, -n_sent / facts.fps)
            left = replace(stretch, n_frames_sent=n_sent, needed_in_s=needed_in_s)
            return supplied(left, order, self._find_portrait)

        def on_stall() -> bool:
            return self._any_hangs(drawn)

        def needed_at_s(n_frames: int) -> float:
            n_sent = stretch.n_frames_sent + n_frames
            return ordered_s + stretch.needed_in_s + n_sent / facts.fps

        def n_frames_of(packets: VideoPackets) -> int:
            return packets.n_frames

        stream = raced(
            self._policy,
            attempt,
            n_frames_of,
            on_stall=on_stall,
            needed_at_s=needed_at_s,
            on_repeat=self._on_repeat,
        )
        async with aclosing(stream) as packets:
            async for part in packets:
                yield part


async def _in_time(stage: str, limit_s: float, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await work
    except TimeoutError:
        text = f"the {stage} stage gave no output within {limit_s:g} s"
        raise StageTimeoutError(text, stage=stage) from None


async def _held_until_whole(
    deltas: AsyncGenerator[ReplyDelta, None], language: str
) -> AsyncGenerator[ReplyDelta, None]:
    """The same text, its beginning in one piece once it holds a sentence, or all of it."""
    splitter, held = Splitter(language), ReplyDelta("")
    async with aclosing(deltas):
        async for delta in deltas:
            held = replace(delta, text=held.text + delta.text)
            if splitter.add(delta.text):
                break
            yield replace(delta, text="")
        if held.text:
            yield held
        async for delta in deltas:
            yield delta


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
