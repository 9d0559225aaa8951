"""The avatar stage on a replica: portraits prepared once, stretches drawn for whoever asks."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import numpy as np

from deployments.avatar.engine import AvatarEngine, DrawRequest
from deployments.avatar.portraits import builtin_portraits
from deployments.avatar.render import stretch_packets
from deployments.config import AvatarConfig
from deployments.errors import EngineInputError
from deployments.registry import load_engine
from deployments.streams import EngineThread, engine_errors, from_engine
from deployments.types import (
    AudioChunk,
    AvatarCapabilities,
    AvatarCard,
    Frame,
    Stretch,
    VideoPackets,
)


class Avatar:
    """Loaded, its built-in portraits prepared, and warm when constructed.

    Streams of several sessions take turns on the engine's one thread, a packet at a time.
    """

    def __init__(self, config: AvatarConfig) -> None:
        self._encoder = config.encoder
        self._engine: AvatarEngine[Any] = load_engine("avatar", config.engine, config.options)
        self._thread = EngineThread("avatar")
        self._hang_timeout_s = config.hang_timeout_s
        sources = builtin_portraits()
        with engine_errors("avatar"):
            self._portraits = {source.id: self._engine.prepare(source) for source in sources}
            facts = self._engine.capabilities
            self._cards = tuple(
                AvatarCard(s.id, s.name, facts.width_px, facts.height_px, s.builtin)
                for s in sources
            )
            for _ in self._packets(self._silence(self._cards[0].id, n_frames=2)):
                pass  # warms up the engine and the encoder

    async def check_health(self) -> None:
        """Asked by Serve, which replaces the replica when this raises."""
        self._thread.check(self._hang_timeout_s)

    async def describe(self) -> AvatarCapabilities:
        """What the engine can do."""
        return self._engine.capabilities

    async def portraits(self) -> tuple[AvatarCard, ...]:
        """The faces that can be drawn; the first is the default."""
        return self._cards

    async def still(self, avatar_id: str) -> Frame:
        """The face at rest."""
        return await self._thread.run(self._draw_rest, avatar_id)

    async def render(self, stretch: Stretch) -> AsyncGenerator[VideoPackets, None]:
        """The stretch's H.264 packets, the first one with a keyframe."""
        stream = from_engine(self._packets(stretch), self._thread)
        async with aclosing(stream) as packets:
            async for part in packets:
                yield part

    def _packets(self, stretch: Stretch) -> Iterator[VideoPackets]:
        portrait = self._portrait(stretch.avatar_id)
        yield from stretch_packets(self._engine, portrait, stretch, self._encoder)

    def _draw_rest(self, avatar_id: str) -> Frame:
        portrait = self._portrait(avatar_id)
        motion, _ = self._engine.move(portrait, self._silence(avatar_id, n_frames=1))
        return self._engine.draw([DrawRequest(portrait, motion[0], 0.0)])[0]

    def _portrait(self, avatar_id: str) -> Any:
        if avatar_id not in self._portraits:
            raise EngineInputError(f"no portrait {avatar_id!r}", stage="avatar")
        return self._portraits[avatar_id]

    def _silence(self, avatar_id: str, n_frames: int) -> Stretch:
        sound = AudioChunk(np.zeros(0, np.float32), 16_000)
        return Stretch(avatar_id, sound, (), 0, n_frames, n_rest_frames=n_frames)
