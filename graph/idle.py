"""The face at rest: a short loop that shows it breathing and blinking."""

from contextlib import aclosing

import numpy as np

from deployments.types import AudioChunk, Stretch
from graph.mux import silent_mp4
from graph.stages import AvatarStage
from graph.timeline import TAIL_FRAMES

LOOP_S = 8.0
"""Long enough for two or three blinks; it begins and ends in the rest pose, so it loops."""

_NEEDED_IN_S = 10.0
"""Whoever looks at a silent face can wait for it; somebody else's speech cannot."""


async def idle_loop(avatar: AvatarStage, avatar_id: str) -> bytes:
    """A looping MP4 of the silent face, without a sound track.

    Raises:
        StageError: the avatar stage failed.
    """
    facts = await avatar.describe()
    sound = AudioChunk(np.zeros(0, np.float32), 16_000)
    n_frames = round(LOOP_S * facts.fps)
    stretch = Stretch(
        avatar_id, sound, (), 0, n_frames, n_rest_frames=TAIL_FRAMES, needed_in_s=_NEEDED_IN_S
    )
    async with aclosing(avatar.render(stretch)) as packets:
        parts = [part async for part in packets]
    return silent_mp4(parts, facts.width_px, facts.height_px)
