"""Stages that answer at once, with a switch for each way to fail, and clips to send them."""

import asyncio
import io
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.caller import CALLER
from deployments.caller import Caller as Ids
from deployments.errors import AvatarError
from deployments.types import (
    AsrCapabilities,
    AudioChunk,
    AvatarCapabilities,
    AvatarCard,
    ControlRange,
    CustomVoice,
    Frame,
    LlmCapabilities,
    LlmStatus,
    Message,
    PortraitSource,
    ReplyDelta,
    ReplySentence,
    Samples,
    SpeechChunk,
    Stretch,
    Transcript,
    TtsCapabilities,
    VideoPackets,
    Voice,
    Word,
)
from graph.events import Progress, QueueUpdated
from graph.record import TurnRecord
from graph.stages import Stages
from web.app import create_app
from web.health import DeploymentHealth, Health
from web.library import Library
from web.services import Admission, Services
from web.settings import IngressSettings
from web.sqlite_store import SqliteStore

SIZE_PX = 64
FPS = 25
SPEECH_RATE_HZ = 22_050
QUESTION = "what is the time"
REPLY = ("It is noon. ", "Have a ", "good day.")


@dataclass(eq=False)
class Switches:
    """What the fake stages do beyond answering; each test sets its own."""

    fail: dict[str, Exception] = field(default_factory=dict)  # by stage, or "clone", "still"
    fail_from_stretch: int = 0  # the avatar fails at this stretch, if it is to fail
    heard: str = QUESTION
    is_held: asyncio.Event = field(default_factory=asyncio.Event)  # set while a stage waits
    hold: str = ""  # the stage that waits until it is released; also "before llm" and "mid llm"
    released: asyncio.Event = field(default_factory=asyncio.Event)
    hold_from_stretch: int = 0
    running: int = 0  # streams that have been opened and not closed
    histories: list[tuple[Message, ...]] = field(default_factory=list)
    spoken_by: str = ""  # of a chain of language models
    voice_format: str = ""  # empty: voices cannot be cloned
    cloned: list[AudioChunk] = field(default_factory=list)  # the samples
    voices: list[str | CustomVoice | None] = field(default_factory=list)  # of each sentence
    drawn_faces: list[str] = field(default_factory=list)  # of each stretch
    asked: list[tuple[str, Ids]] = field(default_factory=list)  # stages, and for whom

    def check(self, stage: str) -> None:
        self.asked.append((stage, CALLER.get()))
        if stage in self.fail:
            raise self.fail[stage]

    async def wait(self, stage: str) -> None:
        if self.hold == stage:
            self.is_held.set()
            await self.released.wait()
            self.check(stage)


class FakeAsr:
    def __init__(self, switches: Switches) -> None:
        self.switches = switches

    async def describe(self) -> AsrCapabilities:
        return AsrCapabilities("fake-asr", ("en",), detects_language=False)

    async def transcribe(self, audio: AudioChunk, language: str | None) -> Transcript:
        self.switches.check("asr")
        await self.switches.wait("asr")
        words = tuple(
            Word(text, float(i), i + 0.5) for i, text in enumerate(self.switches.heard.split())
        )
        return Transcript(self.switches.heard, True, words, language or "en")


class FakeLlm:
    def __init__(self, switches: Switches) -> None:
        self.switches = switches

    async def describe(self) -> LlmCapabilities:
        return LlmCapabilities("fake-llm", ("en", "es"))

    async def status(self) -> LlmStatus:
        return LlmStatus("fake-replica")

    async def reply(
        self, messages: Sequence[Message], language: str
    ) -> AsyncGenerator[ReplyDelta, None]:
        self.switches.histories.append(tuple(messages))
        self.switches.running += 1
        try:
            self.switches.check("llm")
            await self.switches.wait("before llm")
            for text in REPLY[:-1]:
                yield ReplyDelta(text, self.switches.spoken_by)
            await self.switches.wait("mid llm")
            yield ReplyDelta(REPLY[-1], self.switches.spoken_by)
            await self.switches.wait("llm")
        finally:
            self.switches.running -= 1


class FakeTts:
    """0.4 s of a tone for every sentence."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches

    async def describe(self) -> TtsCapabilities:
        voices = (Voice("low", "Low", ("en",)), Voice("alta", "Alta", ("es",)))
        known = self.switches.voice_format
        return TtsCapabilities(
            "fake-tts", ("en", "es"), SPEECH_RATE_HZ, voices, bool(known), voice_format=known
        )

    async def clone(self, sample: AudioChunk) -> bytes:
        self.switches.check("clone")
        await self.switches.wait("clone")
        self.switches.cloned.append(sample)
        return f"{self.switches.voice_format}: {sample.duration_s:.1f} s".encode()

    async def speak(
        self, sentence: ReplySentence, language: str, voice: str | CustomVoice | None
    ) -> AsyncGenerator[SpeechChunk, None]:
        self.switches.running += 1
        try:
            self.switches.check("tts")
            await self.switches.wait("tts")
            self.switches.voices.append(voice)
            audio = AudioChunk(tone(0.4, SPEECH_RATE_HZ), SPEECH_RATE_HZ)
            yield SpeechChunk(audio, sentence.index, (), sentence.is_last, sentence.turn_no)
        finally:
            self.switches.running -= 1


class FakeAvatar:
    """A grey square, really encoded."""

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self.n_stretches = 0

    async def describe(self) -> AvatarCapabilities:
        controls = (ControlRange("smile", 0.0, 1.0, 0.5),)
        return AvatarCapabilities("fake-avatar", SIZE_PX, SIZE_PX, FPS, 0.0, 4, controls)

    async def portraits(self) -> tuple[AvatarCard, ...]:
        return (
            AvatarCard("grey", "Grey", SIZE_PX, SIZE_PX),
            AvatarCard("green", "Green", SIZE_PX, SIZE_PX),
        )

    async def still(self, avatar_id: str, source: PortraitSource | None = None) -> Frame:
        if "still" in self.switches.fail:
            raise self.switches.fail["still"]
        return np.full((SIZE_PX, SIZE_PX, 3), 128, np.uint8)

    async def render(self, stretch: Stretch) -> AsyncGenerator[VideoPackets, None]:
        self.switches.running += 1
        self.n_stretches += 1
        self.switches.drawn_faces.append(stretch.avatar_id)
        try:
            if self.n_stretches > self.switches.fail_from_stretch:
                self.switches.check("avatar")
            if self.n_stretches > self.switches.hold_from_stretch:
                await self.switches.wait("avatar")
            units, config = encode_grey(stretch.first_frame, stretch.n_frames)
            yield VideoPackets(units, stretch.first_frame, FPS, True, b"", config)
        finally:
            self.switches.running -= 1


class LoudVad:
    """Whatever is loud is speech."""

    sample_rate_hz = 16_000
    chunk_samples = 512

    def open(self) -> "LoudVad":
        return self

    def detect(self, chunk: Samples) -> float:
        return float(np.abs(chunk).max() > 0.01)


def encode_grey(first_frame: int, n_frames: int) -> tuple[tuple[bytes, ...], bytes]:
    """H.264 access units (Annex B) of a grey picture, and SPS with PPS."""
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width = codec.height = SIZE_PX
    codec.pix_fmt = "yuv420p"
    codec.time_base = Fraction(1, FPS)
    codec.framerate = Fraction(FPS)
    codec.thread_count = 1
    codec.flags |= av.codec.context.Flags.global_header
    codec.options = {"preset": "ultrafast", "tune": "zerolatency"}
    units = []
    picture = np.full((SIZE_PX * 3 // 2, SIZE_PX), 128, np.uint8)
    for number in range(first_frame, first_frame + n_frames):
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = number
        units += [bytes(packet) for packet in codec.encode(frame)]
    units += [bytes(packet) for packet in codec.encode(None)]
    return tuple(units), bytes(codec.extradata)


def tone(seconds: float, rate_hz: int, loudness: float = 0.3, pitch_hz: float = 220) -> Samples:
    n = np.arange(round(seconds * rate_hz))
    return (loudness * np.sin(n * 2 * np.pi * pitch_hz / rate_hz)).astype(np.float32)


def murmur(
    seconds: float = 8.0,
    rate_hz: int = 48_000,
    *,
    loudness: float = 0.3,
    pitch_hz: float = 220,
    noise: float = 0.0,
) -> Samples:
    """What ``LoudVad`` takes for somebody who speaks: half a second of a tone, a pause, and so on.

    ``noise``: the loudness (root mean square) of what is heard all the time.
    """
    sound = tone(seconds, rate_hz, loudness, pitch_hz)
    sound[np.arange(len(sound)) % round(0.65 * rate_hz) >= round(0.5 * rate_hz)] = 0
    hiss = np.random.default_rng(1).normal(0, noise, len(sound)) if noise else 0
    return (sound + hiss).astype(np.float32)


CLIPS = {
    "wav": "pcm_s16le",
    "mp3": "libmp3lame",
    "webm": "libopus",
    "ogg": "libopus",
    "flac": "flac",
    "mp4": "aac",
}


def clip(
    seconds: float = 1.0,
    container: str = "wav",
    *,
    rate_hz: int = 48_000,
    channels: str = "mono",
    loudness: float = 0.3,
) -> bytes:
    """A tone in a file made by FFmpeg."""
    sound = tone(seconds, rate_hz, loudness)
    return in_file(sound, container, rate_hz=rate_hz, channels=channels)


def in_file(
    sound: Samples, container: str = "wav", *, rate_hz: int = 48_000, channels: str = "mono"
) -> bytes:
    """The sound in a file made by FFmpeg."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(CLIPS[container], rate=rate_hz)
        stream.layout = channels
        frame = av.AudioFrame.from_ndarray(sound[None], "flt", "mono")
        frame.rate = rate_hz
        resampler = av.AudioResampler(
            stream.format.name, channels, rate_hz, frame_size=stream.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return out.getvalue()


@dataclass(eq=False)
class ScriptedGate:
    """Lets everybody in, until it is shut: then whoever enters meets what the test tells."""

    script: asyncio.Queue[QueueUpdated | AvatarError | None] | None = None
    is_awaited: asyncio.Event = field(default_factory=asyncio.Event)  # somebody met all of it
    waiting: list[str] = field(default_factory=list)  # turn ids, as are all of these
    inside: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    is_left: asyncio.Event = field(default_factory=asyncio.Event)  # somebody left or ended
    progress: list[tuple[str, Progress]] = field(default_factory=list)

    def shut(self, *told: QueueUpdated | AvatarError | None) -> None:
        """From now on, ``told`` awaits whoever enters."""
        self.script = asyncio.Queue()
        for item in told:
            self.tell(item)

    def tell(self, item: QueueUpdated | AvatarError | None) -> None:
        """A place in the queue, a refusal or another error, or ``None``: come in."""
        assert self.script is not None
        self.script.put_nowait(item)

    async def enter(self, turn_id: str) -> AsyncGenerator[QueueUpdated, None]:
        self.waiting.append(turn_id)
        try:
            while (told := await self._next()) is not None:
                if isinstance(told, AvatarError):
                    raise told
                yield told
            self.inside.append(turn_id)
        finally:
            self.waiting.remove(turn_id)

    async def _next(self) -> QueueUpdated | AvatarError | None:
        if self.script is None:
            return None
        if self.script.empty():
            self.is_awaited.set()
        return await self.script.get()

    def progressed(self, turn_id: str, progress: Progress) -> None:
        self.progress.append((turn_id, progress))

    def leave(self, turn_id: str) -> None:
        self.left.append(turn_id)
        self.is_left.set()
        if turn_id in self.inside:
            self.inside.remove(turn_id)


async def fake_metrics() -> str:
    return "turns 1\n"


def ready(**status: Any) -> Health:
    """All four stages ready, except as said."""
    names = ("asr", "llm", "tts", "avatar")
    return Health({n: DeploymentHealth(status.get(n, "ready"), f"fake-{n}", 1) for n in names})


@dataclass(eq=False)
class World:
    """An application around fake stages, and what a test looks at afterwards."""

    app: FastAPI
    services: Services
    switches: Switches
    store: SqliteStore
    data_dir: Path
    health: list[Health]
    gate: ScriptedGate
    outcomes: list[str]
    admissions: list[tuple[Admission, float | None]]
    drawn: asyncio.Event  # set once an idle loop has been drawn
    drawn_faces: list[str]

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://server")

    def media(self) -> list[str]:
        return sorted(path.name for path in (self.data_dir / "media").iterdir())


def make_world(
    data_dir: Path,
    *,
    clock: Any = None,
    page: Path | None = None,
    background: tuple[Callable[[], Awaitable[None]], ...] = (),
    on_turn: tuple[Callable[[TurnRecord], None], ...] = (),
    **settings: Any,
) -> World:
    """A ready application whose limits are the interface's except as given."""
    chosen = IngressSettings(data_dir=data_dir, min_free_disk_bytes=0, **settings)
    switches = Switches()
    extra = {} if clock is None else {"clock": clock}
    store = SqliteStore(data_dir, retention_s=chosen.retention_s, **extra)
    library = Library(data_dir, **extra)
    health = [ready()]
    gate = ScriptedGate()
    outcomes: list[str] = []
    admissions: list[tuple[Admission, float | None]] = []
    drawn, drawn_faces = asyncio.Event(), list[str]()

    async def draw_idle_loop(avatar_id: str) -> bytes:
        drawn_faces.append(avatar_id)
        drawn.set()
        return b"idle video of " + avatar_id.encode()

    async def current_health() -> Health:
        return health[-1]

    services = Services(
        stages=Stages(
            FakeAsr(switches), FakeLlm(switches), FakeTts(switches), FakeAvatar(switches)
        ),
        vad=LoudVad(),
        store=store,
        library=library,
        settings=chosen,
        health=current_health,
        metrics=fake_metrics,
        idle_loop=draw_idle_loop,
        gate=gate,
        on_turn=(lambda turn: outcomes.append(turn.outcome), *on_turn),
        on_admission=lambda admission, wait_ms: admissions.append((admission, wait_ms)),
        background=background,
        **extra,
    )
    app = create_app(services) if page is None else create_app(services, page)
    return World(
        app=app,
        services=services,
        switches=switches,
        store=store,
        data_dir=data_dir,
        health=health,
        gate=gate,
        outcomes=outcomes,
        admissions=admissions,
        drawn=drawn,
        drawn_faces=drawn_faces,
    )


class ServeProxy:
    """Does with request ids what Ray Serve 2.60 does: repeats whatever the client sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = MutableHeaders(scope=scope)
        request_id = headers.get("x-request-id")
        if request_id is None:
            request_id = "made-by-serve"
            headers.append("x-request-id", request_id)

        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("X-Request-ID", request_id)
            await send(message)

        await self._app(scope, receive, marked)


class Caller:
    """Drives the application as a server would, so that a test can leave in the middle."""

    def __init__(self, app: FastAPI, method: str, path: str, headers: dict[str, str]) -> None:
        self._app = app
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "server": ("server", 80),
            "client": ("127.0.0.1", 1),
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.has_sent = asyncio.Event()
        self._is_read = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(self._app(self._scope, self._receive, self._send))

    async def _receive(self) -> Any:
        if self._incoming.empty():
            self._is_read.set()
        return await self._incoming.get()

    async def _send(self, message: Any) -> None:
        self.sent.append(message)
        self.has_sent.set()

    async def upload(self, body: bytes, *, is_last: bool = True) -> None:
        self._is_read.clear()
        await self._incoming.put({"type": "http.request", "body": body, "more_body": not is_last})

    async def until_read(self) -> None:
        """Wait until the application has read what was uploaded and asks for more."""
        await asyncio.wait_for(self._is_read.wait(), 5)

    async def leave(self) -> None:
        """Close the connection and wait until the application has noticed."""
        await self._incoming.put({"type": "http.disconnect"})
        assert self.task is not None
        with suppress(Exception):
            await asyncio.wait_for(self.task, 5)

    async def until_sent(self, part: bytes) -> None:
        """Wait until ``part`` is somewhere in the answer."""
        async with asyncio.timeout(5):
            while part not in self.body:
                self.has_sent.clear()
                await self.has_sent.wait()

    async def until_answered(self) -> None:
        """Wait for the end of the answer; raises as the application did."""
        assert self.task is not None
        await asyncio.wait_for(self.task, 5)

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.sent if m["type"].endswith("body"))


def multipart(fields: dict[str, Any]) -> tuple[bytes, str]:
    """An encoded form and its content type."""
    files = {k: ("file", v) if isinstance(v, bytes) else (None, v) for k, v in fields.items()}
    request = httpx.Request("POST", "http://server", files=files)
    return request.read(), request.headers["content-type"]
