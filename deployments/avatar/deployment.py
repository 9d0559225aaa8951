"""The avatar stage on a replica: portraits prepared once, stretches drawn for whoever asks."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import numpy as np

from deployments.avatar.engine import AvatarEngine, DrawRequest
from deployments.avatar.portraits import builtin_portraits
from deployments.avatar.render import Outcome, Rendering, Studio, draw_batch, stretch_packets
from deployments.avatar.schedule import Due
from deployments.avatar.shelf import Shelf
from deployments.caller import NOBODY, Call, Caller
from deployments.config import AvatarConfig, EncoderConfig
from deployments.errors import AvatarError, EngineLoadError, EngineRuntimeError, engine_errors
from deployments.registry import load_engine
from deployments.streams import EngineThread
from deployments.types import (
    AudioChunk,
    AvatarCapabilities,
    AvatarCard,
    Frame,
    PortraitSource,
    Stretch,
    VideoPackets,
)

PortraitT = TypeVar("PortraitT")

_N_BATCHES = 2  # one being drawn, one waiting at the engine's thread

OnBatch = Callable[[int], None]
"""Told how many frames are drawn together."""


def _ignore_batch(n_frames: int) -> None:
    """The default observer."""


def _unobserved() -> OnBatch:
    return _ignore_batch


class Avatar:
    """Loaded, its built-in portraits prepared, and warm when constructed.

    Stretches of all sessions are drawn by one loop, the most urgent frames first. ``observer`` is
    called on the replica and makes what is told of each batch.
    """

    def __init__(self, config: AvatarConfig, observer: Callable[[], OnBatch] = _unobserved) -> None:
        self._engine: AvatarEngine[Any] = load_engine("avatar", config.engine, config.options)
        self._thread = EngineThread("avatar")
        self._loop = DrawingLoop(self._engine, config.encoder, self._thread, observer())
        self._hang_timeout_s = config.hang_timeout_s
        sources = builtin_portraits()
        with engine_errors("avatar"):
            portraits = {source.id: self._engine.prepare(source) for source in sources}
            facts = self._engine.capabilities
            self._cards = tuple(
                AvatarCard(s.id, s.name, facts.width_px, facts.height_px, s.builtin)
                for s in sources
            )
            self._warm_up(portraits[sources[0].id], config.encoder)
        self._shelf = Shelf(
            portraits,
            self._prepared,
            n_added=config.added_portraits,
            keep_s=config.keep_portrait_s,
        )

    async def check_health(self) -> None:
        """Asked by Serve, which replaces the replica when this raises."""
        self._thread.check(self._hang_timeout_s)

    async def describe(self) -> AvatarCapabilities:
        """What the engine can do."""
        return self._engine.capabilities

    async def portraits(self) -> tuple[AvatarCard, ...]:
        """The faces that are built in; the first is the default."""
        return self._cards

    async def still(self, avatar_id: str, source: PortraitSource | None = None) -> Frame:
        """The face at rest.

        Raises:
            UnknownPortraitError: it is not here, and there is no ``source``.
            UnusableInputError: the engine cannot animate this picture.
        """
        portrait = await self._shelf.get(avatar_id, source)
        return await self._thread.run(self._draw_rest, portrait, avatar_id)

    async def render(
        self, stretch: Stretch, caller: Caller = NOBODY
    ) -> AsyncGenerator[VideoPackets, None]:
        """The stretch's H.264 packets, the first one with a keyframe.

        Raises:
            UnknownPortraitError: before anything is drawn; it is not here, and the stretch came
                without its source.
        """
        with Call("avatar", caller) as call:
            portrait = await self._shelf.get(stretch.avatar_id, stretch.source)
            drawing = self._loop.render(portrait, stretch)
            async with aclosing(drawing) as packets:
                async for part in packets:
                    call.made(part.effort)
                    yield part

    def _warm_up(self, portrait: Any, encoder: EncoderConfig) -> None:
        silence = self._silence(self._cards[0].id, n_frames=2)
        for _ in stretch_packets(self._engine, portrait, silence, encoder):
            pass

    async def _prepared(self, source: PortraitSource) -> Any:
        return await self._thread.run(self._engine.prepare, source)

    def _draw_rest(self, portrait: Any, avatar_id: str) -> Frame:
        motion, _ = self._engine.move(portrait, self._silence(avatar_id, n_frames=1))
        return self._engine.draw([DrawRequest(portrait, motion[0], 0.0)])[0]

    def _silence(self, avatar_id: str, n_frames: int) -> Stretch:
        sound = AudioChunk(np.zeros(0, np.float32), 16_000)
        return Stretch(avatar_id, sound, (), 0, n_frames, n_rest_frames=n_frames)


class DrawingLoop(Generic[PortraitT]):
    """Draws the most urgent frames of all stretches in progress, batch after batch.

    It runs while there is something to draw, as a task that the first stretch starts. A batch is
    one hop to the engine's thread and back: moved, drawn and encoded there. The next one waits at
    the thread already, or the engine would be idle on every way back; so what comes new waits for
    two batches at most.
    """

    def __init__(
        self,
        engine: AvatarEngine[PortraitT],
        encoder: EncoderConfig,
        thread: EngineThread,
        on_batch: OnBatch = _ignore_batch,
    ) -> None:
        self._engine, self._thread, self._on_batch = engine, thread, on_batch
        self._studio = Studio(engine, encoder, thread.replica)
        self._schedule = self._studio.schedule()
        self._outcomes: dict[Rendering[PortraitT], asyncio.Queue[VideoPackets | AvatarError]] = {}
        self._task: asyncio.Task[None] | None = None

    async def render(
        self, portrait: PortraitT, stretch: Stretch
    ) -> AsyncGenerator[VideoPackets, None]:
        """The stretch's packets in order, each as soon as it is complete.

        Closing the stream takes the stretch off the loop at once; a batch in progress is finished.

        Raises:
            AvatarError: as the engine raised it for this stretch.
            EngineRuntimeError: for anything else that it raised, or the loop stopped.
        """
        rendering = Rendering(self._studio, portrait, stretch)
        # Bounded by the stretch: a packet for every ``frames_per_packet`` of its frames (25 in a
        # turn, 200 in the idle loop), and the error that ends it. The loop waits for no reader.
        outcomes: asyncio.Queue[VideoPackets | AvatarError] = asyncio.Queue()
        self._outcomes[rendering] = outcomes
        self._schedule.add(rendering, stretch, time.monotonic())
        self._start()
        n_left = stretch.n_frames - stretch.n_frames_sent
        try:
            while n_left > 0:
                outcome = await outcomes.get()
                if isinstance(outcome, AvatarError):
                    raise outcome
                n_left -= outcome.n_frames
                yield outcome
        finally:
            self._end(rendering)
            self._thread.submit(rendering.close)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._draw_all())

    async def _draw_all(self) -> None:
        batches: deque[asyncio.Task[list[Outcome[PortraitT]]]] = deque()
        while self._order(batches):
            try:
                self._hand_out(await batches.popleft())
            except Exception as error:  # nobody else would tell those who wait for what it drew
                self._give_up(error)

    def _order(self, batches: "deque[asyncio.Task[list[Outcome[PortraitT]]]]") -> bool:
        """Hand the most urgent frames to the thread; whether any are there."""
        while len(batches) < _N_BATCHES:
            if not (batch := self._schedule.take(self._engine.capabilities.batch)):
                break
            self._on_batch(len(batch))
            batches.append(asyncio.create_task(self._drawn(batch)))
        return bool(batches)

    def _hand_out(self, outcomes: Sequence[Outcome[PortraitT]]) -> None:
        for rendering, result in outcomes:
            if isinstance(result, AvatarError):
                self._schedule.drop(rendering)
            if isinstance(result, EngineLoadError):
                self._thread.lose(result)
            if rendering in self._outcomes:
                self._outcomes[rendering].put_nowait(result)

    async def _drawn(self, batch: Sequence[Due[Rendering[PortraitT]]]) -> list[Outcome[PortraitT]]:
        return await self._thread.run(draw_batch, self._engine, batch, time.monotonic())

    def _give_up(self, error: Exception) -> None:
        """End all that is in progress; the loop lives on for the next stretch.

        An engine's error has ended its own stretch, so this is ours and may concern anybody.
        """
        text = f"drawing stopped: {type(error).__name__}: {error}"
        for rendering, outcomes in self._outcomes.items():
            self._schedule.drop(rendering)
            # Each gets its own, because raising writes the traceback into it.
            outcomes.put_nowait(EngineRuntimeError(text, stage="avatar", retryable=True))

    def _end(self, rendering: Rendering[PortraitT]) -> None:
        rendering.is_over = True
        self._schedule.drop(rendering)
        del self._outcomes[rendering]
