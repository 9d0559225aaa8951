"""What a server sends, taken apart while it arrives: MP4 boxes and server-sent events."""

import json
from collections.abc import Iterator
from typing import Any


class AnswerError(Exception):
    """The server did not answer with a whole reply; the message says what came instead."""


class BoxReader:
    """The top-level boxes of an MP4 that arrives in pieces.

    The media itself (``mdat``) is counted and not kept: it is nearly all of the bytes, and nobody
    here looks into it. So a reader costs the same however much is sent.

    Source: ISO/IEC 14496-12 section 4.2; 32-bit sizes only, as our fragments have.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._n_to_skip = 0

    def push(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The boxes that became complete, as (type, content); that of ``mdat`` is empty."""
        view = memoryview(data)
        while True:
            if self._n_to_skip:
                n_skipped = min(self._n_to_skip, len(view))
                self._n_to_skip -= n_skipped
                view = view[n_skipped:]
                if self._n_to_skip:
                    return
                yield "mdat", b""
            size, name = self._header(view)
            if name == "mdat":
                self._n_to_skip = size - len(self._rest)
                self._rest = b""
                continue
            n_missing = size - len(self._rest)
            if not size or len(view) < n_missing:
                self._rest += view
                return
            box, view = self._rest + view[:n_missing], view[n_missing:]
            self._rest = b""
            yield name, box[8:]

    def _header(self, view: memoryview) -> tuple[int, str]:
        """Size and type of the box that begins here; ``(0, "")`` while they are not there."""
        header = self._rest[:8] + view[: max(0, 8 - len(self._rest))]
        if len(header) < 8:
            return 0, ""
        size = int.from_bytes(header[:4], "big")
        if size < 8:
            raise AnswerError(f"not an MP4 box: size {size}")
        return size, header[4:8].decode("latin-1")


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
