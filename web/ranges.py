"""Answers that a player may ask for in part: bytes in memory, and files."""

import asyncio
import hashlib
import re
from pathlib import Path
from typing import BinaryIO

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from web.problems import not_found

# No file needs 19 digits; a number that no file can have is read as no number.
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)
_CHUNK_BYTES = 256 * 1024


def bytes_answer(request: Request, data: bytes, media_type: str) -> Response:
    """``data``, or the one range that was asked for.

    Raises:
        HTTPException: 416, the range begins beyond the end.
    """
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"Cache-Control": "private, max-age=3600", "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    part = _wanted(request, len(data), tag)
    status, more = _described(part, len(data))
    answer = Response(status_code=status, media_type=media_type, headers={**headers, **more})
    answer.body = data if part is None else data[part.start : part.stop]
    answer.headers["content-length"] = str(len(answer.body))
    return answer


def file_answer(request: Request, path: Path, media_type: str, tag: str) -> Response:
    """A file that never changes, or the one range that was asked for. Blocks for a moment.

    Args:
        tag: different for every file, without quotes.

    Raises:
        HTTPException: 416, the range begins beyond the end.
        ProtocolError: ``not_found``, the file has just been erased.
    """
    try:
        n_bytes = path.stat().st_size
    except FileNotFoundError:
        raise not_found("video") from None
    part = _wanted(request, n_bytes, f'"{tag}"')
    status, headers = _described(part, n_bytes)
    headers |= {"ETag": f'"{tag}"', "Cache-Control": "no-store"}
    return _FilePart(path, part or range(n_bytes), status, media_type, headers)


def _wanted(request: Request, n_bytes: int, tag: str) -> range | None:
    """The bytes that were asked for; ``None`` for all, as for several ranges and malformed ones.

    Source: RFC 9110, sections 13.1.5 and 14.2.
    """
    asked = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if asked is None or request.headers.get("if-range", tag) != tag:
        return None
    first, last = asked.groups()
    if not first and not last:
        return None
    if not first:
        part = range(max(0, n_bytes - int(last)), n_bytes)
    elif last and int(last) < int(first):
        return None
    else:
        part = range(int(first), min(int(last) + 1, n_bytes) if last else n_bytes)
    if not part:
        raise HTTPException(416, headers={"Content-Range": f"bytes */{n_bytes}"})
    return part


def _described(part: range | None, n_bytes: int) -> tuple[int, dict[str, str]]:
    headers = {"Accept-Ranges": "bytes"}
    if part is None:
        return 200, headers
    return 206, {**headers, "Content-Range": f"bytes {part.start}-{part.stop - 1}/{n_bytes}"}


class _FilePart(Response):
    """Read while it is sent; a file that is erased meanwhile can be read to its end."""

    def __init__(
        self, path: Path, part: range, status: int, media_type: str, headers: dict[str, str]
    ) -> None:
        super().__init__(status_code=status, media_type=media_type, headers=headers)
        self.headers["content-length"] = str(len(part))
        self._path = path
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            file = await asyncio.to_thread(self._path.open, "rb")
        except FileNotFoundError:
            raise not_found("video") from None
        with file:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            for first in range(self._part.start, self._part.stop, _CHUNK_BYTES):
                size = min(_CHUNK_BYTES, self._part.stop - first)
                data = await asyncio.to_thread(_read, file, first, size)
                await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _read(file: BinaryIO, first: int, size: int) -> bytes:
    file.seek(first)
    return file.read(size)
