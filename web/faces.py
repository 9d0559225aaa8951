"""Pictures of a face at rest: a thumbnail and a looping video, drawn once.

Those of built-in faces are kept in memory; those of others on the disk, where they are erased
together with the face. Another engine draws another face at rest, so each has files of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import cv2
import numpy as np

from deployments.caller import logger_of
from deployments.types import AvatarCapabilities, AvatarCard, Frame, PortraitSource
from graph.stages import Stages
from web.library import Library
from web.problems import RefusedError

logger = logger_of("avatar.web")

THUMBNAIL_HEIGHT_PX = 288
_WEBP_QUALITY = 85
_THUMBNAIL, _IDLE = "thumbnail.webp", "idle.mp4"


class Faces:
    """Drawn when first asked for; whoever asks meanwhile waits for the same drawing."""

    def __init__(
        self, stages: Stages, idle_loop: Callable[[str], Awaitable[bytes]], library: Library
    ) -> None:
        self._avatar, self._idle_loop, self._library = stages.avatar, idle_loop, library
        self._builtin: dict[tuple[str, str], bytes] = {}
        self._making: dict[tuple[str, str], asyncio.Task[bytes]] = {}

    async def thumbnail(self, card: AvatarCard) -> bytes:
        """A WebP picture."""
        return await self._once(_THUMBNAIL, card, self._draw_thumbnail)

    async def idle(self, card: AvatarCard) -> bytes:
        """An MP4 whose end joins its beginning."""
        return await self._once(_IDLE, card, self._draw_idle)

    async def first_thumbnail(self, source: PortraitSource) -> tuple[str, bytes]:
        """Of a face that is not kept yet: the file in which to keep it, and what is in there.

        Raises:
            UnusableInputError: the engine cannot animate this face.
            StageError: drawing failed.
        """
        still = await self._avatar.still(source.id, source)
        name = _file(_THUMBNAIL, await self._avatar.describe())
        return name, await asyncio.to_thread(_encode_thumbnail, still)

    async def _once(
        self,
        what: str,
        card: AvatarCard,
        draw: Callable[[str], Coroutine[None, None, bytes]],
    ) -> bytes:
        key = (what, card.id)
        if key not in self._making and (kept := await self._kept(what, card)) is not None:
            return kept
        if key not in self._making:
            self._making[key] = asyncio.create_task(self._make(what, card, draw))
        # One visitor who leaves must not stop the drawing that others wait for.
        return await asyncio.shield(self._making[key])

    async def _make(
        self,
        what: str,
        card: AvatarCard,
        draw: Callable[[str], Coroutine[None, None, bytes]],
    ) -> bytes:
        try:
            made = await draw(card.id)
            await self._keep(what, card, made)
            return made
        finally:
            del self._making[what, card.id]

    async def _kept(self, what: str, card: AvatarCard) -> bytes | None:
        if card.builtin:
            return self._builtin.get((what, card.id))
        name = _file(what, await self._avatar.describe())
        return await asyncio.to_thread(self._library.read, "avatar", card.id, name)

    async def _keep(self, what: str, card: AvatarCard, made: bytes) -> None:
        if card.builtin:
            self._builtin[what, card.id] = made
            return
        name = _file(what, await self._avatar.describe())
        try:
            await asyncio.to_thread(self._library.put, "avatar", card.id, name, made)
        except (RefusedError, OSError) as error:  # it can be shown all the same
            logger.warning("a face at rest was not kept: %s", type(error).__name__)

    async def _draw_thumbnail(self, avatar_id: str) -> bytes:
        still = await self._avatar.still(avatar_id)
        return await asyncio.to_thread(_encode_thumbnail, still)

    async def _draw_idle(self, avatar_id: str) -> bytes:
        return await self._idle_loop(avatar_id)


def _file(what: str, facts: AvatarCapabilities) -> str:
    return f"{facts.engine}-{facts.width_px}x{facts.height_px}-{what}"


def _encode_thumbnail(frame: Frame) -> bytes:
    height, width = frame.shape[:2]
    size = (max(1, round(width * THUMBNAIL_HEIGHT_PX / height)), THUMBNAIL_HEIGHT_PX)
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    return np.asarray(data).tobytes()
