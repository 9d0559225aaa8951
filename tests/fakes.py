"""Stages for the graph's tests: they take virtual time, keep a record, and fail on request.

They stand where Serve handles stand in production. The engines' own fakes live beside the engines.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from deployments.avatar.encode import StretchEncoder
from deployments.config import EncoderConfig
from deployments.errors import EngineRuntimeError
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
    Phoneme,
    PortraitSource,
    ReplyDelta,
    ReplySentence,
    SpeechChunk,
    Stretch,
    Transcript,
    TtsCapabilities,
    VideoPackets,
    Voice,
)
from graph.stages import Stages

RATE_HZ = 16_000
FPS = 25
WIDTH_PX, HEIGHT_PX = 32, 48


@dataclass
class Fault:
    """``lost``: the stage raises as a dying replica does; ``hung``: it never answers again;
    ``broken``: it raises what no repetition can cure. ``calls`` and ``after`` say when."""

    kind: str
    calls: tuple[int, ...] = (0,)
    after: int = 0

    async def strike(self, call: int, n_done: int, stage: str) -> None:
        if call not in self.calls or n_done != self.after:
            return
        if self.kind == "hung":
            await asyncio.Event().wait()
        text = f"a replica of the {stage} stage was lost"
        raise EngineRuntimeError(text, stage=stage, retryable=self.kind == "lost")


@dataclass
class Record:
    """What a stage was asked, when, and how many of its streams are open."""

    calls: list[tuple[float, object]] = field(default_factory=list)
    n_open: int = 0

    @contextmanager
    def stream(self, asked: object) -> Iterator[int]:
        self.calls.append((asyncio.get_running_loop().time(), asked))
        self.n_open += 1
        try:
            yield len(self.calls) - 1
        finally:
            self.n_open -= 1


@dataclass
class FakeAsrStage:
    text: str = "What time is it?"
    latency_s: float = 0.1
    fault: Fault | None = None
    record: Record = field(default_factory=Record)

    async def describe(self) -> AsrCapabilities:
        return AsrCapabilities("fake-asr", ("en",), False)

    async def transcribe(self, audio: AudioChunk, language: str | None) -> Transcript:
        with self.record.stream(audio) as call:
            await asyncio.sleep(self.latency_s)
            if self.fault:
                await self.fault.strike(call, 0, "asr")
            return Transcript(self.text, True, (), language or "en")


@dataclass
class FakeLlmStage:
    deltas: Sequence[str] = ("It is ", "noon. ", "Shall we ", "have lunch?")
    first_s: float = 0.05
    delta_s: float = 0.01
    pauses: dict[int, float] = field(default_factory=dict)  # before delta i
    spoken_by: str = ""  # of a chain
    fault: Fault | None = None
    record: Record = field(default_factory=Record)

    async def describe(self) -> LlmCapabilities:
        return LlmCapabilities("fake-llm", ("en", "zh", "es"))

    async def status(self) -> LlmStatus:
        return LlmStatus("fake-replica")

    async def reply(
        self, messages: Sequence[Message], language: str
    ) -> AsyncGenerator[ReplyDelta, None]:
        with self.record.stream((tuple(messages), language)) as call:
            await asyncio.sleep(self.first_s)
            for i, delta in enumerate(self.deltas):
                if self.fault:
                    await self.fault.strike(call, i, "llm")
                await asyncio.sleep(self.pauses.get(i, self.delta_s))
                yield ReplyDelta(delta, self.spoken_by)


@dataclass
class FakeTtsStage:
    """Each character takes 0.05 s to say; each sentence is a ramp of its own, so that lost or
    doubled samples show."""

    latency_s: float = 0.02
    block_s: float = 0.2
    fault: Fault | None = None
    record: Record = field(default_factory=Record)

    async def describe(self) -> TtsCapabilities:
        voice = Voice("v1", "Voice", ("en", "zh", "es"))
        return TtsCapabilities("fake-tts", ("en", "zh", "es"), RATE_HZ, (voice,), False)

    async def clone(self, sample: AudioChunk) -> bytes:
        with self.record.stream(sample) as call:
            await asyncio.sleep(self.latency_s)
            if self.fault:
                await self.fault.strike(call, 0, "tts")
            return b"a voice"

    async def speak(
        self, sentence: ReplySentence, language: str, voice: str | CustomVoice | None
    ) -> AsyncGenerator[SpeechChunk, None]:
        samples = spoken(sentence.text)
        block = int(self.block_s * RATE_HZ)
        with self.record.stream((sentence, language, voice)) as call:
            for i, start in enumerate(range(0, len(samples), block)):
                if self.fault:
                    await self.fault.strike(call, i, "tts")
                await asyncio.sleep(self.latency_s)
                part = samples[start : start + block]
                start_s = start / RATE_HZ
                phonemes = (Phoneme("a", start_s, start_s + len(part) / RATE_HZ),)
                audio = AudioChunk(part, RATE_HZ, start_s)
                is_last = start + block >= len(samples)
                yield SpeechChunk(audio, sentence.index, phonemes, is_last, sentence.turn_no)


def spoken(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The samples that ``FakeTtsStage`` makes of a sentence."""
    n = int(len(text) * 0.05 * RATE_HZ)
    return np.linspace(-0.5, 0.5, n, dtype=np.float32)


@dataclass
class FakeAvatarStage:
    """Draws a frame in ``frame_s``, and only every ``frame_step``-th; its state is the number of
    the next frame."""

    frame_s: float = 0.005
    frames_per_packet: int = 5
    context_s: float = 0.12
    offline_context_s: float | None = None
    fault: Fault | None = None
    record: Record = field(default_factory=Record)

    async def describe(self) -> AvatarCapabilities:
        facts = AvatarCapabilities("fake-avatar", WIDTH_PX, HEIGHT_PX, FPS, self.context_s, 8)
        return replace(facts, offline_context_s=self.offline_context_s)

    async def portraits(self) -> tuple[AvatarCard, ...]:
        return (AvatarCard("face0001", "Face", WIDTH_PX, HEIGHT_PX),)

    async def still(self, avatar_id: str, source: PortraitSource | None = None) -> Frame:
        return np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)

    async def render(self, stretch: Stretch) -> AsyncGenerator[VideoPackets, None]:
        expected = str(stretch.first_frame).encode() if stretch.first_frame else None
        if stretch.motion_state not in (None, expected):
            raise AssertionError(f"state {stretch.motion_state!r} at frame {stretch.first_frame}")
        state = str(stretch.first_frame + stretch.n_frames).encode()
        first = stretch.first_frame + stretch.n_frames_sent
        encoder = StretchEncoder(EncoderConfig(), WIDTH_PX, HEIGHT_PX, FPS, first)
        with self.record.stream(stretch) as call, encoder:
            starts = range(stretch.n_frames_sent, stretch.n_frames, self.frames_per_packet)
            for i, start in enumerate(starts):
                if self.fault:
                    await self.fault.strike(call, i, "avatar")
                n = min(self.frames_per_packet, stretch.n_frames - start)
                await asyncio.sleep(n * self.frame_s / stretch.frame_step)
                grey = np.full((HEIGHT_PX, WIDTH_PX, 3), 128, np.uint8)
                yield VideoPackets(
                    tuple(encoder.encode(grey) for _ in range(n)),
                    stretch.first_frame + start,
                    FPS,
                    start == stretch.n_frames_sent,
                    state,
                    encoder.codec_config,
                    stretch.turn_no,
                )


@dataclass
class FakeStages:
    """One of each, to be varied by a test."""

    asr: FakeAsrStage = field(default_factory=FakeAsrStage)
    llm: FakeLlmStage = field(default_factory=FakeLlmStage)
    tts: FakeTtsStage = field(default_factory=FakeTtsStage)
    avatar: FakeAvatarStage = field(default_factory=FakeAvatarStage)

    @property
    def stages(self) -> Stages:
        return Stages(self.asr, self.llm, self.tts, self.avatar)

    @property
    def n_open(self) -> int:
        """How many streams of all stages are open."""
        parts = (self.asr, self.llm, self.tts, self.avatar)
        return sum(part.record.n_open for part in parts)
