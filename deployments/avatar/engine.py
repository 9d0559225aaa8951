"""The talking face: what an avatar model's author writes, in three verbs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from deployments.errors import AvatarError
from deployments.types import AvatarCapabilities, Frame, Motion, PortraitSource, Stretch

PortraitT = TypeVar("PortraitT")


@dataclass(frozen=True, slots=True, eq=False)
class DrawRequest(Generic[PortraitT]):
    """One frame to draw: ``motion`` is (d,) float32, one row of what ``move`` returned.

    ``needed_in_s`` is when its viewer needs it, relative to the call.
    """

    portrait: PortraitT
    motion: Motion
    needed_in_s: float


@dataclass(frozen=True, slots=True, eq=False)
class MoveRequest(Generic[PortraitT]):
    """A stretch to be moved with others."""

    portrait: PortraitT
    stretch: Stretch


class AvatarEngine(Protocol[PortraitT]):
    """Holds weights, never a conversation; called from one thread at a time; may block."""

    capabilities: AvatarCapabilities

    def prepare(self, source: PortraitSource) -> PortraitT:
        """All that can be computed of a portrait once. The caller keeps the result.

        Raises:
            UnusableInputError: ``no_face``, ``many_faces`` or ``too_small``.
        """
        ...

    def move(self, portrait: PortraitT, stretch: Stretch) -> tuple[Motion, bytes]:
        """Speech to motion: ``stretch.n_frames`` rows, and the state for the next stretch.

        Deterministic: the same stretch gives the same motion on every replica, and speech moved
        in several stretches with carried state equals speech moved in one, as long as each
        stretch got its ``context_s``. With ``motion_state=None`` the first frame continues the
        rest pose; the last of ``n_rest_frames`` is the rest pose.

        Raises:
            EngineInputError: a state of another engine or version, or a control out of range.
        """
        ...

    def draw(self, requests: Sequence[DrawRequest[PortraitT]]) -> list[Frame]:
        """The frames of ``requests`` in their order; they may belong to different sessions."""
        ...


@runtime_checkable
class MovesTogether(Protocol[PortraitT]):
    """An ``AvatarEngine`` that moves several stretches in less than the sum of their times."""

    def move_together(
        self, requests: Sequence[MoveRequest[PortraitT]]
    ) -> list[tuple[Motion, bytes] | AvatarError]:
        """What ``move`` gives for each, in order, or what it raises."""
        ...


@runtime_checkable
class BuildsPlans(Protocol):
    """The class of an engine that makes something of its weights for the machine that it runs on.

    It does so by itself when it is loaded; made beforehand, that takes seconds instead of minutes.
    """

    @staticmethod
    def build_plans(settings: Any, say: Callable[[str], None]) -> None:
        """Make what is not there yet, with its own ``Settings``; ``say`` is told what takes long.

        Raises:
            EngineLoadError: that cannot be done here.
        """
        ...
