"""A call that gives no output: another one begins beside it, and the router hears of the first."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np

from deployments.config import StageConfig
from deployments.errors import StageError
from deployments.types import AudioChunk, ReplySentence, Stretch
from graph.repeat import with_repeats
from tests.fakes import RATE_HZ, FakeAvatarStage, FakeStages, FakeTtsStage, Fault, spoken
from tests.virtual_time import now, run

HEDGED = StageConfig(engine="fake", hedge_after_s=0.5, n_attempts=3)
ONE_SECOND = Stretch("face0001", AudioChunk(np.zeros(RATE_HZ, np.float32), RATE_HZ), (), 0, 25)


def hanging(told: list[AsyncGenerator[Any, None]]) -> Callable[[AsyncGenerator[Any, None]], bool]:
    """Takes down who is told of, and calls each of them hung."""

    def on_stall(stream: AsyncGenerator[Any, None]) -> bool:
        told.append(stream)
        return True

    return on_stall


def first_packet_at_s(stretch: Stretch) -> tuple[float, int]:
    """When a stretch whose first call hangs is drawn, and how many streams were told of."""

    async def drive() -> tuple[float, int]:
        fakes = FakeStages(avatar=FakeAvatarStage(fault=Fault("hung"), frame_s=0.0))
        told: list[AsyncGenerator[Any, None]] = []
        stages = replace(fakes.stages, on_stall=hanging(told))
        avatar = with_repeats(stages, HEDGED, HEDGED, HEDGED, HEDGED).avatar
        async with aclosing(avatar.render(stretch)) as packets:
            await anext(packets)
            return now(), len(told)

    return run(drive())


def test_a_stretch_that_is_needed_soon_is_asked_for_again_after_half_a_second() -> None:
    assert first_packet_at_s(ONE_SECOND) == (0.5, 1)


def test_one_that_is_needed_later_is_given_more_time_but_never_long() -> None:
    at_s, _ = first_packet_at_s(replace(ONE_SECOND, needed_in_s=2.2))
    assert 1.2 <= at_s < 1.4
    at_s, _ = first_packet_at_s(replace(ONE_SECOND, needed_in_s=15.0))
    assert 2.0 <= at_s < 2.2


def test_a_sentence_whose_voice_hangs_midway_goes_on_after_the_last_sample() -> None:
    async def drive() -> tuple[list[float], int]:
        fakes = FakeStages(tts=FakeTtsStage(fault=Fault("hung", after=2)))
        told: list[AsyncGenerator[Any, None]] = []
        stages = replace(fakes.stages, on_stall=hanging(told))
        tts = with_repeats(stages, HEDGED, HEDGED, HEDGED, HEDGED).tts
        sentence = ReplySentence(0, "A sentence of some length.", is_last=True)
        async with aclosing(tts.speak(sentence, "en", None)) as chunks:
            samples = [chunk.audio.samples async for chunk in chunks]
        return np.concatenate(samples).tolist(), len(told)

    samples, n_told = run(drive())
    assert samples == spoken("A sentence of some length.").tolist()
    assert n_told == 1


def test_a_repetition_says_how_soon_it_is_needed_by_then() -> None:
    async def drive() -> list[tuple[float, int]]:
        fakes = FakeStages(avatar=FakeAvatarStage(fault=Fault("hung", after=2), frame_s=0.02))
        avatar = with_repeats(fakes.stages, HEDGED, HEDGED, HEDGED, HEDGED).avatar
        async with aclosing(avatar.render(replace(ONE_SECOND, needed_in_s=1.0))) as packets:
            async for _ in packets:
                pass
        asked = [s for _, s in fakes.avatar.record.calls if isinstance(s, Stretch)]
        return [(round(s.needed_in_s, 6), s.n_frames_sent) for s in asked]

    # Ten frames in 0.2 s, then half a second of silence.
    assert run(drive()) == [(1.0, 0), (0.3, 10)]


def test_a_replica_that_is_merely_busy_is_not_asked_twice() -> None:
    async def drive() -> int:
        fakes = FakeStages(avatar=FakeAvatarStage(frame_s=0.25))  # a packet in 1.25 s
        stages = replace(fakes.stages, on_stall=lambda _: False)
        avatar = with_repeats(stages, HEDGED, HEDGED, HEDGED, HEDGED).avatar
        async with aclosing(avatar.render(ONE_SECOND)) as packets:
            n_frames = sum([part.n_frames async for part in packets])
        assert n_frames == 25
        return len(fakes.avatar.record.calls)

    assert run(drive()) == 1


def test_leaving_a_silent_stretch_tells_of_it_and_leaving_one_that_was_read_does_not() -> None:
    async def told_of(after_s: float, fault: Fault | None) -> int:
        fakes = FakeStages(avatar=FakeAvatarStage(fault=fault))
        told: list[AsyncGenerator[Any, None]] = []
        stages = replace(fakes.stages, on_stall=hanging(told))
        avatar = with_repeats(stages, HEDGED, HEDGED, HEDGED, HEDGED).avatar
        drawing = avatar.render(ONE_SECOND)
        reading = asyncio.ensure_future(anext(drawing))
        await asyncio.sleep(after_s)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await drawing.aclose()
        return len(told)

    assert run(told_of(0.25, Fault("hung"))) == 1
    assert run(told_of(0.05, Fault("hung"))) == 0
    assert run(told_of(0.25, None)) == 0


def cloned(fault: Fault) -> tuple[bytes | str, int, float]:
    """What becomes of a cloning whose first call meets a fault: the state or the error's name, how
    many calls were made, and when it ended."""

    async def drive() -> tuple[bytes | str, int, float]:
        fakes = FakeStages(tts=FakeTtsStage(fault=fault, latency_s=0.5))
        tts = with_repeats(fakes.stages, HEDGED, HEDGED, HEDGED, HEDGED).tts
        sample = AudioChunk(np.zeros(RATE_HZ, np.float32), RATE_HZ)
        try:
            result: bytes | str = await tts.clone(sample)
        except StageError as error:
            result = type(error).__name__
        asked = [given for _, given in fakes.tts.record.calls]
        assert all(given is sample for given in asked)
        return result, len(asked), now()

    return run(drive())


def test_cloning_a_voice_is_repeated_after_a_loss() -> None:
    assert cloned(Fault("lost")) == (b"a voice", 2, 1.0)


def test_cloning_that_hangs_is_repeated_when_its_time_is_over() -> None:
    assert cloned(Fault("hung")) == (b"a voice", 2, HEDGED.first_output_timeout_s + 0.5)


def test_cloning_that_no_repetition_can_cure_is_not_repeated() -> None:
    assert cloned(Fault("broken")) == ("EngineRuntimeError", 1, 0.5)
