"""Lips keep time with the sound, in every language and without any phonemes.

Real synthesiser, real face, real threads; measured on the decoded video.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.lips import lip_sync
from deployments.avatar.deployment import Avatar
from deployments.config import AvatarConfig, TtsConfig
from deployments.tts.deployment import Tts
from deployments.types import AudioChunk, ReplySentence
from graph.events import TurnEvent, VideoFragment
from graph.stages import Stages
from graph.turn import TurnRequest, animate, narrate
from tests.fakes import FakeAsrStage, FakeLlmStage
from tests.media import Mp4, read_mp4

TEXTS = {
    "en": "On a rock in the sea stood an old lighthouse, and in it lived a moth called Nell. "
    "Every evening she counted the boats.",
    "es": "En una roca del mar había un viejo faro, y en él vivía una polilla llamada Nela. "
    "Cada noche contaba los barcos.",
    "zh": "海边有一座古老的灯塔，里面住着一只小飞蛾。每天晚上，她都数着回家的船。",
}


@pytest.fixture(scope="module")
def stages() -> Stages:
    return Stages(FakeAsrStage(), FakeLlmStage(), Tts(TtsConfig()), Avatar(AvatarConfig()))


async def asked(stages: Stages, language: str | None, **given: object) -> TurnRequest:
    (card, *_) = await stages.avatar.portraits()
    fields = {"audio": None, "text": None, **given}
    return TurnRequest(
        **fields,  # type: ignore[arg-type]
        language=language,
        avatar_id=card.id,
        received_at_s=time.monotonic(),
    )


async def film(events: AsyncGenerator[TurnEvent, None]) -> Mp4:
    async with aclosing(events) as stream:
        parts = [event.data async for event in stream if isinstance(event, VideoFragment)]
    return read_mp4(b"".join(parts), with_frames=True)


async def said(stages: Stages, text: str, language: str) -> AudioChunk:
    async with aclosing(stages.tts.speak(ReplySentence(0, text, True), language, None)) as speech:
        chunks = [chunk.audio async for chunk in speech]
    return AudioChunk(np.concatenate([c.samples for c in chunks]), chunks[0].sample_rate_hz)


@pytest.mark.parametrize("language", TEXTS)
async def test_the_lips_keep_time_with_what_is_narrated(stages: Stages, language: str) -> None:
    request = await asked(stages, language, text=TEXTS[language])
    video = await film(narrate(request, stages, time.monotonic))
    assert 6 <= video.video_end_s <= 10
    assert -80 <= lip_sync(video).av_offset_ms <= 40


async def test_the_lips_keep_time_with_sound_alone(stages: Stages) -> None:
    request = await asked(stages, None, audio=await said(stages, TEXTS["en"], "en"))
    video = await film(animate(request, stages, time.monotonic))
    assert 6 <= video.video_end_s <= 10
    assert -80 <= lip_sync(video).av_offset_ms <= 40


async def test_the_measure_sees_sound_that_was_moved(stages: Stages) -> None:
    request = await asked(stages, "es", text=TEXTS["es"])
    video = await film(narrate(request, stages, time.monotonic))
    moved = round(0.12 * video.sample_rate_hz)
    early = replace(video, sound=np.roll(video.sound, -moved))
    late = replace(video, sound=np.roll(video.sound, moved))
    assert lip_sync(early).av_offset_ms == pytest.approx(lip_sync(video).av_offset_ms + 120, abs=20)
    assert lip_sync(late).av_offset_ms == pytest.approx(lip_sync(video).av_offset_ms - 120, abs=20)
