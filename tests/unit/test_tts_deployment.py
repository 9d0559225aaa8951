"""The TTS stage on a replica: voices are cloned on the engine's own thread."""

import asyncio
import threading
from contextlib import aclosing

import numpy as np
import pytest

from deployments.config import TtsConfig
from deployments.errors import EngineInputError, EngineLoadError
from deployments.tts.deployment import Tts
from deployments.types import AudioChunk, CustomVoice, ReplySentence, Samples, SpeechChunk
from tests.web_fakes import tone

SAMPLE = AudioChunk(tone(6.0, 16_000), 16_000)  # 220 Hz
SENTENCE = ReplySentence(0, "Hello everybody, this is a voice.", is_last=True)


def a_tts(**options: object) -> Tts:
    return Tts(TtsConfig(engine="fake", options={"voice_format": "hum-1", **options}))


async def spoken(tts: Tts, voice: CustomVoice | None) -> Samples:
    async with aclosing(tts.speak(SENTENCE, "en", voice)) as chunks:
        return np.concatenate([chunk.audio.samples async for chunk in chunks])


async def test_any_replica_speaks_what_one_has_cloned() -> None:
    one, other = a_tts(), a_tts()
    voice = CustomVoice("somebody", ("en",), await one.clone(SAMPLE))

    assert (await one.describe()).voice_format == "hum-1"
    np.testing.assert_array_equal(await spoken(one, voice), await spoken(other, voice))
    np.testing.assert_array_equal(await spoken(other, voice), await spoken(other, None))


async def test_a_voice_is_cloned_while_another_speaks() -> None:
    tts = a_tts()
    chunks: list[SpeechChunk] = []
    async with aclosing(tts.speak(SENTENCE, "en", None)) as speech:
        chunks.append(await anext(speech))
        state = await tts.clone(SAMPLE)
        chunks += [chunk async for chunk in speech]

    assert state == await tts.clone(SAMPLE)
    np.testing.assert_array_equal(
        np.concatenate([chunk.audio.samples for chunk in chunks]), await spoken(tts, None)
    )


async def test_an_engine_that_cannot_clone_says_so() -> None:
    with pytest.raises(EngineInputError, match="cannot clone"):
        await a_tts(voice_format="").clone(SAMPLE)


async def test_an_engine_that_is_lost_while_it_clones_has_its_replica_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tts = a_tts()

    def lost(sample: AudioChunk) -> bytes:
        raise EngineLoadError("the driver is gone", stage="tts")

    monkeypatch.setattr(tts._engine, "clone", lost)
    await tts.check_health()
    with pytest.raises(EngineLoadError):
        await tts.clone(SAMPLE)
    with pytest.raises(EngineLoadError, match="driver"):
        await tts.check_health()


async def test_a_cloning_that_hangs_is_noticed_by_the_health_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, released = threading.Event(), threading.Event()
    tts = Tts(TtsConfig(engine="fake", options={"voice_format": "h"}, hang_timeout_s=1e-6))

    def hang(sample: AudioChunk) -> bytes:
        begun.set()
        released.wait(30)
        return b"late"

    monkeypatch.setattr(tts._engine, "clone", hang)
    cloning = asyncio.create_task(tts.clone(SAMPLE))
    await asyncio.to_thread(begun.wait, 30)
    with pytest.raises(Exception, match="has not come back"):
        await tts.check_health()
    released.set()
    assert await cloning == b"late"
