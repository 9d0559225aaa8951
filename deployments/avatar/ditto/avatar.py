"""Ditto as an engine: a photograph, moved by sound and drawn, for many sessions at once."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from deployments.avatar.ditto.condition import Character
from deployments.avatar.ditto.controls import BLINK_RATE, CONTROLS
from deployments.avatar.ditto.frame import in_frame
from deployments.avatar.ditto.loading import Parts, build_plans, loaded
from deployments.avatar.ditto.moving import Mover
from deployments.avatar.ditto.paste import PastePlan
from deployments.avatar.ditto.pose import N_POINTS
from deployments.avatar.ditto.register import network_input
from deployments.avatar.ditto.settings import FPS, NAME, DittoSettings, licence_refusal
from deployments.avatar.ditto.sound import REACH_S
from deployments.avatar.engine import DrawRequest, MoveRequest
from deployments.errors import AvatarError, EngineInputError, EngineLoadError
from deployments.types import (
    AvatarCapabilities,
    ControlRange,
    Frame,
    Motion,
    PortraitSource,
    Stretch,
)
from deployments.weights import ModelNeed

_POINTS = 2, N_POINTS, 3
N_COLUMNS = int(np.prod(_POINTS))
"""Of motion: key points of the source and of the driven face."""
Moved: TypeAlias = tuple[Motion, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class DittoPortrait:
    """``volume`` is the runtime's own; ``paste`` holds the picture."""

    id: str
    volume: Any
    face: Character
    paste: PastePlan


class DittoAvatar:
    """Fulfils ``AvatarEngine`` and ``MovesTogether``."""

    Settings = DittoSettings

    def __init__(self, settings: DittoSettings, parts: Parts | None = None) -> None:
        """``parts``: what ``loaded`` makes of the settings, where that has been done."""
        self._settings = settings
        self._parts = loaded(settings) if parts is None else parts
        self._mover = Mover(settings, self._parts)
        live, offline = self._parts.live, self._parts.offline
        self.capabilities = AvatarCapabilities(
            engine=NAME,
            width_px=settings.width_px,
            height_px=settings.height_px,
            fps=FPS,
            context_s=live.n_ahead / FPS + REACH_S,
            batch=settings.batch,
            controls=_offered(settings.look.controls, self._parts),
            offline_context_s=offline.n_ahead / FPS + REACH_S,
        )

    @staticmethod
    def models(settings: DittoSettings) -> tuple[ModelNeed, ...]:
        """The checkpoint; none where the settings name a folder."""
        return (settings.need(),) if settings.model == NAME else ()

    @staticmethod
    def lacks(settings: DittoSettings) -> str:
        """That the licence of the published detectors is accepted, where they are asked for."""
        return licence_refusal(settings)

    @staticmethod
    def build_plans(settings: DittoSettings, say: Callable[[str], None]) -> None:
        """As ``BuildsPlans``."""
        build_plans(settings, say)

    def prepare(self, source: PortraitSource) -> DittoPortrait:
        """The face's place in its picture, its features, its key points and the state of its eyes.

        Raises:
            UnusableInputError: ``no_face``, ``many_faces`` or ``too_small``.
            EngineInputError: no picture, or landmarks that are not of it.
        """
        shape = source.image.shape
        if len(shape) != 3 or shape[2] != 3 or not source.image.size:
            raise EngineInputError(f"a picture of shape {shape}", stage="avatar")
        found = self._parts.registrar.register(source.image, source.landmarks)
        shown = in_frame(found, self._settings.width_px, self._settings.height_px)
        seen = network_input(shown.crop)
        with _watching():
            volume = self._parts.networks.appearance(seen)
            info = self._parts.networks.motion_info(seen)
        face = Character([info], found.eye_open[None], found.eye_ball[None], info["kp"])
        paste = PastePlan(shown.to_picture, shown.picture)
        return DittoPortrait(source.id, volume, face, paste)

    def move(self, portrait: DittoPortrait, stretch: Stretch) -> Moved:
        """Speech to motion, (n_frames, 126), and the state after it, at most 1 MB.

        Raises:
            EngineInputError: a foreign or damaged state, an unknown control or one out of range.
        """
        [moved] = self.move_together([MoveRequest(portrait, stretch)])
        if isinstance(moved, AvatarError):
            raise moved
        return moved

    def move_together(
        self, requests: Sequence[MoveRequest[DittoPortrait]]
    ) -> list[Moved | AvatarError]:
        """What ``move`` gives for each, or raises; the windows of all in one batch."""
        with _watching():
            moved = self._mover.move([(one.portrait.face, one.stretch) for one in requests])
        return [
            one if isinstance(one, AvatarError) else (one[0].reshape(-1, N_COLUMNS), one[1])
            for one in moved
        ]

    def draw(self, requests: Sequence[DrawRequest[DittoPortrait]]) -> list[Frame]:
        """One frame each, in order.

        Raises:
            EngineInputError: motion that this engine did not make.
        """
        for request in requests:
            if request.motion.shape != (N_COLUMNS,):
                text = f"motion of shape {request.motion.shape}, not ({N_COLUMNS},)"
                raise EngineInputError(text, stage="avatar")
        if not requests:
            return []
        motion = np.stack([request.motion.reshape(_POINTS) for request in requests])
        with _watching():
            faces = self._parts.networks.paint([one.portrait.volume for one in requests], motion)
        pairs = zip(requests, faces, strict=True)
        return [request.portrait.paste.paste(face) for request, face in pairs]


def _offered(usual: Mapping[str, float], parts: Parts) -> tuple[ControlRange, ...]:
    """The controls that have an effect, with their resting values."""
    blinks = any(way.asked.blink is not None for way in (parts.live, parts.offline))
    return tuple(
        ControlRange(c.name, c.minimum, c.maximum, usual.get(c.name, c.default))
        for c in CONTROLS
        if c.name != BLINK_RATE or blinks
    )


@contextmanager
def _watching() -> Iterator[None]:
    """Tell a card that is only full from one that this process cannot use any more."""
    try:
        yield
    except AvatarError:
        raise
    except Exception as error:
        torch = sys.modules.get("torch")  # without it nothing of its kind was raised
        if torch is not None and isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        elif torch is not None and isinstance(error, torch.AcceleratorError):
            text = f"ditto lost its GPU: {error}"
            raise EngineLoadError(text, stage="avatar", retryable=True) from error
        raise
