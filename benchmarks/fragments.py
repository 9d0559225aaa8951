"""What the fragments of a streamed MP4 hold: from when to when each track goes, read from the boxes
alone. Nothing is decoded, so it costs microseconds and can be done beside a server under load.

Source: ISO/IEC 14496-12, sections 8.4 (tracks) and 8.8 (fragments).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.incoming import AnswerError, BoxReader

_DURATION, _SIZE, _FLAGS, _OFFSET = 0x100, 0x200, 0x400, 0x800  # per sample, in a `trun`
_PICTURE, _SOUND = "vide", "soun"


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive samples of one track, in seconds of the reply's clock."""

    start_s: float
    end_s: float
    n_samples: int


@dataclass(frozen=True, slots=True)
class Fragment:
    """One ``moof``: its number, from 1, and what it brings of either track."""

    number: int
    picture: Run | None
    sound: Run | None


@dataclass(frozen=True, slots=True)
class _Track:
    kind: str
    ticks_per_s: int
    sample_ticks: int  # unless the fragment says otherwise


class Movie:
    """The tracks of an init segment, with which its fragments can be read."""

    def __init__(self, moov: bytes) -> None:
        """Args:
        moov: the content of the box.
        """
        boxes = _all(moov)
        usual = dict(_usual(trex) for name, mvex in boxes if name == "mvex" for trex in _all(mvex))
        self._tracks = {
            number: _Track(kind, ticks, usual.get(number, 0))
            for number, kind, ticks in (_track(trak) for name, trak in boxes if name == "trak")
        }

    def fragment(self, moof: bytes) -> Fragment:
        """What a ``moof`` (its content) describes.

        Raises:
            AnswerError: it belongs to no track of this movie.
        """
        number, runs = 0, dict[str, Run]()
        for name, content in _all(moof):
            if name == "mfhd":
                (number,) = struct.unpack_from(">I", content, 4)
            elif name == "traf":
                kind, run = self._run(content)
                if run.n_samples:
                    runs[kind] = run
        return Fragment(number, runs.get(_PICTURE), runs.get(_SOUND))

    def _run(self, traf: bytes) -> tuple[str, Run]:
        boxes = dict(_all(traf))
        number, sample_ticks = _header(boxes["tfhd"])
        if number not in self._tracks:
            raise AnswerError(f"a fragment of track {number}, which the movie does not have")
        track = self._tracks[number]
        ticks_each = track.sample_ticks if sample_ticks is None else sample_ticks
        n_samples, n_ticks = _samples(boxes["trun"], ticks_each)
        start = _decode_time(boxes["tfdt"])
        start_s, end_s = start / track.ticks_per_s, (start + n_ticks) / track.ticks_per_s
        return track.kind, Run(start_s, end_s, n_samples)


def _all(content: bytes) -> list[tuple[str, bytes]]:
    return list(BoxReader().push(content))


def _inner(content: bytes, *path: str) -> bytes:
    """The content of the first box along ``path``."""
    for name in path:
        content = next(inner for found, inner in _all(content) if found == name)
    return content


def _usual(box: tuple[str, bytes]) -> tuple[int, int]:
    """A track's number and the ticks of each of its samples, unless a fragment says otherwise."""
    name, content = box
    number, _, ticks = struct.unpack_from(">III", content, 4) if name == "trex" else (0, 0, 0)
    return number, ticks


def _track(trak: bytes) -> tuple[int, str, int]:
    """Its number, ``vide`` or ``soun``, and ticks per second."""
    tkhd, mdhd = _inner(trak, "tkhd"), _inner(trak, "mdia", "mdhd")
    (number,) = struct.unpack_from(">I", tkhd, 20 if tkhd[0] else 12)
    (ticks_per_s,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] else 12)
    return number, _inner(trak, "mdia", "hdlr")[8:12].decode("latin-1"), ticks_per_s


def _header(tfhd: bytes) -> tuple[int, int | None]:
    """The track's number, and the ticks of each sample if it says so."""
    flags = int.from_bytes(tfhd[1:4], "big")
    (number,) = struct.unpack_from(">I", tfhd, 4)
    at = 8 + (8 if flags & 0x1 else 0) + (4 if flags & 0x2 else 0)
    return number, struct.unpack_from(">I", tfhd, at)[0] if flags & 0x8 else None


def _decode_time(tfdt: bytes) -> int:
    return int.from_bytes(tfdt[4 : 12 if tfdt[0] else 8], "big")


def _samples(trun: bytes, ticks_each: int) -> tuple[int, int]:
    """How many samples, and how many ticks they last."""
    flags = int.from_bytes(trun[1:4], "big")
    (n_samples,) = struct.unpack_from(">I", trun, 4)
    if not flags & _DURATION:
        return n_samples, n_samples * ticks_each
    return n_samples, sum(_durations(trun, flags, n_samples))


def _durations(trun: bytes, flags: int, n_samples: int) -> Iterator[int]:
    at = 8 + (4 if flags & 0x1 else 0) + (4 if flags & 0x4 else 0)
    width = 4 * sum(bool(flags & each) for each in (_DURATION, _SIZE, _FLAGS, _OFFSET))
    for i in range(n_samples):
        yield struct.unpack_from(">I", trun, at + i * width)[0]
