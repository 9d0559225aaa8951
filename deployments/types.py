"""The records that flow between stages.

Frozen and slotted. Those that hold an array compare by identity (``eq=False``), because comparing
arrays element by element raises. Times are seconds counted in samples, on one of two clocks: the
user's audio since it began, or the reply's speech since its first sample.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""(n,) float32, mono, in [-1, 1]."""

Frame = NDArray[np.uint8]
"""(height, width, 3) uint8, BGR as OpenCV orders it."""

Motion = NDArray[np.float32]
"""(n_frames, d) float32; what the d columns mean is the avatar engine's own affair."""


class Word(NamedTuple):
    """A recognised word on the user's clock."""

    text: str
    start_s: float
    end_s: float


class Phoneme(NamedTuple):
    """A spoken sound in IPA on the reply's clock; an empty ``ipa`` is a pause."""

    ipa: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Effort:
    """What an output took on its replica, from which admission predicts what a machine can carry.

    ``busy_s``: seconds of wall time in which the replica's engine was at work on it. ``media_s``:
    seconds of speech that it made, heard or showed. ``replica`` is an opaque name.
    """

    replica: str
    busy_s: float
    media_s: float


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """A stretch of mono sound."""

    samples: Samples
    sample_rate_hz: int
    start_s: float = 0.0

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the user said; ``language`` is a BCP 47 primary tag."""

    text: str
    is_final: bool
    words: tuple[Word, ...]
    language: str
    effort: Effort | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the dialogue."""

    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What a reply has taken so far; ``cost_usd`` is 0 where no price is set."""

    n_prompt: int
    n_output: int
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class ReplyDelta:
    """A piece of the reply's text; the joined pieces are the whole reply.

    An empty one says only that the model is at work. ``engine`` is the one of a chain that speaks;
    it is empty where the stage's own engine does. ``usage`` counts from the reply's beginning and
    is ``None`` where nothing new is known.
    """

    text: str
    engine: str = ""
    usage: TokenUsage | None = None


@dataclass(frozen=True, slots=True)
class ReplySentence:
    """One sentence of the reply, as it will be spoken."""

    index: int
    text: str
    is_last: bool
    turn_no: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SpeechChunk:
    """A block of speech; ``phonemes`` lie within it and are empty where the engine has none.

    ``audio.start_s`` and the phonemes count from the sentence's first sample when a TTS engine
    yields the chunk, and from the reply's first sample once the graph has put it in order.
    """

    audio: AudioChunk
    sentence_index: int
    phonemes: tuple[Phoneme, ...]
    is_last: bool
    turn_no: int = 0
    effort: Effort | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PortraitSource:
    """A picture to be animated.

    ``image``: (height, width, 3) uint8 BGR. ``landmarks``: (n, 2) float32 pixels in the order of
    MediaPipe's face mesh (468 points, then 5 per iris where known), or ``None`` where the
    engine has to find them. ``layout``: further facts that an illustrated portrait knows about
    itself (the colour of a lid, say), plain JSON.
    """

    id: str
    name: str
    image: Frame
    landmarks: NDArray[np.float32] | None
    layout: Mapping[str, Any] = field(default_factory=dict)
    builtin: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """A stretch of speech to be drawn: all that an avatar replica needs to know of the turn.

    ``audio`` starts at ``first_frame`` and may reach beyond the last frame (so much of what comes
    next as the engine's ``context_s`` asks for, if it was there) or end before it (then silence
    follows). ``motion_state`` is what the previous stretch returned; ``None`` means that the face
    starts at rest. In the last ``n_rest_frames`` the face comes to rest. The first
    ``n_frames_sent`` frames were delivered before a replica was lost and are not drawn again.
    ``seed``: of what moves by chance, the same for all stretches of a reply, another one for each.
    ``needed_in_s``: when the viewer needs ``first_frame``, relative to the call, because clocks of
    nodes differ; negative where that was delivered and lies in the past. Every ``frame_step``-th
    frame is drawn and the encoder repeats it in between: what is left of the picture when drawing
    falls behind (motion is that of the whole rate). ``source`` is the picture of a portrait that
    somebody added: sent to replicas that said that they do not know ``avatar_id``. ``is_live``: its
    viewer waits for an answer; otherwise the engine may hear ``offline_context_s`` ahead and take
    its best way of moving. All stretches of a reply say the same.
    """

    avatar_id: str
    audio: AudioChunk
    phonemes: tuple[Phoneme, ...]
    first_frame: int
    n_frames: int
    motion_state: bytes | None = None
    n_rest_frames: int = 0
    n_frames_sent: int = 0
    needed_in_s: float = 0.0
    controls: Mapping[str, float] = field(default_factory=dict)
    turn_no: int = 0
    frame_step: int = 1
    source: PortraitSource | None = None
    is_live: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class VideoPackets:
    """Consecutive H.264 access units (Annex B), one per frame.

    ``motion_state`` is the avatar's state after the whole stretch, the same on every packet of it,
    so that whoever has the first packet can already order the next stretch. ``codec_config`` holds
    SPS and PPS (Annex B), the same for every stretch of a profile. ``effort.media_s`` counts drawn
    frames only, so that a halved frame rate does not look like a faster engine.
    """

    units: tuple[bytes, ...]
    first_frame: int
    fps: int
    starts_with_keyframe: bool
    motion_state: bytes
    codec_config: bytes
    turn_no: int = 0
    effort: Effort | None = None

    @property
    def n_frames(self) -> int:
        return len(self.units)

    @property
    def start_s(self) -> float:
        return self.first_frame / self.fps


# What engines and stages say about themselves.


@dataclass(frozen=True, slots=True)
class AsrCapabilities:
    """``batch``: how many utterances the engine hears at once; above 1 it is a
    ``BatchingAsrEngine``."""

    engine: str
    languages: tuple[str, ...]
    detects_language: bool
    batch: int = 1


@dataclass(frozen=True, slots=True)
class LlmCapabilities:
    """``chain``: the names of the engines that answer in each other's place, the best one first;
    empty where there is one."""

    engine: str
    languages: tuple[str, ...]
    chain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LlmStatus:
    """How a replica's language model is just doing.

    ``trouble``: why the best of its engines does not answer, in words for the operator; empty where
    it does. ``replica`` is an opaque name.
    """

    replica: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that can be asked for by its id."""

    id: str
    name: str
    languages: tuple[str, ...]
    builtin: bool = True
    cloned: bool = False


@dataclass(frozen=True, slots=True)
class CustomVoice:
    """A voice copied from a sample. It travels with each call, so that any replica can speak it and
    none has to remember it.

    ``state`` is what the engine made of the sample; only an engine with the same ``voice_format``
    can read it.
    """

    id: str
    languages: tuple[str, ...]
    state: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TtsCapabilities:
    """``voices`` is not empty; for each language the first voice that speaks it is the default.

    ``voice_format`` names the model and version that a ``CustomVoice``'s state is made by and for;
    it is empty where voices cannot be cloned.
    """

    engine: str
    languages: tuple[str, ...]
    sample_rate_hz: int
    voices: tuple[Voice, ...]
    clones_voices: bool
    voice_format: str = ""


@dataclass(frozen=True, slots=True)
class ControlRange:
    """A number that a caller of the avatar may set, with its bounds and resting value."""

    name: str
    minimum: float
    maximum: float
    default: float


@dataclass(frozen=True, slots=True)
class AvatarCapabilities:
    """``context_s``: how much speech beyond a stretch's end the engine wants to hear;
    ``offline_context_s``: of a reply that is not live, where that is another length.

    ``batch``: how many frames one ``draw`` call likes to get at once.
    """

    engine: str
    width_px: int
    height_px: int
    fps: int
    context_s: float
    batch: int
    controls: tuple[ControlRange, ...] = ()
    offline_context_s: float | None = None

    def context_of(self, *, is_live: bool) -> float:
        """Of a live reply, or of one that is not."""
        offline_s = self.context_s if self.offline_context_s is None else self.offline_context_s
        return self.context_s if is_live else offline_s


@dataclass(frozen=True, slots=True)
class AvatarCard:
    """A face that can be asked for by its id."""

    id: str
    name: str
    width_px: int
    height_px: int
    builtin: bool = True
