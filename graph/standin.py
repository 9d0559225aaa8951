"""What is shown where drawing came too late: the face at rest, encoded once and kept ready.

Every stretch of a profile has the same SPS and PPS and starts with a keyframe, so these units can
take the place of any other stretch's, at no drawing cost and without asking any replica.
"""

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


class StandIns:
    """One process's stand-ins, each drawn once, when nobody waits for anything else."""

    def __init__(self, avatar: AvatarStage) -> None:
        self._avatar = avatar
        self._ready: dict[str, StandIn] = {}

    def of(self, avatar_id: str) -> StandIn | None:
        """The avatar's stand-in; ``None`` where it was not prepared."""
        return self._ready.get(avatar_id)

    async def prepare(self, avatar_id: str) -> None:
        """Draw the avatar's stand-in unless it is there.

        Raises:
            StageError: the avatar stage failed.
        """
        if avatar_id in self._ready:
            return
        moving = await self._rest(avatar_id, frame_step=1)
        still = await self._rest(avatar_id, frame_step=_N_FRAMES)
        self._ready[avatar_id] = StandIn(moving, still)

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
