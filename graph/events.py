"""What a turn tells whoever started it, in order. A turn that fails raises instead."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from deployments.types import ReplyDelta, Transcript


@dataclass(frozen=True, slots=True)
class QueueUpdated:
    """The turn waits for room: its place in the queue, from 1, and the wait that is predicted."""

    position: int
    predicted_wait_s: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a turn in progress has come, for whoever decides whether one more fits.

    ``spoken_s``: seconds of the reply's speech that are there. ``sent_s``: how much of it was sent
    with its picture. ``ahead_s``: how far the end of that is ahead of the viewer (negative when the
    viewer waits). ``is_all_spoken``: no more speech will come. ``is_held``: the viewer does not
    take what is there, so the turn needs nothing for now and its lead does not shrink.
    """

    spoken_s: float
    sent_s: float
    ahead_s: float
    is_all_spoken: bool
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class TranscriptUpdated:
    """The user's words are known."""

    transcript: Transcript


@dataclass(frozen=True, slots=True)
class VideoFragment:
    """A piece of the reply's MP4; ``index`` 0 is ``ftyp moov`` and alone carries ``mime``.

    The last one (``is_last``) is the closing ``mfra`` box.
    """

    index: int
    data: bytes
    mime: str | None = None
    is_last: bool = False


LadderLevel = Literal["half_rate", "idle_face", "voice_only"]


@dataclass(frozen=True, slots=True)
class LadderStep:
    """From when to when (reply clock) the face was reduced, and to what.

    ``level``: ``half_rate`` (12.5 drawn frames a second), ``idle_face`` (the face at rest moves,
    the voice goes on) or ``voice_only`` (a still picture under the voice).
    """

    level: LadderLevel
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, in ms; names and meanings as in the HTTP interface.

    A stage that had no part in the turn is ``None``.
    """

    decode_ms: float | None = None
    asr_ms: float | None = None
    llm_first_token_ms: float | None = None
    llm_ms: float | None = None
    tts_first_audio_ms: float | None = None
    avatar_first_frame_ms: float | None = None
    ttfa_ms: float | None = None
    ttff_ms: float | None = None
    turn_ms: float | None = None
    audio_s: float | None = None
    rtf: float | None = None
    av_skew_ms: float | None = None  # between the ends of sound and picture sent, at the worst
    ladder: tuple[LadderStep, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """The turn ended well. ``is_shortened``: the language model was lost in mid-reply, and the
    reply ends after its last whole sentence."""

    user_text: str
    response_text: str
    language: str
    timings: Timings
    engines: Mapping[str, str]
    is_shortened: bool = False


TurnEvent = TranscriptUpdated | ReplyDelta | VideoFragment | ReplyFinished
