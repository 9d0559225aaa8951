"""A server that answers turns from a script, for tests of those who ask."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs

from deployments.llm.rules import RulesLlm
from deployments.types import Message
from tests.unit.test_mux import a_reply
from web.wire import sse

N_FRAMES = 33
AUDIO_S = (N_FRAMES - 8) / 25
REPLY = a_reply(N_FRAMES)


@dataclass(frozen=True, slots=True)
class Asked:
    """What came: the form's fields and the request's headers."""

    nth: int
    form: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def turn_id(self) -> str:
        return f"turn-{self.nth:04}"

    @property
    def session_id(self) -> str:
        return self.form.get("session_id", f"session-{self.nth:04}")


@dataclass(frozen=True, slots=True)
class Scripted:
    """What goes back: blocks of the body, and whether HTTP's end of it follows."""

    blocks: tuple[bytes, ...]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    ends: bool = True


Script = Callable[[Asked], Scripted]


def video_event(index: int, data: bytes) -> bytes:
    return sse("video", {"index": index, "data": base64.b64encode(data).decode()})


def turn_of(asked: Asked, **more: Any) -> dict[str, Any]:
    """The turn that answers by the rules."""
    llm = RulesLlm(RulesLlm.Settings())
    user_text = asked.form.get("text", "Hello.")
    said = llm.answer([Message("user", user_text)], asked.form.get("language", "en"))
    return {
        "turn_id": asked.turn_id,
        "session_id": asked.session_id,
        "user_text": user_text,
        "response_text": said,
        "timings": {"audio_s": AUDIO_S, "ttff_ms": 12.5, "ladder": []},
        **more,
    }


def events_of(asked: Asked, **more: Any) -> tuple[bytes, ...]:
    turn = turn_of(asked, **more)
    return (
        sse("transcript", {"text": turn["user_text"], "language": "en"}),
        sse("reply", {"text": turn["response_text"]}),
        video_event(0, REPLY[: REPLY.index(b"moof") - 4]),
        video_event(1, REPLY[REPLY.index(b"moof") - 4 :]),
        sse("done", turn),
    )


def well(asked: Asked) -> Scripted:
    """Answers by the rules."""
    if asked.headers["Accept"] == "video/mp4":
        return Scripted((REPLY,))
    return Scripted(events_of(asked))


@contextmanager
def serving(script: Script) -> Iterator[tuple[str, list[Asked]]]:
    """The server's address, and what it was asked so far."""
    asked: list[Asked] = []
    numbers = count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            form = _form(self.headers["Content-Type"], body)
            one = Asked(next(numbers), form, dict(self.headers))
            asked.append(one)
            answer = script(one)
            self.send_response(answer.status)
            named = (("X-Turn-Id", one.turn_id), ("X-Session-Id", one.session_id))
            for name, value in (*named, *answer.headers, ("Transfer-Encoding", "chunked")):
                self.send_header(name, value)
            self.end_headers()
            try:
                for block in answer.blocks:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
                self.wfile.write(b"0\r\n\r\n" if answer.ends else b"")
            except OSError:  # whoever asked has left
                pass
            self.close_connection = not answer.ends

        def do_GET(self) -> None:
            turn_id = self.path.rpartition("/")[2]
            one = next(each for each in asked if each.turn_id == turn_id)
            body = json.dumps(turn_of(one)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """The fields; of a file its size."""
    if "urlencoded" in content_type:
        return {name: values[0] for name, values in parse_qs(body.decode()).items()}
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    fields = {}
    for part in message_from_bytes(head + body, policy=HTTP).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        content = part.get_payload(decode=True)
        is_file = part.get_filename() is not None
        assert isinstance(content, bytes)
        fields[name] = str(len(content)) if is_file else content.decode()
    return fields
