"""Pictures of a face at rest: a thumbnail and a looping video, made once and kept in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import cv2
import numpy as np

from deployments.types import Frame
from graph.stages import Stages

THUMBNAIL_HEIGHT_PX = 288
_WEBP_QUALITY = 85


class Faces:
    """Drawn when first asked for; whoever asks meanwhile waits for the same drawing."""

    def __init__(self, stages: Stages, idle_loop: Callable[[str], Awaitable[bytes]]) -> None:
        self._stages = stages
        self._idle_loop = idle_loop
        self._made: dict[tuple[str, str], bytes] = {}
        self._making: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def thumbnail(self, avatar_id: str) -> bytes:
        """A WebP picture."""
        return await self._once(("thumbnail", avatar_id), self._draw_thumbnail)

    async def idle(self, avatar_id: str) -> bytes:
        """An MP4 whose end joins its beginning."""
        return await self._once(("idle", avatar_id), self._draw_idle)

    async def _once(
        self, key: tuple[str, str], draw: Callable[[str], Coroutine[None, None, bytes]]
    ) -> bytes:
        if key not in self._made:
            if key not in self._making:
                self._making[key] = asyncio.create_task(self._make(key, draw))
            # One visitor who leaves must not stop the drawing that others wait for.
            await asyncio.shield(self._making[key])
        return self._made[key]

    async def _make(
        self, key: tuple[str, str], draw: Callable[[str], Coroutine[None, None, bytes]]
    ) -> None:
        try:
            self._made[key] = await draw(key[1])
        finally:
            del self._making[key]

    async def _draw_thumbnail(self, avatar_id: str) -> bytes:
        still = await self._stages.avatar.still(avatar_id)
        return await asyncio.to_thread(_encode_thumbnail, still)

    async def _draw_idle(self, avatar_id: str) -> bytes:
        return await self._idle_loop(avatar_id)


def _encode_thumbnail(frame: Frame) -> bytes:
    height, width = frame.shape[:2]
    size = (max(1, round(width * THUMBNAIL_HEIGHT_PX / height)), THUMBNAIL_HEIGHT_PX)
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    return np.asarray(data).tobytes()
