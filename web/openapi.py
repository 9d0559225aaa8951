"""The documentation of forms and answers that are read and written by hand."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

Answer = tuple[str, str]
"""Media type and what it holds."""

_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what to do"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
    },
}

SHORTENED = (
    "If the language model was lost midway, it has `is_shortened: true`, and `response_text`, "
    "which ends after the last whole sentence, is what the face says, whatever deltas came before"
)

_FAILS = {
    "description": "a problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": _PROBLEM}},
}


def video_answer() -> Answer:
    return "video/mp4", "fragmented MP4, playable while it arrives"


def json_answer(what: str) -> Answer:
    return "application/json", what


def sse_answer(events: str) -> Answer:
    return "text/event-stream", f"{events}; one event and one line of JSON each"


def documented(
    *,
    answers: Sequence[Answer],
    form: type[BaseModel] | None = None,
    body: type[BaseModel] | None = None,
    status: int = 200,
    what: str = "",
) -> dict[str, Any]:
    """Keyword arguments of a route: what it takes, what it answers, and how it fails.

    Args:
        status: of the one answer that is no failure, or of the only one there is.
        what: what that answer means, where it has no body to describe.
    """
    extra: dict[str, Any] = {}
    if form is not None:
        extra["requestBody"] = _content("multipart/form-data", form)
    if body is not None:
        extra["requestBody"] = _content("application/json", body)
    content = {media_type: {"schema": _schema_of(media_type)} for media_type, _ in answers}
    answer: dict[str, Any] = {"description": what or "; or ".join(text for _, text in answers)}
    if content:
        answer["content"] = content
    return {
        "response_model": None,
        "response_class": Response,
        "status_code": status,
        "responses": {status: answer, "default": _FAILS},
        "openapi_extra": extra,
    }


def describe_keys(schema: dict[str, Any], protected: tuple[str, ...], *, are_needed: bool) -> None:
    """Add to a description what has to be sent to the paths that begin with ``protected``."""
    schema["components"] = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}}
    for path, operations in schema["paths"].items():
        if path.startswith(protected):
            for operation in operations.values():
                needed: list[dict[str, list[str]]] = [] if are_needed else [{}]
                operation["security"] = [*needed, {"bearer": []}]


def _schema_of(media_type: str) -> dict[str, Any]:
    if media_type == "application/json":
        return {"type": "object"}
    if media_type.startswith("text/"):
        return {"type": "string"}
    return {"type": "string", "format": "binary"}


def _content(media_type: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = _inlined(model.model_json_schema())
    return {"required": True, "content": {media_type: {"schema": schema}}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references, and with "may be absent" instead of "or null"."""
    definitions = schema.pop("$defs", {})

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return walk(definitions[node["$ref"].rpartition("/")[2]])
        if "anyOf" in node:
            options = [option for option in node["anyOf"] if option.get("type") != "null"]
            rest = {k: v for k, v in node.items() if k not in ("anyOf", "default")}
            return {**walk(options[0]), **walk(rest)}
        return {key: walk(value) for key, value in node.items()}

    walked: dict[str, Any] = walk(schema)
    return walked
