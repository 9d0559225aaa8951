"""A scripted user over HTTP: asks, and stamps what comes back and when."""

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from benchmarks.incoming import AnswerError, BoxReader, EventReader, has_sound

Endpoint = Literal["stream", "video"]
"""Server-sent events as the page uses them, or the bare MP4 as ``curl`` does."""

Now = Callable[[], float]

_UPLOAD_BLOCK_BYTES = 65_536
_TIMEOUT = httpx.Timeout(120.0, connect=5.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply. Times are seconds since the last byte of the request was handed to the network.

    ``first_fragment_s`` is when the first ``moof`` with its ``mdat`` was complete;
    ``first_audio_s`` the same for the first fragment with sound. ``timings`` is what the server
    says about itself.
    """

    first_byte_s: float
    first_fragment_s: float
    first_audio_s: float
    fragment_s: tuple[float, ...]
    end_s: float
    n_bytes: int
    user_text: str
    response_text: str
    timings: Mapping[str, Any]

    @property
    def audio_s(self) -> float:
        """How long the reply's speech lasts."""
        return float(self.timings["audio_s"])

    @property
    def rtf(self) -> float:
        """Waiting time for the whole over the speech's duration."""
        return self.end_s / self.audio_s


class User:
    """Talks to one server over one connection that stays open, as a browser's does."""

    def __init__(
        self,
        url: str,
        transport: httpx.BaseTransport | None = None,
        now: Now = time.perf_counter,
        *,
        key: str = "",
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport
        )
        self._now = now

    def __enter__(self) -> "User":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(
        self, *, wav: bytes | None = None, text: str | None = None, endpoint: Endpoint = "stream"
    ) -> Answer:
        """Ask and take the whole reply as it comes.

        Raises:
            AnswerError: a problem instead of a reply, or a reply that was cut.
        """
        path = "/api/v1/conversation" + ("/stream" if endpoint == "stream" else "")
        accept = "text/event-stream" if endpoint == "stream" else "video/mp4"
        upload, response = self._post(path, accept, wav, text)
        stamps = _Stamps(upload.sent_at_s)
        try:
            if endpoint == "stream":
                turn = self._read_events(response, stamps)
            else:
                turn = self._read_video(response, stamps)
        finally:
            response.close()
        return stamps.answer(turn)

    def wait(self, *, wav: bytes | None = None, text: str | None = None) -> tuple[float, Any]:
        """Ask for the finished turn: seconds since the last uploaded byte, and its JSON.

        Raises:
            AnswerError: a problem instead of a turn.
        """
        upload, response = self._post("/api/v1/conversation", "application/json", wav, text)
        response.read()
        waited_s = self._now() - upload.sent_at_s
        response.close()
        return waited_s, response.json()

    def _post(
        self, path: str, accept: str, wav: bytes | None, text: str | None
    ) -> tuple["_Upload", httpx.Response]:
        request = self._http.build_request(
            "POST",
            path,
            headers={"Accept": accept, "Accept-Encoding": "identity"},
            files=None if wav is None else {"audio": ("question.wav", wav, "audio/wav")},
            data=None if text is None else {"text": text},
        )
        upload = _Upload(request.read(), self._now)
        request.stream = upload
        response = self._http.send(request, stream=True)
        if response.is_error:
            response.read()
            raise AnswerError(f"{response.status_code}: {response.text[:300]}")
        return upload, response

    def _read_events(self, response: httpx.Response, stamps: "_Stamps") -> Mapping[str, Any]:
        events = EventReader()
        turn: Mapping[str, Any] | None = None
        for chunk in response.iter_raw():
            arrived_s = self._now()
            stamps.arrived(arrived_s)
            for name, data in events.push(chunk):
                if name == "error":
                    raise AnswerError(f"error event: {data}")
                if name == "video":
                    stamps.video(base64.b64decode(data["data"]), arrived_s)
                if name == "done":
                    turn = data
        stamps.end_s = self._now()
        if turn is None:
            raise AnswerError("the stream ended without `done`")
        return turn

    def _read_video(self, response: httpx.Response, stamps: "_Stamps") -> Mapping[str, Any]:
        for chunk in response.iter_raw():
            arrived_s = self._now()
            stamps.arrived(arrived_s)
            stamps.video(chunk, arrived_s)
        stamps.end_s = self._now()
        told = self._http.get(f"/api/v1/turns/{response.headers['X-Turn-Id']}")
        if told.is_error:
            raise AnswerError(f"the turn is not known afterwards: {told.status_code}")
        turn: Mapping[str, Any] = told.json()
        return turn


class _Upload(httpx.SyncByteStream):
    """A request's body that knows when its last byte was taken."""

    def __init__(self, body: bytes, now: Now) -> None:
        self._body, self._now = body, now
        self.sent_at_s = now()

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), _UPLOAD_BLOCK_BYTES):
            yield self._body[start : start + _UPLOAD_BLOCK_BYTES]
        self.sent_at_s = self._now()  # asked for more, so the last block is in the socket


@dataclass
class _Stamps:
    """Collects one answer's times, on the clock of ``now``."""

    sent_at_s: float
    first_byte_s: float | None = None
    first_audio_s: float | None = None
    fragment_s: list[float] = field(default_factory=list)
    end_s: float = 0.0
    n_bytes: int = 0
    is_whole: bool = False
    boxes: BoxReader = field(default_factory=BoxReader)
    _moof: bytes | None = None

    def arrived(self, at_s: float) -> None:
        if self.first_byte_s is None:
            self.first_byte_s = at_s

    def video(self, data: bytes, at_s: float) -> None:
        self.n_bytes += len(data)
        for name, body in self.boxes.push(data):
            if name == "moof":
                self._moof = body
            elif name == "mdat" and self._moof is not None:
                self._fragment(self._moof, at_s)
                self._moof = None
            self.is_whole = name == "mfra"

    def _fragment(self, moof: bytes, at_s: float) -> None:
        self.fragment_s.append(at_s)
        if self.first_audio_s is None and has_sound(moof):
            self.first_audio_s = at_s

    def answer(self, turn: Mapping[str, Any]) -> Answer:
        if not self.is_whole:
            raise AnswerError("the video was cut before its mfra box")
        if self.first_byte_s is None or self.first_audio_s is None:
            raise AnswerError("the video has no fragment with sound")
        start_s = self.sent_at_s
        return Answer(
            first_byte_s=self.first_byte_s - start_s,
            first_fragment_s=self.fragment_s[0] - start_s,
            first_audio_s=self.first_audio_s - start_s,
            fragment_s=tuple(at_s - start_s for at_s in self.fragment_s),
            end_s=self.end_s - start_s,
            n_bytes=self.n_bytes,
            user_text=turn["user_text"],
            response_text=turn["response_text"],
            timings=turn["timings"],
        )
