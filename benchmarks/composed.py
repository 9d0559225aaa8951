"""The two baselines: the served turn without Serve, and a turn whose stages wait for each other.

Both run the profile's own engines behind the profile's own deployments classes, in this process,
and decode the same upload in the same way as the ingress does.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from deployments.asr.deployment import Asr
from deployments.avatar.deployment import Avatar
from deployments.llm.deployment import Llm
from deployments.registry import load_engine
from deployments.tts.deployment import Tts
from deployments.types import AudioChunk, Message, VideoPackets
from deployments.vad.engine import VadEngine, speech_seconds
from graph.config import AppConfig
from graph.events import ReplyFinished, VideoFragment
from graph.mux import END_BOX, FragmentedMp4
from graph.sentences import sentences
from graph.stages import Stages
from graph.timeline import StretchPlan, Timeline
from graph.turn import TurnRequest, converse
from web.listening import ASR_RATE_HZ
from web.media_in import decode

_WHOLE = 1_000_000  # frames: one stretch for any reply


@dataclass(frozen=True, slots=True)
class ComposedTurn:
    """Seconds since the request's last byte, the reply's length, and ms by what took them."""

    ttff_s: float
    turn_s: float
    audio_s: float
    timings: dict[str, float]


class ComposedGraph:
    """All stages of a profile in this process; loaded and warm when constructed."""

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._vad: VadEngine = load_engine("vad", config.vad.engine, config.vad.options)
        self._stages = Stages(
            Asr(config.asr), Llm(config.llm), Tts(config.tts), Avatar(config.avatar)
        )
        self._runner = asyncio.Runner()

    def in_process(self, wav: bytes) -> ComposedTurn:
        """The turn that the ingress runs, without the ingress and without Serve."""
        return self._runner.run(self._in_process(wav))

    def sequential(self, wav: bytes) -> ComposedTurn:
        """The same turn, each stage waiting for the whole output of the one before."""
        return self._runner.run(self._sequential(wav))

    def close(self) -> None:
        self._runner.close()

    async def _hear(self, wav: bytes) -> AudioChunk:
        settings = self._config.ingress
        audio = await asyncio.to_thread(decode, wav, ASR_RATE_HZ, settings.max_audio_s)
        await asyncio.to_thread(
            speech_seconds, self._vad, audio, settings.speech_threshold, settings.min_speech_s
        )
        return audio

    async def _in_process(self, wav: bytes) -> ComposedTurn:
        start_s = time.perf_counter()
        audio = await self._hear(wav)
        heard_s = time.perf_counter()
        cards = await self._stages.avatar.portraits()
        request = TurnRequest(
            audio=audio,
            text=None,
            language="en",
            avatar_id=cards[0].id,
            received_at_s=start_s,
            look_ahead_s=self._config.ingress.look_ahead_s,
            marks={"decode_start": start_s, "decode_end": heard_s},
        )
        return await self._watched(request, start_s)

    async def _watched(self, request: TurnRequest, start_s: float) -> ComposedTurn:
        first_s, finished = 0.0, None
        events = converse(request, self._stages, time.perf_counter, self._config.turn)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, VideoFragment) and event.index == 1:
                    first_s = time.perf_counter() - start_s
                if isinstance(event, ReplyFinished):
                    finished = event
        if finished is None or finished.timings.audio_s is None:
            raise RuntimeError("the composed turn ended without a reply")
        turn_s = time.perf_counter() - start_s
        timings = {
            name: value
            for name in finished.timings.__slots__
            if isinstance(value := getattr(finished.timings, name), float)
        }
        return ComposedTurn(first_s, turn_s, finished.timings.audio_s, timings)

    async def _sequential(self, wav: bytes) -> ComposedTurn:
        watch = _Stopwatch()
        audio = await self._hear(wav)
        watch.lap("decode_ms")
        heard = await self._stages.asr.transcribe(audio, "en")
        watch.lap("asr_ms")
        asked = (Message("user", heard.text),)
        reply = [delta.text async for delta in self._stages.llm.reply(asked, "en")]
        watch.lap("llm_ms")
        timeline = await self._spoken("".join(reply))
        watch.lap("speech_ms")
        video = await self._drawn(timeline)
        watch.lap("frames_ms")
        await self._file(timeline, video)
        watch.lap("file_ms")
        total_s = watch.total_s
        return ComposedTurn(total_s, total_s, timeline.speech_s, watch.laps)

    async def _spoken(self, text: str) -> Timeline:
        facts = await self._stages.avatar.describe()
        rate_hz = (await self._stages.tts.describe()).sample_rate_hz
        cards = await self._stages.avatar.portraits()
        plan = StretchPlan(facts.fps, facts.context_s, (_WHOLE,))
        timeline = Timeline(plan, rate_hz, cards[0].id)
        async for sentence in sentences(_given(text), "en"):
            async for chunk in self._stages.tts.speak(sentence, "en", None):
                timeline.append(chunk)
        timeline.end()
        return timeline

    async def _drawn(self, timeline: Timeline) -> VideoPackets:
        stretch = timeline.cut(None, 0.0)
        parts = [part async for part in self._stages.avatar.render(stretch)]
        units = tuple(unit for part in parts for unit in part.units)
        return replace(parts[0], units=units)

    async def _file(self, timeline: Timeline, video: VideoPackets) -> bytes:
        facts: Any = await self._stages.avatar.describe()
        mp4 = FragmentedMp4(facts.width_px, facts.height_px, timeline.sample_rate_hz)
        end = timeline.sample_at(video.n_frames)
        mp4.sound.append(timeline.samples(0, end))
        mp4.sound.finish(end)
        return b"".join([*mp4.write(video, is_last=True), END_BOX])


async def _given(text: str) -> AsyncGenerator[str, None]:
    yield text


class _Stopwatch:
    """Laps in ms, and the seconds since it was made."""

    def __init__(self) -> None:
        self._started_s = self._lap_s = time.perf_counter()
        self.laps: dict[str, float] = {}

    @property
    def total_s(self) -> float:
        return self._lap_s - self._started_s

    def lap(self, name: str) -> None:
        now_s = time.perf_counter()
        self.laps[name], self._lap_s = (now_s - self._lap_s) * 1000, now_s
