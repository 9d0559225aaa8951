"""One reply as nested streams: sentences -> speech -> face."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field

from deployments.types import AudioChunk, Message
from graph.events import TurnEvent
from graph.stages import Stages


@dataclass(frozen=True, slots=True, eq=False)
class TurnRequest:
    """What somebody asked for. Exactly one of ``audio`` and ``text`` is set.

    ``received_at_s`` is the monotonic time of the request's last byte, from which TTFA, TTFF and
    turn time count. ``look_ahead_s``: how far drawing may run ahead of playback; ``None`` for a
    caller who waits for the whole.
    """

    audio: AudioChunk | None
    text: str | None
    language: str | None
    avatar_id: str
    received_at_s: float
    voice_id: str | None = None
    history: tuple[Message, ...] = ()
    look_ahead_s: float | None = None
    decode_ms: float | None = None
    controls: Mapping[str, float] = field(default_factory=dict)
    turn_no: int = 0


def converse(
    request: TurnRequest, stages: Stages, now: Callable[[], float]
) -> AsyncGenerator[TurnEvent, None]:
    """A whole turn: the user's speech or text is answered by the face."""
    raise NotImplementedError


def narrate(
    request: TurnRequest, stages: Stages, now: Callable[[], float]
) -> AsyncGenerator[TurnEvent, None]:
    """The face speaks ``request.text`` as it stands."""
    raise NotImplementedError


def animate(
    request: TurnRequest, stages: Stages, now: Callable[[], float]
) -> AsyncGenerator[TurnEvent, None]:
    """The face moves to ``request.audio``, which is the reply's sound."""
    raise NotImplementedError
