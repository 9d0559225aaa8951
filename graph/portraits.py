"""Portraits that people added: a replica that does not know one is sent its picture.

Stretches name a portrait by its id alone, since a picture is a thousand times their size. Which
replica knows which portrait is nobody's business: each says so itself.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from deployments.errors import UnknownPortraitError
from deployments.types import PortraitSource, Stretch, VideoPackets

FindPortrait = Callable[[str], Awaitable[PortraitSource | None]]
"""The picture of an added portrait, by its id; ``None`` if there is none (any more)."""


async def nobodys(avatar_id: str) -> None:
    """``FindPortrait`` where nobody adds any."""


async def supplied(
    stretch: Stretch,
    order: Callable[[Stretch], AsyncGenerator[VideoPackets, None]],
    find: FindPortrait,
) -> AsyncGenerator[VideoPackets, None]:
    """The packets of an ordered stretch; ordered again, with the picture, where that is missing.

    Raises:
        UnknownPortraitError: there is no such picture.
        StageError: as ``order`` raised it.
    """
    try:
        async with aclosing(order(stretch)) as packets:
            async for part in packets:
                yield part
        return
    except UnknownPortraitError:  # said before anything is drawn
        source = await find(stretch.avatar_id)
        if source is None:
            raise
    async with aclosing(order(replace(stretch, source=source))) as packets:
        async for part in packets:
            yield part
