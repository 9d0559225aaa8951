"""Each stage says what its outputs took, under a name of its replica's own."""

from typing import Any

import numpy as np
import pytest

from deployments.asr.deployment import Asr
from deployments.config import AsrConfig, TtsConfig
from deployments.tts.deployment import Tts
from deployments.types import AudioChunk, Effort, ReplySentence


async def heard(asr: Asr, seconds: float) -> Effort:
    sound = AudioChunk(np.full(round(seconds * 16_000), 0.1, np.float32), 16_000)
    effort = (await asr.transcribe(sound, "en")).effort
    assert effort is not None
    return effort


async def spoken(**options: Any) -> list[tuple[Effort, float]]:
    """The effort of each block, and how long the block is."""
    tts, sentence = (
        Tts(TtsConfig(engine="fake", options=options)),
        ReplySentence(0, "Ten more.", True),
    )
    chunks = [chunk async for chunk in tts.speak(sentence, "en", None)]
    return [(chunk.effort, chunk.audio.duration_s) for chunk in chunks if chunk.effort is not None]


async def test_a_transcript_took_the_engines_time_for_the_sound_it_heard() -> None:
    effort = await heard(
        Asr(AsrConfig(engine="fake", options={"cost": {"first_output_s": 0.02}})), 1.5
    )
    assert effort.media_s == 1.5
    assert 0.02 <= effort.busy_s < 2.0


async def test_each_block_of_speech_took_its_own_time() -> None:
    blocks = await spoken(cost={"first_output_s": 0.02, "per_media_s": 0.1})
    assert len(blocks) > 2
    assert [effort.media_s for effort, _ in blocks] == [duration_s for _, duration_s in blocks]
    waits_s = [0.034] + [0.1 * duration_s - 1e-3 for _, duration_s in blocks[1:]]
    assert all(e.busy_s >= wait_s for (e, _), wait_s in zip(blocks, waits_s, strict=True))
    assert len({effort.replica for effort, _ in blocks}) == 1


async def test_replicas_go_by_different_names() -> None:
    first, second = (Asr(AsrConfig(engine="fake")) for _ in range(2))
    names = [(await heard(asr, 0.1)).replica for asr in (first, first, second)]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("seconds", [0.5, 4.0])
async def test_the_effort_grows_with_the_sound(seconds: float) -> None:
    asr = Asr(AsrConfig(engine="fake", options={"cost": {"per_media_s": 0.01}}))
    assert (await heard(asr, seconds)).busy_s >= 0.01 * seconds
