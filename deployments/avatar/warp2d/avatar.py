"""The engine: one picture, warped. Draws a frame of 384x576 in about 3 ms on one core."""

from collections.abc import Sequence

import cv2
from pydantic import Field

from deployments.avatar.engine import DrawRequest
from deployments.avatar.warp2d import draw, mesh, motion
from deployments.avatar.warp2d.columns import N_COLUMNS
from deployments.avatar.warp2d.draw import WarpPortrait
from deployments.config import Settings
from deployments.errors import EngineInputError, UnusableInputError
from deployments.types import AvatarCapabilities, Frame, Motion, PortraitSource, Stretch

_WIDTH_PX, _HEIGHT_PX = 384, 576
_LEAST_FACE_PX = 48  # between the eyes' outer corners; a smaller face has no lips to move


class Warp2dAvatar:
    """Fulfils ``AvatarEngine`` with no weights at all."""

    class Settings(Settings):
        """``batch``: how many frames one ``draw`` call likes to get.

        Large batches promise nothing here, where a call takes as long as its frames do, and make
        a new turn wait for the batch in progress. Measured, one run each, load 2-3 (2026-11): one
        by one cost 4 % more than three at a time, and from two on no difference was seen. The
        first packet of a new turn beside seven that speak, p50 / p95 on one core: 39 / 42 ms with
        3, 39 / 45 with 5, 58 / 101 with 8, and 97 / 227 with a packet of each stream in turn.
        """

        batch: int = Field(default=3, ge=1)

    def __init__(self, settings: Settings) -> None:
        cv2.setNumThreads(1)  # a replica has one core; OpenCV's pool would take others' time
        self.capabilities = AvatarCapabilities(
            engine="warp2d",
            width_px=_WIDTH_PX,
            height_px=_HEIGHT_PX,
            fps=motion.FPS,
            context_s=motion.CONTEXT_S,
            batch=settings.batch,
            controls=motion.CONTROLS,
        )

    def prepare(self, source: PortraitSource) -> WarpPortrait:
        """Fields, lids and the mouth's inside for one portrait, its lips closed if they were not;
        0.12 to 0.2 s.

        Raises:
            UnusableInputError: no landmarks, or a face too small to move.
        """
        if source.landmarks is None or len(source.landmarks) < mesh.N_POINTS:
            raise UnusableInputError("this picture came without face landmarks", code="no_face")
        eyes = source.landmarks[[33, 263]]
        if abs(float(eyes[1, 0] - eyes[0, 0])) < _LEAST_FACE_PX:
            raise UnusableInputError("the face is too small to be animated", code="too_small")
        return draw.prepare(source, _WIDTH_PX, _HEIGHT_PX)

    def move(self, portrait: WarpPortrait, stretch: Stretch) -> tuple[Motion, bytes]:
        """Speech to motion, (n_frames, 16) as ``Column`` names it.

        Raises:
            EngineInputError: a foreign or damaged state, an unknown control or one out of range.
        """
        return motion.move(portrait.id, stretch)

    def draw(self, requests: Sequence[DrawRequest[WarpPortrait]]) -> list[Frame]:
        """One frame each, in order.

        Raises:
            EngineInputError: motion that this engine did not make.
        """
        for request in requests:
            if request.motion.shape != (N_COLUMNS,):
                raise EngineInputError(
                    f"motion of shape {request.motion.shape}, not ({N_COLUMNS},)", stage="avatar"
                )
        return [draw.draw(request.portrait, request.motion) for request in requests]
