"""Reads what clients send, with a limit that holds while it arrives; nothing touches the disk."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from deployments.errors import ProtocolError
from web.problems import RefusedError

ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_FIELD_BYTES = 262_144  # one form field or one JSON body; a long history fits
MAX_FIELDS = 16
_ENVELOPE_BYTES = 2 * MAX_FIELD_BYTES  # all that surrounds the audio part


_RETRY_AFTER_S = 2  # an upload of the largest size takes so long on a fast line


class UploadMemory:
    """What the uploads of one process may take up together, from their first byte until their
    sound is decoded. Counted as they arrive: a slow or idle client holds only what it has sent."""

    def __init__(self, max_bytes: int) -> None:
        self._free_bytes = max_bytes

    @contextmanager
    def one(self) -> Iterator["Upload"]:
        """An upload; what it took is free again at the end of the block."""
        upload = Upload(self)
        try:
            yield upload
        finally:
            self._free_bytes += upload.n_bytes

    def take(self, n_bytes: int) -> None:
        """Hold ``n_bytes`` more.

        Raises:
            RefusedError: ``overloaded``; there is no room for them.
        """
        if n_bytes > self._free_bytes:
            raise RefusedError(
                "Too many uploads arrive at once; try again in a moment.",
                code="overloaded",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._free_bytes -= n_bytes


@dataclass(slots=True, eq=False)
class Upload:
    """One request's body, as much of it as has arrived."""

    memory: UploadMemory
    n_bytes: int = 0

    def take(self, n_bytes: int) -> None:
        """Count what has arrived. Raises as ``UploadMemory.take``."""
        self.memory.take(n_bytes)
        self.n_bytes += n_bytes


def _too_large(limit_bytes: int) -> ProtocolError:
    return ProtocolError(f"the upload is over {limit_bytes:,} bytes", code="too_large")


class _LimitedParser(MultiPartParser):
    """Keeps the one file part in memory and gives up at its first byte over the limit."""

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], max_file_bytes: int
    ) -> None:
        super().__init__(
            headers, stream, max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
        )
        self.spool_max_size = max_file_bytes + 1  # never rolled over to the disk
        self._max_file_bytes = max_file_bytes
        self._n_file_bytes = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is not None:
            self._n_file_bytes += end - start
            if self._n_file_bytes > self._max_file_bytes:
                raise _too_large(self._max_file_bytes)
        super().on_part_data(data, start, end)


async def _limited(
    request: Request, upload: Upload, max_bytes: int, envelope_bytes: int = 0
) -> AsyncGenerator[bytes, None]:
    """The body's chunks, of at most ``max_bytes`` and what surrounds them.

    Raises:
        ProtocolError: ``too_large``, at once where the client declares the size, else as soon as
            the limit is crossed.
        RefusedError: ``overloaded``.
    """
    limit_bytes = max_bytes + envelope_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _too_large(max_bytes)
    async for chunk in request.stream():
        upload.take(len(chunk))
        if upload.n_bytes > limit_bytes:
            raise _too_large(max_bytes)
        yield chunk


async def read_form(
    request: Request, model: type[ModelT], max_file_bytes: int, upload: Upload
) -> ModelT:
    """The form, multipart or urlencoded, as ``model``; its file part as bytes.

    Raises:
        ProtocolError: ``too_large``, or ``bad_request`` saying which field is wrong.
        RefusedError: ``overloaded``.
    """
    body = _limited(request, upload, max_file_bytes, _ENVELOPE_BYTES)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            form = await _LimitedParser(request.headers, body, max_file_bytes).parse()
        elif kind == "application/x-www-form-urlencoded":
            form = await FormParser(request.headers, body).parse()
        else:
            raise ProtocolError("send a form: multipart/form-data, as `curl -F` does")
    except MultiPartException as error:
        raise ProtocolError(f"the form is malformed: {error.message}") from error
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if not _is_unicode(name) or (isinstance(value, str) and not _is_unicode(value)):
            raise ProtocolError("the form holds text that is not Unicode; send UTF-8")
        if name in fields:
            raise ProtocolError(f"the field {name!r} was sent twice")
        fields[name] = await value.read() if isinstance(value, UploadFile) else value
    await form.close()
    return validated(model, fields)


def _is_unicode(text: str) -> bool:
    """False for halves of surrogate pairs, which some character sets can spell."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


async def read_json(request: Request, model: type[ModelT], memory: UploadMemory) -> ModelT:
    """The JSON body as ``model``.

    Raises:
        ProtocolError: ``too_large``, or ``bad_request`` saying what is wrong.
        RefusedError: ``overloaded``.
    """
    with memory.one() as upload:
        body = b"".join([chunk async for chunk in _limited(request, upload, MAX_FIELD_BYTES)])
    return validated(model, parse_json(body, "the body"))


def parse_json(text: str | bytes, what: str) -> Any:
    """Parsed JSON.

    Raises:
        ProtocolError: it is not JSON, nested deeper than anybody means, or not Unicode.
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # JSON can escape one half of a pair of surrogates
        raise ProtocolError(f"{what} holds text that is not Unicode") from None
    except (ValueError, RecursionError):
        raise ProtocolError(f"{what} is not JSON") from None
    return value


def validated(model: type[ModelT], value: Any) -> ModelT:
    """``value`` as ``model``.

    Raises:
        ProtocolError: ``bad_request``, naming the first field that is wrong.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ProtocolError(_first_fault(model, error)) from None


def _first_fault(model: type[BaseModel], error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown field {where!r}; known are: {', '.join(model.model_fields)}"
    if fault["type"] == "missing":
        return f"the field {where!r} is missing"
    return f"{where}: {fault['msg']}" if where else fault["msg"]
