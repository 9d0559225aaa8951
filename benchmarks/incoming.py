"""What a server sends, taken apart while it arrives: MP4 boxes and server-sent events."""

import json
from collections.abc import Iterator
from typing import Any


class AnswerError(Exception):
    """The server did not answer with a whole reply; the message says what came instead."""


class BoxReader:
    """The top-level boxes of an MP4 that arrives in pieces.

    Source: ISO/IEC 14496-12 section 4.2; 32-bit sizes only, as our fragments have.
    """

    def __init__(self) -> None:
        self._rest = b""

    def push(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The boxes that became complete, as (type, content)."""
        self._rest += data
        while len(self._rest) >= 8:
            size = int.from_bytes(self._rest[:4], "big")
            if size < 8:
                raise AnswerError(f"not an MP4 box: size {size}")
            if len(self._rest) < size:
                return
            box, self._rest = self._rest[:size], self._rest[size:]
            yield box[4:8].decode("latin-1"), box[8:]


def has_sound(moof: bytes) -> bool:
    """Whether a ``moof`` describes both tracks; the picture alone makes one ``traf``."""
    return sum(name == "traf" for name, _ in BoxReader().push(moof)) > 1


class EventReader:
    """Server-sent events that arrive in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, data: bytes) -> Iterator[tuple[str, Any]]:
        """The events that became complete, as (name, parsed data); comments are left out."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            fields = dict(
                line.split(": ", 1) for line in block.decode().splitlines() if line[:1] != ":"
            )
            if "data" in fields:
                yield fields["event"], json.loads(fields["data"])
