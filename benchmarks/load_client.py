"""Asks one question of a server and hears the answer, cheaply enough to do so beside it.

Plain sockets by ``http.client``: under Locust they are gevent's. The clock is read right after each
read returns, before anything is made of the bytes. Every attempt has a connection of its own, and
its time begins when the whole request is in the socket.
"""

import base64
import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from benchmarks.client import Now
from benchmarks.incoming import AnswerError, EventReader
from benchmarks.load_questions import Question
from benchmarks.load_record import Heard

_BLOCK_BYTES = 65_536
_SLOW_BLOCK_BYTES = 4_096
_CONNECT_TIMEOUT_S = 10.0
_CUT = (OSError, http.client.HTTPException)

Sleep = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Manner:
    """How this answer is taken. ``leave_after_s`` counts from the request."""

    leave_after_s: float | None = None
    bytes_per_s: int | None = None


class Caller:
    """Talks to the server at ``url``; one caller can have several conversations at once."""

    def __init__(
        self,
        url: str,
        *,
        is_stream: bool,
        language: str,
        key: str = "",
        silence_s: float = 60.0,
        now: Now = time.perf_counter,
        sleep: Sleep = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the address of a server, such as http://host:8000")
        self._is_tls, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._base = parts.path.rstrip("/")
        self._is_stream, self._language, self._silence_s = is_stream, language, silence_s
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._now, self._sleep = now, sleep

    def ask(self, question: Question, session_id: str, manner: Manner) -> Heard:
        """The answer, however it went; only what is our own fault raises."""
        body, headers = self._request(question, session_id)
        connection = self._connection()
        heard = Heard(time.time(), self._now(), is_turn_told=self._is_stream)
        try:
            connection.connect()
            path = "/api/v1/conversation" + ("/stream" if self._is_stream else "")
            connection.request("POST", self._base + path, body, headers)
            heard.asked_at, heard.sent_s = time.time(), self._now()
            self._hear(connection, heard, manner)
        except TimeoutError:
            heard.how_ended, heard.why_cut = "cut", "silence"
        except _CUT as error:
            heard.how_ended, heard.why_cut = "cut", type(error).__name__
        except AnswerError as error:
            heard.how_ended, heard.why_cut = "cut", str(error)
        finally:
            heard.ended_s = self._now()
            connection.close()
        if not self._is_stream and heard.viewer.is_whole:
            heard.turn = self._told(heard.turn_id)
        return heard

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=_CONNECT_TIMEOUT_S)

    def _request(self, question: Question, session_id: str) -> tuple[bytes, dict[str, str]]:
        form = {"session_id": session_id, "language": self._language, "text": question.text}
        if question.wav is not None:
            del form["text"]
        sound = question.wav
        request = httpx.Request(
            "POST",
            "http://any",
            data={name: value for name, value in form.items() if value},
            files=None if sound is None else {"audio": ("question.wav", sound, "audio/wav")},
        )
        accept = "text/event-stream" if self._is_stream else "video/mp4"
        kept = {"Content-Type": request.headers["Content-Type"], "Accept": accept}
        return request.read(), {**kept, **self._headers}

    def _hear(self, connection: http.client.HTTPConnection, heard: Heard, manner: Manner) -> None:
        sock: socket.socket = connection.sock
        if manner.bytes_per_s:  # else the kernel would take it all on our behalf
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BLOCK_BYTES)
        blocks = _Blocks(sock, heard.sent_s, manner, self._silence_s, self._now, self._sleep)
        try:
            blocks.wait()
            response = connection.getresponse()
            _read_head(response, heard)
            if response.status != 200:
                heard.problem = _problem(response)
            elif self._is_stream:
                self._read_events(blocks.of(response), heard)
            else:
                self._read_video(blocks.of(response), heard)
        except TimeoutError:
            if not blocks.is_time_to_leave:
                raise
            heard.how_ended = "left"

    def _read_video(self, blocks: Iterator[tuple[bytes, float]], heard: Heard) -> None:
        for block, at_s in blocks:
            if heard.let_in_s is None:
                heard.let_in_s = at_s
            heard.viewer.push(block, at_s)

    def _read_events(self, blocks: Iterator[tuple[bytes, float]], heard: Heard) -> None:
        events = EventReader()
        for block, at_s in blocks:
            for name, data in events.push(block):
                _take(name, data, at_s, heard)

    def _told(self, turn_id: str) -> Mapping[str, Any] | None:
        """What the server knows of a finished turn afterwards; ``None`` if it kept nothing."""
        connection = self._connection()
        try:
            connection.request("GET", f"{self._base}/api/v1/turns/{turn_id}", None, self._headers)
            response = connection.getresponse()
            body = response.read()
            turn: Mapping[str, Any] | None = json.loads(body) if response.status == 200 else None
            return turn
        except (*_CUT, ValueError):
            return None
        finally:
            connection.close()


class _Blocks:
    """The bytes of one answer and when they came, read as its user reads."""

    def __init__(
        self,
        sock: socket.socket,
        sent_s: float,
        manner: Manner,
        silence_s: float,
        now: Now,
        sleep: Sleep,
    ) -> None:
        self._sock, self._silence_s, self._now, self._sleep = sock, silence_s, now, sleep
        self._rate = manner.bytes_per_s
        self._leave_s = float("inf")
        if manner.leave_after_s is not None:
            self._leave_s = sent_s + manner.leave_after_s

    @property
    def is_time_to_leave(self) -> bool:
        return self._now() >= self._leave_s

    def wait(self) -> None:
        """Let the next read fail when it is time to leave, or nothing came for too long."""
        left_s = self._leave_s - self._now()
        if left_s <= 0:
            raise TimeoutError
        self._sock.settimeout(min(self._silence_s, left_s + 0.001))

    def of(self, response: http.client.HTTPResponse) -> Iterator[tuple[bytes, float]]:
        size = _SLOW_BLOCK_BYTES if self._rate else _BLOCK_BYTES
        while True:
            self.wait()
            block = response.read1(size)
            at_s = self._now()
            if not block:
                return
            yield block, at_s
            if self._rate:
                self._sleep(len(block) / self._rate)


def _read_head(response: http.client.HTTPResponse, heard: Heard) -> None:
    heard.status = response.status
    heard.turn_id = response.getheader("X-Turn-Id", "")
    heard.session_id = response.getheader("X-Session-Id", "")
    with contextlib.suppress(ValueError):
        heard.retry_after_s = float(response.getheader("Retry-After", ""))


def _problem(response: http.client.HTTPResponse) -> Mapping[str, Any]:
    """The problem object, or as much of one as a plain answer of the proxy tells."""
    try:
        problem = json.loads(response.read())
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"code": f"http_{response.status}"}


def _take(name: str, data: Mapping[str, Any], at_s: float, heard: Heard) -> None:
    """One event of the stream."""
    if name == "queue":
        if heard.queued_s is None:
            heard.queued_s, heard.predicted_wait_s = at_s, float(data["predicted_wait_s"])
        return
    if name == "error":
        heard.problem = data
        if "retry_after_s" in data:
            heard.retry_after_s = float(data["retry_after_s"])
        return
    if heard.let_in_s is None:
        heard.let_in_s = at_s
    if name == "video":
        heard.viewer.push(base64.b64decode(data["data"]), at_s)
    elif name == "done":
        heard.turn = data
