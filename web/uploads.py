"""Reads what clients send, with a limit that holds while it arrives; nothing touches the disk."""

import json
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import Request

from deployments.errors import ProtocolError

ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_FIELD_BYTES = 262_144  # one form field or one JSON body; a long history fits
MAX_FIELDS = 16
_ENVELOPE_BYTES = 2 * MAX_FIELD_BYTES  # all that surrounds the audio part


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
    request: Request, max_bytes: int, envelope_bytes: int = 0
) -> AsyncGenerator[bytes, None]:
    """The body's chunks, of at most ``max_bytes`` and what surrounds them.

    Raises:
        ProtocolError: ``too_large``, at once where the client declares the size, else as soon as
            the limit is crossed.
    """
    limit_bytes = max_bytes + envelope_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise _too_large(max_bytes)
    n_bytes = 0
    async for chunk in request.stream():
        n_bytes += len(chunk)
        if n_bytes > limit_bytes:
            raise _too_large(max_bytes)
        yield chunk


async def read_form(request: Request, model: type[ModelT], max_file_bytes: int) -> ModelT:
    """The form, multipart or urlencoded, as ``model``; its file part as bytes.

    Raises:
        ProtocolError: ``too_large``, or ``bad_request`` saying which field is wrong.
    """
    body = _limited(request, max_file_bytes, _ENVELOPE_BYTES)
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


async def read_json(request: Request, model: type[ModelT]) -> ModelT:
    """The JSON body as ``model``.

    Raises:
        ProtocolError: ``too_large``, or ``bad_request`` saying what is wrong.
    """
    body = b"".join([chunk async for chunk in _limited(request, MAX_FIELD_BYTES)])
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
