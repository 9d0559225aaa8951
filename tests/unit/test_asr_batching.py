"""Utterances that wait on a replica are heard together."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np
import pytest

from deployments.asr.batching import Batches
from deployments.asr.deployment import Asr
from deployments.config import AsrConfig
from deployments.errors import EngineInputError, EngineRuntimeError
from deployments.streams import EngineThread
from deployments.types import AsrCapabilities, AudioChunk, Transcript

WAIT_S = 30.0


@dataclass(eq=False)
class Spelling:
    name: str
    n_heard: int = 0


@dataclass
class Speller:
    """Hears an utterance letter by letter; its sample rate says which one it is.

    Each step waits for ``go``; ``batches`` are the utterances and how much was heard of each.
    """

    batch: int = 4
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    batches: list[list[str]] = field(default_factory=list)

    @property
    def capabilities(self) -> AsrCapabilities:
        return AsrCapabilities("speller", ("en",), False, self.batch)

    def open(self, audio: AudioChunk, language: str | None) -> Spelling:
        if language == "tlh":
            raise EngineInputError("no Klingon", stage="asr")
        return Spelling("abcdefghij"[audio.sample_rate_hz] * len(audio.samples))

    def hear(self, hearings: Sequence[Spelling]) -> list[Transcript]:
        self.batches.append([f"{h.name[0]}{h.n_heard}" for h in hearings])
        self.begun.release()
        assert self.go.acquire(timeout=WAIT_S)
        if any(hearing.name.startswith("j") for hearing in hearings):
            raise RuntimeError("j is a bad letter")
        for hearing in hearings:
            hearing.n_heard += 1
        return [
            Transcript(h.name[: h.n_heard], h.n_heard == len(h.name), (), "en") for h in hearings
        ]

    def transcribe(self, audio: AudioChunk, language: str | None) -> None:
        raise NotImplementedError


class Bench:
    """A speller, and people who ask it."""

    def __init__(self, batch: int = 4, now: Callable[[], float] | None = None) -> None:
        self.engine = Speller(batch)
        self.thread = EngineThread("asr")
        more = {} if now is None else {"now": now}
        self.batches: Batches[Spelling] = Batches(self.engine, self.thread.run, **more)  # type: ignore[arg-type]

    async def ask(self, number: int, n_steps: int = 1) -> asyncio.Task[list[tuple[str, float]]]:
        """Somebody asks, and waits for an answer from now on."""
        task = asyncio.create_task(self._heard(number, n_steps))
        await asyncio.sleep(0)  # so that it takes its place before the next one
        return task

    async def _heard(self, number: int, n_steps: int) -> list[tuple[str, float]]:
        sound = AudioChunk(np.zeros(n_steps, np.float32), number)
        async with aclosing(self.batches.transcribe(sound, "en")) as steps:
            return [(transcript.text, busy_s) async for transcript, busy_s in steps]

    async def step(self) -> None:
        """Wait until a step has begun, which then waits for ``go``."""
        assert await asyncio.to_thread(self.engine.begun.acquire, timeout=WAIT_S)


def texts(answer: list[tuple[str, float]]) -> list[str]:
    return [text for text, _ in answer]


async def test_who_comes_to_an_idle_engine_is_heard_at_once_and_those_after_it_together() -> None:
    bench = Bench()
    tasks = [await bench.ask(0)]
    await bench.step()
    tasks += [await bench.ask(n) for n in (1, 2, 3)]
    bench.engine.go.release(2)
    assert [texts(await task) for task in tasks] == [["a"], ["b"], ["c"], ["d"]]
    assert bench.engine.batches == [["a0"], ["b0", "c0", "d0"]]


async def test_a_batch_is_never_larger_than_the_engine_likes() -> None:
    bench = Bench(batch=2)
    tasks = [await bench.ask(0)]
    await bench.step()
    tasks += [await bench.ask(n) for n in (1, 2, 3)]
    bench.engine.go.release(3)
    await asyncio.gather(*tasks)
    assert bench.engine.batches == [["a0"], ["b0", "c0"], ["d0"]]


async def test_a_long_utterance_holds_others_up_for_a_step_and_then_shares_with_them() -> None:
    bench = Bench(batch=2)
    long = await bench.ask(0, n_steps=3)
    await bench.step()
    short = [await bench.ask(n) for n in (1, 2)]
    bench.engine.go.release(4)
    assert texts(await long) == ["a", "aa", "aaa"]
    await asyncio.gather(*short)
    assert bench.engine.batches == [["a0"], ["b0", "c0"], ["a1"], ["a2"]]


async def test_who_leaves_while_waiting_is_never_heard() -> None:
    bench = Bench()
    first = await bench.ask(0)
    await bench.step()
    gone, stays = await bench.ask(1), await bench.ask(2)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    bench.engine.go.release(2)
    await asyncio.gather(first, stays)
    assert gone.cancelled()
    assert bench.engine.batches == [["a0"], ["c0"]]


async def test_who_leaves_midway_is_heard_no_further_and_the_others_are() -> None:
    bench = Bench()
    blocker = await bench.ask(9 - 1)
    await bench.step()
    gone, stays = await bench.ask(0, n_steps=3), await bench.ask(1, n_steps=3)
    bench.engine.go.release()
    await bench.step()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    bench.engine.go.release(3)
    assert texts(await stays) == ["b", "bb", "bbb"]
    await blocker
    assert bench.engine.batches == [["i0"], ["a0", "b0"], ["b1"], ["b2"]]


async def test_only_who_is_at_fault_fails() -> None:
    bench = Bench()
    blocker = await bench.ask(0)
    await bench.step()
    bad, good = await bench.ask(9), await bench.ask(1)
    bench.engine.go.release(4)
    with pytest.raises(EngineRuntimeError, match="j is a bad letter"):
        await bad
    assert texts(await good) == ["b"]
    await blocker
    assert bench.engine.batches == [["a0"], ["j0", "b0"], ["j0"], ["b0"]]
    after = await bench.ask(2)
    bench.engine.go.release()
    assert texts(await after) == ["c"]


async def test_a_step_that_fails_for_one_alone_is_not_tried_again() -> None:
    bench = Bench()
    bench.engine.go.release()
    with pytest.raises(EngineRuntimeError):
        await (await bench.ask(9))
    assert bench.engine.batches == [["j0"]]


async def test_what_the_engine_refuses_is_refused_without_waiting() -> None:
    bench = Bench()
    sound = AudioChunk(np.zeros(1, np.float32), 0)
    with pytest.raises(EngineInputError):
        await anext(bench.batches.transcribe(sound, "tlh"))
    assert bench.engine.batches == []


async def test_those_who_are_heard_together_share_the_time() -> None:
    clock = iter(range(100))
    bench = Bench(now=lambda: float(next(clock)))
    blocker = await bench.ask(0)
    await bench.step()
    tasks = [await bench.ask(n) for n in (1, 2)]
    bench.engine.go.release(2)
    assert await blocker == [("a", 1.0)]
    assert [await task for task in tasks] == [[("b", 0.5)], [("c", 0.5)]]


async def test_a_replica_hears_together_where_its_engine_can() -> None:
    sounds = [AudioChunk(np.full(n * 1600, 0.1, np.float32), 16_000) for n in range(1, 9)]
    for batch in (1, 4):
        options = {"batch": batch, "rule": "duration", "cost": {"first_output_s": 0.05}}
        asr = Asr(AsrConfig(engine="fake", options=options))
        heard = await asyncio.gather(*(asr.transcribe(sound, "en") for sound in sounds))
        assert [one.text for one in heard] == [f"heard 0.{n}0 s" for n in range(1, 9)]
        efforts = [one.effort for one in heard if one.effort]
        assert [effort.media_s for effort in efforts] == [one.duration_s for one in sounds]
        # Each call costs 0.05 s: eight calls one by one, or two with four utterances each.
        n_calls = 8 // batch
        assert sum(effort.busy_s for effort in efforts) >= n_calls * 0.05
        assert (min(effort.busy_s for effort in efforts) < 0.05) == (batch > 1)
