"""A loopback server that streams as Gemini's REST interface and as OpenAI's chat interface do.

``python -m tests.tiny_models.fake_llm_server --port 8899`` serves until it is interrupted. It
answers in the language that the system instruction names, and does what words in the last user
message (or ``wish``, for all requests) ask for:

    fail-STATUS   answers with this status; once-STATUS only the first time
    slow          takes ten times as long between two pieces
    mute          never begins; stall: never goes on after the first piece
    cut           drops the connection after the first piece; cut-first: before it
    garbage       sends events that are no JSON
    empty         ends without a word; blocked: refuses to talk about it

The key "wrong" is refused, and the model "retired" is not there.
"""

import argparse
import json
import re
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

N_PROMPT_TOKENS = 7
TOKEN = "token-of-a-service-account"  # given out at /token, as Google's does for credentials
TEXTS = {
    "English": "Hello there, friend. It is a fine day.",
    "Chinese": "你好，我的朋友。今天天气很好。",
    "Spanish": "Hola, querido amigo. Hoy hace un buen día.",
}
_PIECE = re.compile(r"\s*(?:[\u3400-\u9fff]{1,2}[，。]?|[^\s\u3400-\u9fff]+)")
_STATUS = re.compile(r"(fail|once)-(\d{3})")
_NAMES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip
_BAD_KEY = "API key not valid. Please pass a valid API key."

Json = dict[str, Any]


@dataclass(eq=False)
class Request:
    """What a client sent, and how its answer ended: a status, ``finished``, ``cut`` or
    ``client left``."""

    path: str
    headers: Mapping[str, str]
    body: Json
    came_at_s: float = field(default_factory=time.monotonic)
    end: str = ""
    ended_at_s: float = 0.0
    is_over: threading.Event = field(default_factory=threading.Event)

    def over(self, end: str) -> None:
        self.end, self.ended_at_s = end, time.monotonic()
        self.is_over.set()

    @property
    def is_gemini(self) -> bool:
        return ":streamGenerateContent" in self.path

    @property
    def instruction(self) -> str:
        """The system instruction."""
        if self.is_gemini:
            return _joined(self.body.get("systemInstruction", {}))
        return "".join(m["content"] for m in self.body["messages"] if m["role"] == "system")

    @property
    def dialogue(self) -> list[tuple[str, str]]:
        """Role and text of each message after the instruction."""
        if self.is_gemini:
            return [(c.get("role", "user"), _joined(c)) for c in self.body["contents"]]
        said = [m for m in self.body["messages"] if m["role"] != "system"]
        return [(m["role"], m["content"]) for m in said]


@dataclass(eq=False)
class FakeLlmServer:
    """What it does, and what it was asked; each test has its own."""

    delay_s: float = 0.005  # between two pieces
    wish: str = ""
    texts: Mapping[str, str] = field(default_factory=lambda: dict(TEXTS))
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _failed_once: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Request:
        return self.requests[-1]

    def wishes_of(self, request: Request) -> str:
        return f"{self.wish} {request.dialogue[-1][1]}"

    def text_for(self, request: Request) -> str:
        for language, text in self.texts.items():
            if language in request.instruction:
                return text
        return next(iter(self.texts.values()))

    def failure(self, wishes: str) -> int:
        """The status that is asked for; 0 for none."""
        if (found := _STATUS.search(wishes)) is None:
            return 0
        if found[1] == "once":
            if wishes in self._failed_once:
                return 0
            self._failed_once.add(wishes)
        return int(found[2])


@contextmanager
def serving(server: FakeLlmServer) -> Iterator[FakeLlmServer]:
    """The server, at ``server.url`` while the block runs."""

    class Bound(_Handler):
        fake = server

    http = ThreadingHTTPServer(("127.0.0.1", server.port), Bound)
    server.port = http.server_port
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeLlmServer

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        """Whether a model is there."""
        if self._refuses_key() or self._lacks(self.path):
            return
        self._json(200, {"name": "models/m", "object": "list", "data": [{"id": "m"}]})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/token":
            return self._json(200, {"access_token": TOKEN, "expires_in": 3600})
        body: Json = json.loads(sent)
        request = Request(self.path, dict(self.headers.items()), body)
        self.fake.requests.append(request)
        if self._refuses_key() or self._lacks(f"{self.path} {body.get('model')}"):
            return request.over("refused")
        wishes = self.fake.wishes_of(request)
        if status := self.fake.failure(wishes):
            self._error(status, _NAMES.get(status, "UNKNOWN"), "told to fail")
            return request.over(str(status))
        request.over(self._stream(request, wishes))

    def _refuses_key(self) -> bool:
        is_gemini = "x-goog-api-key" in self.headers
        key = self.headers.get("x-goog-api-key" if is_gemini else "authorization", "")
        if "wrong" not in key:
            return False
        self._error(400 if is_gemini else 401, "API_KEY_INVALID", _BAD_KEY)
        return True

    def _lacks(self, asked: str) -> bool:
        if "retired" not in asked:
            return False
        self._error(404, "NOT_FOUND", "models/retired is not found")
        return True

    def _error(self, status: int, reason: str, message: str) -> None:
        error = {"code": status, "message": message, "status": _NAMES.get(status, "UNKNOWN")}
        self._json(status, {"error": {**error, "details": [{"reason": reason}]}})

    def _json(self, status: int, data: Json) -> None:
        payload = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _stream(self, request: Request, wishes: str) -> str:
        if "mute" in wishes:
            return self._left()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        pause_s = self.fake.delay_s * (10 if "slow" in wishes else 1)
        for number, event in enumerate(_events(request, self.fake.text_for(request), wishes)):
            if _is_cut(wishes, number):
                self.close_connection = True
                return "cut"
            if "stall" in wishes and number == 1:
                return self._left()
            if not self._sent(event) or not self._waited(pause_s):
                return self._left()
        self.wfile.write(b"0\r\n\r\n")
        return "finished"

    def _sent(self, event: str) -> bool:
        line = f"data: {event}\r\n\r\n".encode()
        try:
            self.wfile.write(b"%x\r\n" % len(line) + line + b"\r\n")
        except OSError:
            return False
        return True

    def _waited(self, seconds: float | None) -> bool:
        """Whether the client was there all the time; it has nothing to say meanwhile."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        return not readable or bool(self._peek())

    def _peek(self) -> bytes:
        connection: socket.socket = self.connection
        try:
            return connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return b""

    def _left(self) -> str:
        self._waited(None)
        self.close_connection = True
        return "client left"


def _is_cut(wishes: str, number: int) -> bool:
    return number == (0 if "cut-first" in wishes else 1) and "cut" in wishes


def _events(request: Request, text: str, wishes: str) -> list[str]:
    if "garbage" in wishes:
        return ["{not json", "<html>neither</html>"]
    make = _gemini if request.is_gemini else _openai
    if "blocked" in wishes:
        return make([], "SAFETY", request)
    pieces = [] if "empty" in wishes else _PIECE.findall(text)
    return make(pieces, "STOP", request)


def _gemini(pieces: list[str], reason: str, request: Request) -> list[str]:
    events: list[Json] = []
    for i, piece in enumerate(pieces, 1):
        content = {"role": "model", "parts": [{"text": piece}]}
        candidate = {"index": 0, "content": content}
        events.append({"candidates": [candidate], "usageMetadata": _gemini_usage(i)})
    last: Json = {"index": 0, "finishReason": reason, "content": {"role": "model", "parts": []}}
    events.append({"candidates": [last], "usageMetadata": _gemini_usage(len(pieces))})
    return [json.dumps(event) for event in events]


def _gemini_usage(n_output: int) -> Json:
    return {
        "promptTokenCount": N_PROMPT_TOKENS,
        "candidatesTokenCount": n_output,
        "totalTokenCount": N_PROMPT_TOKENS + n_output,
    }


def _openai(pieces: list[str], reason: str, request: Request) -> list[str]:
    finish = {"STOP": "stop", "SAFETY": "content_filter"}[reason]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    events: list[Json] = [
        {**head, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        for piece in pieces
    ]
    events.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if request.body.get("stream_options", {}).get("include_usage"):
        n = len(pieces)
        counts = {"prompt_tokens": N_PROMPT_TOKENS, "completion_tokens": n}
        usage = {**counts, "total_tokens": N_PROMPT_TOKENS + n}
        events.append({**head, "choices": [], "usage": usage})
    return [*(json.dumps(event) for event in events), "[DONE]"]


def _joined(content: Json) -> str:
    return "".join(part.get("text", "") for part in content.get("parts", []))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-s", type=float, default=0.05)
    parser.add_argument("--wish", default="")
    options = parser.parse_args()
    server = FakeLlmServer(options.delay_s, options.wish, port=options.port)
    with serving(server):
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
