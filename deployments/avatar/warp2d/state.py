"""The motion state that travels with the turn: a few hundred bytes, versioned, never pickled."""

import struct
import zlib
from dataclasses import dataclass, field

from deployments.avatar.warp2d.sound import Hearing
from deployments.avatar.warp2d.visemes import Sound
from deployments.errors import EngineInputError

_MAGIC = b"W2D1"  # the digit is the version: change it with any change of layout or meaning
_HEAD = struct.Struct("<4sQQI8dB")
_SOUND = struct.Struct("<qqB")
_CHECK = struct.Struct("<I")
_MAX_SOUNDS = 255


@dataclass(frozen=True, slots=True)
class MotionState:
    """What the next stretch must know.

    ``frame``: absolute number of the next frame. ``n_moving``: frames since the face was at rest.
    ``past``: sounds that still shape the mouth, in microseconds from the next frame.
    """

    frame: int
    n_moving: int
    seed: int
    hearing: Hearing = field(default_factory=Hearing)
    past: tuple[Sound, ...] = ()

    def pack(self) -> bytes:
        past = self.past[-_MAX_SOUNDS:]
        head = _HEAD.pack(
            _MAGIC,
            self.frame,
            self.n_moving,
            self.seed,
            self.hearing.level,
            *self.hearing.shape,
            len(past),
        )
        body = head + b"".join(_pack_sound(sound) for sound in past)
        return body + _CHECK.pack(zlib.crc32(body))

    @staticmethod
    def unpack(state: bytes) -> "MotionState":
        """Read what ``pack`` wrote.

        Raises:
            EngineInputError: of another engine or version, or damaged.
        """
        body, check = state[: -_CHECK.size], state[-_CHECK.size :]
        if not state.startswith(_MAGIC) or len(body) < _HEAD.size:
            raise EngineInputError("a motion state of another engine or version", stage="avatar")
        if _CHECK.pack(zlib.crc32(body)) != check:
            raise EngineInputError("the motion state is damaged", stage="avatar")
        _, frame, n_moving, seed, level, *shape, n_past = _HEAD.unpack_from(body)
        past, at = [], _HEAD.size
        for _ in range(n_past):
            sound, at = _unpack_sound(body, at)
            past.append(sound)
        return MotionState(frame, n_moving, seed, Hearing(level, tuple(shape)), tuple(past))


def _pack_sound(sound: Sound) -> bytes:
    ipa = sound.ipa.encode()[:255]
    return _SOUND.pack(sound.start_us, sound.end_us, len(ipa)) + ipa


def _unpack_sound(body: bytes, at: int) -> tuple[Sound, int]:
    start_us, end_us, size = _SOUND.unpack_from(body, at)
    at += _SOUND.size
    return Sound(body[at : at + size].decode(errors="ignore"), start_us, end_us), at + size
