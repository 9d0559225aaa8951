"""Streams: stepping engines off the loop, reading ahead, and stopping midway."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from operator import add

import pytest

from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.streams import (
    EngineThread,
    Reader,
    cancelling,
    from_engine,
    joined,
    prefetch,
    produced,
    timed,
)
from tests.virtual_time import now, run


async def numbers(n: int) -> AsyncGenerator[int, None]:
    for i in range(n):
        yield i


async def test_an_engines_items_come_in_order_from_its_own_thread() -> None:
    threads = set()

    def engine() -> Iterator[int]:
        for i in range(5):
            threads.add(threading.current_thread())
            yield i

    items = [item async for item in from_engine(engine(), EngineThread("tts"))]
    assert items == [0, 1, 2, 3, 4]
    assert len(threads) == 1
    assert threading.current_thread() not in threads


async def test_an_engine_that_loses_what_it_needs_stays_unhealthy() -> None:
    def engine() -> Iterator[int]:
        yield 1
        raise EngineLoadError("lost its GPU", stage="tts")

    thread = EngineThread("tts")
    stream = from_engine(engine(), thread)
    assert await anext(stream) == 1
    thread.check(limit_s=60)
    with pytest.raises(EngineLoadError):
        await anext(stream)
    await thread.run(int)  # whatever else it still can do
    with pytest.raises(EngineLoadError, match="lost its GPU"):
        thread.check(limit_s=60)


async def test_a_blocking_engine_leaves_the_loop_awake() -> None:
    reached, gate = threading.Event(), threading.Event()

    def engine() -> Iterator[int]:
        reached.set()
        gate.wait(5)
        yield 1

    thread = EngineThread("tts")
    stream = from_engine(engine(), thread)
    first = asyncio.create_task(anext(stream))
    assert await asyncio.to_thread(reached.wait, 5)
    with pytest.raises(EngineRuntimeError, match="tts engine has not come back"):
        thread.check(limit_s=0.0)
    gate.set()
    assert await first == 1
    await stream.aclose()
    thread.check(limit_s=1.0)


async def test_leaving_midway_closes_the_engines_generator() -> None:
    closed = threading.Event()

    def engine() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async with aclosing(from_engine(engine(), EngineThread("tts"))) as stream:
        assert await anext(stream) == 1
    assert await asyncio.to_thread(closed.wait, 5)


async def test_an_engines_own_error_passes_and_any_other_becomes_a_runtime_error() -> None:
    def ours() -> Iterator[int]:
        raise EngineInputError("empty text", stage="tts")
        yield

    def foreign() -> Iterator[int]:
        raise KeyError("weights")
        yield

    with pytest.raises(EngineInputError, match="empty text"):
        await anext(from_engine(ours(), EngineThread("tts")))
    with pytest.raises(EngineRuntimeError, match="tts engine failed: KeyError: 'weights'"):
        await anext(from_engine(foreign(), EngineThread("tts")))


async def test_an_items_time_is_that_of_its_own_step_whatever_its_reader_does() -> None:
    clock_s = [0.0]

    def steps() -> Iterator[str]:
        for text, step_s in (("one", 0.25), ("two", 0.5)):
            clock_s[0] += step_s
            yield text

    stream = from_engine(timed(steps(), lambda: clock_s[0]), EngineThread("tts"))
    got = []
    async for item in stream:
        got.append(item)
        clock_s[0] += 8.0  # another stream has the thread
    assert got == [("one", 0.25), ("two", 0.5)]


async def test_leaving_a_timed_stream_closes_the_engines_generator() -> None:
    closed = threading.Event()

    def engine() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async with aclosing(from_engine(timed(engine()), EngineThread("tts"))) as stream:
        await anext(stream)
    assert await asyncio.to_thread(closed.wait, 5)


async def test_a_stop_iteration_that_escapes_an_engine_is_its_failure() -> None:
    def call() -> int:
        raise StopIteration

    with pytest.raises(EngineRuntimeError, match="StopIteration"):
        await EngineThread("avatar").run(call)


async def test_prefetch_gives_the_same_items() -> None:
    assert [i async for i in prefetch(numbers(10), 3)] == list(range(10))


async def test_prefetch_works_ahead_by_its_size_and_no_further() -> None:
    made = []

    async def source() -> AsyncGenerator[int, None]:
        for i in range(10):
            made.append(i)
            yield i

    async with aclosing(prefetch(source(), 3)) as stream:
        assert await anext(stream) == 0
        for _ in range(20):
            await asyncio.sleep(0)
        assert made == [0, 1, 2, 3, 4]  # one read, three queued, one in hand


async def test_an_error_comes_after_the_items_before_it() -> None:
    async def source() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("no more")

    stream = prefetch(source(), 2)
    assert await anext(stream) == 1
    with pytest.raises(ValueError, match="no more"):
        await anext(stream)


async def test_closing_a_produced_stream_cancels_its_producer() -> None:
    ended = asyncio.Event()

    async def producer(emit: Callable[[int], Awaitable[None]]) -> None:
        try:
            await emit(1)
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with aclosing(produced(producer, 1)) as stream:
        assert await anext(stream) == 1
    assert ended.is_set()


async def test_cancelling_cancels_however_the_block_is_left() -> None:
    class Response:
        n_cancels = 0

        def cancel(self) -> None:
            self.n_cancels += 1

    left, failed = Response(), Response()
    async with cancelling(left):
        pass
    with pytest.raises(ValueError, match="x"):
        async with cancelling(failed):
            raise ValueError("x")
    assert (left.n_cancels, failed.n_cancels) == (1, 1)


def test_texts_that_come_together_travel_together_but_the_first_at_once() -> None:
    async def texts() -> AsyncGenerator[str, None]:
        for pause_s, text in ((0.0, "One "), (0.001, "two "), (0.001, "three. "), (0.5, "Four.")):
            await asyncio.sleep(pause_s)
            yield text

    async def read() -> list[tuple[float, str]]:
        return [(round(now(), 3), text) async for text in joined(texts(), 0.01, add)]

    assert run(read()) == [(0.0, "One "), (0.011, "two three. "), (0.502, "Four.")]


def test_an_error_does_not_swallow_the_texts_before_it() -> None:
    async def texts() -> AsyncGenerator[str, None]:
        for text in ("One ", "two ", "three "):
            yield text
        raise EngineRuntimeError("lost", stage="llm")

    async def read() -> list[str]:
        stream = joined(texts(), 0.01, add)
        got = [await anext(stream), await anext(stream)]
        with pytest.raises(EngineRuntimeError):
            await anext(stream)
        return got

    assert run(read()) == ["One ", "two three "]


def test_a_reader_with_limited_patience_loses_nothing() -> None:
    async def slow() -> AsyncGenerator[int, None]:
        await asyncio.sleep(1)
        yield 1

    async def read() -> list[int | None]:
        async with aclosing(Reader(slow())) as reader:
            with pytest.raises(TimeoutError):
                await reader.next(0.4)
            with pytest.raises(TimeoutError):
                await reader.next(0.4)
            return [await reader.next(0.4), await reader.next()]

    assert run(read()) == [1, None]
