"""Answers made of bytes in memory, in part where a player asks for a part."""

import hashlib
import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def bytes_answer(request: Request, data: bytes, media_type: str) -> Response:
    """``data``, or the one range that was asked for; several ranges are answered with all of it.

    Raises:
        HTTPException: 416, the range begins beyond the end.
    """
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "ETag": tag,
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    wanted = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if wanted is None or wanted.groups() == ("", ""):
        return Response(data, media_type=media_type, headers=headers)
    first, end = _bounds(wanted[1], wanted[2], len(data))
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(data)}"
    return Response(data[first:end], 206, media_type=media_type, headers=headers)


def _bounds(first: str, last: str, n_bytes: int) -> tuple[int, int]:
    if not first:  # the last so many bytes
        start, end = max(0, n_bytes - int(last)), n_bytes
    else:
        start, end = int(first), min(int(last) + 1, n_bytes) if last else n_bytes
    if start >= end:
        raise HTTPException(416, headers={"Content-Range": f"bytes */{n_bytes}"})
    return start, end
