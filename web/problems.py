"""Every failure as one RFC 9457 problem object: the only table from errors to status codes."""

import errno
import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from deployments.caller import logger_of
from deployments.errors import (
    AvatarError,
    ProtocolError,
    StageError,
    StageOverloadedError,
    TurnRefusedError,
    UnusableInputError,
)

logger = logger_of("avatar.web")

CODES: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be understood"),
    "unauthorized": (401, "A valid key is needed"),
    "forbidden": (403, "Not allowed"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "too_large": (413, "Too large"),
    "unsupported_media": (415, "Nothing that can be decoded"),
    "range_not_satisfiable": (416, "Range not satisfiable"),
    "no_speech": (422, "Nobody speaks"),
    "no_face": (422, "No face"),
    "many_faces": (422, "More than one face"),
    "too_small": (422, "Too small"),
    "too_short": (422, "Too short"),
    "too_long": (422, "Too long"),
    "too_noisy": (422, "Too noisy"),
    "clipped": (422, "The sound is clipped"),
    "consent_required": (422, "Consent is needed"),
    "unsupported_language": (422, "Unsupported language"),
    "invalid_value": (422, "Invalid value"),
    "rate_limited": (429, "Too many requests"),
    "internal": (500, "Internal error"),
    "not_supported": (501, "Not supported"),
    "loading": (503, "Models are loading"),
    "overloaded": (503, "Overloaded"),
    "engine_failed": (503, "A stage failed"),
    "disk_full": (507, "Disk full"),
}

_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 416: "range_not_satisfiable"}
_FULL = {errno.ENOSPC, errno.EDQUOT}


class RefusedError(AvatarError):
    """The server will not or cannot do it now; ``code`` is the interface's error code."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "internal",
        retry_after_s: int | None = None,
        stage: str = "",
        turn_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, stage=stage, turn_id=turn_id, retryable=retryable)
        self.code = code
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Problem:
    """What the client is told; nothing else about a failure leaves the server."""

    code: str
    detail: str
    retry_after_s: int | None = None

    @property
    def status(self) -> int:
        return CODES[self.code][0]

    def to_json(self, request_id: str) -> dict[str, Any]:
        status, title = CODES[self.code]
        return {
            "type": f"urn:realtime-avatar:problem:{self.code}",
            "title": title,
            "status": status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }

    def event(self, request_id: str) -> dict[str, Any]:
        """The same where it is too late for headers: what they would say is inside."""
        answer = self.to_json(request_id)
        if self.retry_after_s is not None:
            answer["retry_after_s"] = self.retry_after_s
        return answer

    def response(self, request_id: str, headers: Mapping[str, str] | None = None) -> Response:
        answer = Response(
            json.dumps(self.to_json(request_id)),  # in ASCII: an id may hold anything
            self.status,
            media_type="application/problem+json",
            headers={**(headers or {}), "Cache-Control": "no-store"},
        )
        if self.retry_after_s is not None:
            answer.headers["Retry-After"] = str(self.retry_after_s)
        if self.code == "unauthorized":
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer


def not_found(what: str) -> ProtocolError:
    """The error of a thing that is not there, or not any more."""
    return ProtocolError(f"no such {what}, or it has expired", code="not_found")


def is_disk_full(error: BaseException) -> bool:
    """Whether the file system or SQLite had no room left."""
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in _FULL


def problem_of(error: BaseException) -> Problem:
    """What to tell the client about ``error``. Anything unforeseen is ``internal``."""
    match error:
        case RefusedError():
            return Problem(error.code, error.message, error.retry_after_s)
        case ProtocolError() | UnusableInputError() if error.code in CODES:
            return Problem(error.code, error.message)
        case TurnRefusedError():
            return _no_room(error)
        case StageOverloadedError():
            return Problem("overloaded", "Every stage is busy; try again in a moment.", 2)
        case StageError():
            return Problem("engine_failed", _failed_stage(error), 2)
        case RequestValidationError():
            return Problem("bad_request", _first_fault(error.errors()))
        case HTTPException():
            return _of_http(error)
    if is_disk_full(error):
        return Problem("disk_full", "The server's disk is full; ask its operator to free some.")
    return Problem("internal", "Our fault. Quote the request_id when you report it.")


def _no_room(error: TurnRefusedError) -> Problem:
    wait_s = max(1, math.ceil(error.predicted_wait_s))
    detail = f"There should be room for one more in about {wait_s} s; try again then."
    return Problem("overloaded", detail, wait_s)


def _failed_stage(error: StageError) -> str:
    """Which stage it was, without what its library said."""
    which = f"The {error.stage} stage" if error.stage else "A stage"
    return f"{which} failed and so did its repetition; try again."


def _of_http(error: HTTPException) -> Problem:
    code = _OF_STATUS.get(error.status_code, "bad_request")
    details = {
        "not_found": "There is nothing at this address; /docs lists what there is.",
        "method_not_allowed": "This address knows other methods; /docs lists them.",
        "range_not_satisfiable": "The range begins beyond the end.",
        "bad_request": "The request is malformed; /docs shows what is expected.",
    }
    return Problem(code, details[code])


def _first_fault(errors: Any) -> str:
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def log_failure(error: BaseException, problem: Problem, request_id: str) -> None:
    """Our own failures with their traceback, a stage's without; a client's faults not at all.

    A message may quote what a user said, so only the errors' types and places are written. A
    client may have chosen the id, so it is written in ASCII.
    """
    if problem.code == "internal":
        logger.error("request %a failed: %s\n%s", request_id, type(error).__name__, _places(error))
    elif isinstance(error, TurnRefusedError):  # no failure; a flood of them is in the metrics
        logger.info("request %a: refused for now", request_id)
    elif problem.status >= 500:
        stage = getattr(error, "stage", "")
        logger.warning(
            "request %a: %s (%s %s)", request_id, problem.code, type(error).__name__, stage
        )


def _places(error: BaseException) -> str:
    """The frames of the traceback, without the message."""
    lines = []
    frame = error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        lines.append(f"  {code.co_filename}:{frame.tb_lineno} in {code.co_name}")
        frame = frame.tb_next
    return "\n".join(lines)
