"""What is shown where drawing came too late: the face at rest, encoded once and kept ready.

Every stretch of a profile has the same SPS and PPS and starts with a keyframe, so these units can
take the place of any other stretch's, at no drawing cost and without asking any replica.
"""

import asyncio
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np

from deployments.types import AudioChunk, Stretch, VideoPackets
from graph.events import LadderLevel
from graph.stages import AvatarStage
from graph.timeline import TAIL_FRAMES

LONGEST_STRETCH = 42
"""In frames; a tail may come on top."""

_N_FRAMES = LONGEST_STRETCH + TAIL_FRAMES

_NEEDED_IN_S = 5.0
"""Far enough ahead that drawing it never comes before a turn's own frames."""


@dataclass(frozen=True, slots=True, eq=False)
class StandIn:
    """One avatar's face at rest. Each is a run of units whose first is a keyframe."""

    moving: VideoPackets
    still: VideoPackets

    def packets(
        self, level: LadderLevel, first_frame: int, n_frames: int, turn_no: int
    ) -> VideoPackets:
        """``n_frames`` (at most ``_N_FRAMES``) that continue a reply at ``first_frame``."""
        source = self.still if level == "voice_only" else self.moving
        units = source.units[:n_frames]
        return replace(source, units=units, first_frame=first_frame, turn_no=turn_no)


_N_KEPT = 64  # those of the faces last used; 0.1 MB each


class StandIns:
    """One process's stand-ins, each drawn once, when nobody waits for anything else."""

    def __init__(self, avatar: AvatarStage) -> None:
        self._avatar = avatar
        self._ready: dict[str, StandIn] = {}  # the last used is the last
        self._drawing: dict[str, asyncio.Task[None]] = {}

    def of(self, avatar_id: str) -> StandIn | None:
        """The avatar's stand-in; ``None`` where it was not prepared."""
        return self._ready.get(avatar_id)

    async def prepare(self, avatar_id: str) -> None:
        """Draw the avatar's stand-in unless it is there, once for all who ask meanwhile.

        Raises:
            StageError: the avatar stage failed.
        """
        if avatar_id in self._ready:
            self._ready[avatar_id] = self._ready.pop(avatar_id)
            return
        if avatar_id not in self._drawing:
            task = asyncio.create_task(self._draw(avatar_id))
            task.add_done_callback(lambda ended: self._ended(avatar_id, ended))
            self._drawing[avatar_id] = task
        await asyncio.shield(self._drawing[avatar_id])

    def forget(self, avatar_id: str) -> None:
        """The avatar is no more."""
        self._ready.pop(avatar_id, None)

    def keep_only(self, avatar_ids: Collection[str]) -> None:
        """All other avatars are no more."""
        for avatar_id in self._ready.keys() - set(avatar_ids):
            self.forget(avatar_id)

    def _ended(self, avatar_id: str, drawing: "asyncio.Task[None]") -> None:
        del self._drawing[avatar_id]
        if not drawing.cancelled():
            drawing.exception()  # those who waited have it; with none left, it is of no interest

    async def _draw(self, avatar_id: str) -> None:
        moving = await self._rest(avatar_id, frame_step=1)
        still = await self._rest(avatar_id, frame_step=_N_FRAMES)
        self._ready[avatar_id] = StandIn(moving, still)
        if len(self._ready) > _N_KEPT:
            self.forget(next(iter(self._ready)))

    async def _rest(self, avatar_id: str, *, frame_step: int) -> VideoPackets:
        silence = AudioChunk(np.zeros(0, np.float32), 16_000)
        stretch = Stretch(
            avatar_id,
            silence,
            (),
            first_frame=0,
            n_frames=_N_FRAMES,
            needed_in_s=_NEEDED_IN_S,
            frame_step=frame_step,
        )
        async with aclosing(self._avatar.render(stretch)) as packets:
            parts = [part async for part in packets]
        units = tuple(unit for part in parts for unit in part.units)
        return replace(parts[0], units=units, effort=None)
