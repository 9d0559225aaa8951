"""The portraits that a replica has prepared: its own for good, others for as long as they are used.

What was prepared of somebody's picture must not outlive its deletion for long, and no replica is
told of that; so whatever nobody asked for in a while is dropped.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from deployments.errors import UnknownPortraitError
from deployments.types import PortraitSource

PortraitT = TypeVar("PortraitT")


class Shelf(Generic[PortraitT]):
    """Prepared portraits by their ids.

    Args of the constructor:
        builtin: are never dropped.
        prepare: makes another one.
        n_added: so many of the others are kept, those last asked for.
        keep_s: how long one is kept that nobody asks for.
    """

    def __init__(
        self,
        builtin: Mapping[str, PortraitT],
        prepare: Callable[[PortraitSource], Awaitable[PortraitT]],
        *,
        n_added: int,
        keep_s: float,
    ) -> None:
        self._builtin, self._prepare = builtin, prepare
        self._n_added, self._keep_s = n_added, keep_s
        self._added: OrderedDict[str, PortraitT] = OrderedDict()  # the last asked for is the last
        self._expiry: dict[str, asyncio.TimerHandle] = {}
        self._preparing: dict[str, asyncio.Task[PortraitT]] = {}

    async def get(self, avatar_id: str, source: PortraitSource | None = None) -> PortraitT:
        """The portrait, prepared from ``source`` if it is not there.

        Raises:
            UnknownPortraitError: it is not there, and neither is a source.
            AvatarError: it could not be prepared.
        """
        if avatar_id in self._builtin:
            return self._builtin[avatar_id]
        if avatar_id in self._added:
            return self._used(avatar_id)
        return await self._made(avatar_id, source)

    async def _made(self, avatar_id: str, source: PortraitSource | None) -> PortraitT:
        """Have it prepared, once for all who ask meanwhile; one who leaves stops it for nobody."""
        if avatar_id not in self._preparing:
            if source is None:
                raise UnknownPortraitError(f"no portrait {avatar_id!r} here", stage="avatar")
            task = asyncio.ensure_future(self._prepare(source))
            task.add_done_callback(lambda ended: self._prepared(avatar_id, ended))
            self._preparing[avatar_id] = task
        return await asyncio.shield(self._preparing[avatar_id])

    def _prepared(self, avatar_id: str, ended: "asyncio.Task[PortraitT]") -> None:
        del self._preparing[avatar_id]
        if not ended.cancelled() and ended.exception() is None:
            self._added[avatar_id] = ended.result()
            self._used(avatar_id)
            while len(self._added) > self._n_added:
                self._drop(next(iter(self._added)))

    def _used(self, avatar_id: str) -> PortraitT:
        self._added.move_to_end(avatar_id)
        if avatar_id in self._expiry:
            self._expiry[avatar_id].cancel()
        loop = asyncio.get_running_loop()
        self._expiry[avatar_id] = loop.call_later(self._keep_s, self._drop, avatar_id)
        return self._added[avatar_id]

    def _drop(self, avatar_id: str) -> None:
        """Whoever is drawing it goes on to the end of his stretch."""
        del self._added[avatar_id]
        self._expiry.pop(avatar_id).cancel()
