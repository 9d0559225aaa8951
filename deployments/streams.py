"""Streams between engines, stages and the graph: stepping, reading ahead, cancelling."""

import asyncio
import secrets
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from deployments.errors import EngineLoadError, EngineRuntimeError, engine_errors

T = TypeVar("T")

_EXHAUSTED: Final = object()


class Cancellable(Protocol):
    """What a Serve handle returns for a stream: leaving it does not stop it, ``cancel`` does."""

    def cancel(self) -> None: ...


CancellableT = TypeVar("CancellableT", bound=Cancellable)


@asynccontextmanager
async def cancelling(stream: CancellableT) -> AsyncIterator[CancellableT]:
    """The stream, stopped at its source however the block is left; harmless when it has ended."""
    try:
        yield stream
    finally:
        stream.cancel()


class EngineThread:
    """The one thread on which an engine is ever touched; knows how long its step has taken.

    ``replica`` is a name of its own, made at random, under which its efforts are counted.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.replica = secrets.token_hex(4)
        self._pool = ThreadPoolExecutor(1, stage)
        self._busy_since_s: float | None = None
        self._lost = ""

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        """The call's result.

        Raises:
            AvatarError: as the engine raised it.
            EngineRuntimeError: for anything else that it raised.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(self._step, call, *args))

    def submit(self, call: Callable[[], object]) -> None:
        """Run ``call`` after the step in progress; nobody waits for it."""
        self._pool.submit(self._step, call)

    def lose(self, error: EngineLoadError) -> None:
        """The engine, which had been loaded, lacks what it cannot do without: its card, say."""
        self._lost = error.message

    def check(self, limit_s: float) -> None:
        """Raise if the step in progress hangs or the engine is lost, so that the replica is
        replaced.

        Raises:
            EngineRuntimeError: the step has taken longer than ``limit_s``.
            EngineLoadError: what ``lose`` was told, or a step raised.
        """
        if self._lost:
            raise EngineLoadError(self._lost, stage=self.stage)
        since = self._busy_since_s
        if since is not None and time.monotonic() - since > limit_s:
            text = f"the {self.stage} engine has not come back for {limit_s:g} s"
            raise EngineRuntimeError(text, stage=self.stage)

    def end(self) -> None:
        """Let the thread go once its step is done."""
        self._pool.shutdown(wait=False)

    def _step(self, call: Callable[..., T], *args: Any) -> T:
        self._busy_since_s = time.monotonic()
        try:
            # Here and not around the await: a StopIteration cannot pass through a future.
            with engine_errors(self.stage):
                return call(*args)
        except EngineLoadError as error:
            self.lose(error)
            raise
        finally:
            self._busy_since_s = None


async def from_engine(iterator: Iterator[T], thread: EngineThread) -> AsyncGenerator[T, None]:
    """An engine's blocking iterator, one thread hop per step, so that the replica stays awake.

    When the caller leaves, the iterator is closed on the same thread, after the step in progress.

    Args:
        iterator: what the engine's verb returned.
        thread: the only one on which this iterator is ever touched.

    Raises:
        AvatarError: as the engine raised it.
        EngineRuntimeError: for anything else that it raised.
    """
    try:
        while True:
            item: Any = await thread.run(next, iterator, _EXHAUSTED)
            if item is _EXHAUSTED:
                return
            yield item
    finally:
        if isinstance(iterator, Generator):
            thread.submit(iterator.close)


def timed(
    steps: Iterator[T], now: Callable[[], float] = time.perf_counter
) -> Iterator[tuple[T, float]]:
    """Each item with the seconds of wall time that its own step took, whatever ran in between.

    Closing it closes ``steps``.
    """
    try:
        while True:
            started_s = now()
            item: Any = next(steps, _EXHAUSTED)
            if item is _EXHAUSTED:
                return
            yield item, now() - started_s
    finally:
        if isinstance(steps, Generator):
            steps.close()


@dataclass(frozen=True, slots=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None


async def produced(
    producer: Callable[[Callable[[T], Awaitable[None]]], Awaitable[None]], size: int
) -> AsyncGenerator[T, None]:
    """What a coroutine emits, as a stream; the coroutine runs as a task of its own.

    Args:
        producer: called with ``emit``, which waits while ``size`` items are unread.
        size: how many items may wait.

    Raises:
        Exception: what the producer raised, after the items before it. Closing the stream
            cancels the producer and waits for its end.
    """
    queue: asyncio.Queue[_Item[T] | _End] = asyncio.Queue(maxsize=size)

    async def run() -> None:
        error: Exception | None = None
        try:
            await producer(lambda value: queue.put(_Item(value)))
        except Exception as raised:
            error = raised
        await queue.put(_End(error))

    task = asyncio.create_task(run())
    try:
        while isinstance(item := await queue.get(), _Item):
            yield item.value
        if item.error is not None:
            raise item.error
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def prefetch(source: AsyncGenerator[T, None], size: int) -> AsyncGenerator[T, None]:
    """The same items, but the source works up to ``size`` items ahead of its reader."""

    async def forward(emit: Callable[[T], Awaitable[None]]) -> None:
        async with aclosing(source):
            async for item in source:
                await emit(item)

    return produced(forward, size)


class Reader(Generic[T]):
    """A stream that can be waited for with limited patience."""

    def __init__(self, stream: AsyncGenerator[T, None]) -> None:
        self._stream = stream
        self._pending: asyncio.Task[T | None] | None = None

    def start(self) -> "asyncio.Task[T | None]":
        """Begin to wait for the next item, so that its source is at work before anybody asks."""
        if self._pending is None:
            self._pending = asyncio.create_task(self._take())
        return self._pending

    async def next(self, patience_s: float | None = None) -> T | None:
        """The next item, or ``None`` at the end.

        Raises:
            TimeoutError: nothing came in time; the next call goes on waiting for the same item.
        """
        pending = self.start()
        done, _ = await asyncio.wait({pending}, timeout=patience_s)
        if not done:
            raise TimeoutError
        self._pending = None
        return pending.result()

    async def aclose(self) -> None:
        """Stop the stream, whatever it is at."""
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.gather(self._pending, return_exceptions=True)
        await self._stream.aclose()

    async def _take(self) -> T | None:
        return await anext(self._stream, None)


async def joined(
    items: AsyncGenerator[T, None], window_s: float, join: Callable[[T, T], T]
) -> AsyncGenerator[T, None]:
    """The first item at once, then those that come within ``window_s`` of each other as one.

    Each item of a stream between replicas costs milliseconds, whatever its size.
    """
    async with aclosing(Reader(items)) as reader:
        if (first := await reader.next()) is None:
            return
        yield first
        while (item := await reader.next()) is not None:
            whole, error = await _within(reader, window_s, item, join)
            yield whole
            if error is not None:
                raise error


async def _within(
    reader: Reader[T], window_s: float, item: T, join: Callable[[T, T], T]
) -> tuple[T, Exception | None]:
    """``item`` with what comes in the next ``window_s``, and the error that ended it, if any."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + window_s
    try:
        while (more := await reader.next(max(0.0, until_s - loop.time()))) is not None:
            item = join(item, more)
    except TimeoutError:
        return item, None
    except Exception as error:
        return item, error
    return item, None
