"""Speech -> WAV, MP3 or Ogg/Opus, while it is spoken."""

import struct
from typing import Any, Literal, Protocol

import av
import numpy as np

from deployments.types import AudioChunk, Samples

Format = Literal["wav", "mp3", "opus"]
MEDIA_TYPES: dict[Format, str] = {"wav": "audio/wav", "mp3": "audio/mpeg", "opus": "audio/ogg"}

_OPEN_ENDED = 0xFFFFFFFF  # the size of a WAV whose end is not known yet


class SpeechEncoder(Protocol):
    """One recording, from its first chunk to its end. Blocks; not for several threads at once."""

    def encode(self, audio: AudioChunk) -> bytes:
        """What can be sent after ``audio``; all chunks have the same rate. May be empty."""
        ...

    def finish(self) -> bytes:
        """The rest."""
        ...


def encoder(name: Format) -> SpeechEncoder:
    """A new recording in this format."""
    if name == "wav":
        return _Wav()
    if name == "mp3":
        return _Muxed("mp3", "libmp3lame", 64_000, {"write_xing": "0", "id3v2_version": "0"})
    return _Muxed("ogg", "libopus", 32_000, {"page_duration": "20000"})  # us: a page a packet


class _Wav:
    """16-bit PCM; the header leaves with the first samples."""

    def __init__(self) -> None:
        self._has_header = False

    def encode(self, audio: AudioChunk) -> bytes:
        head = b"" if self._has_header else _wav_header(audio.sample_rate_hz)
        self._has_header = True
        return head + _pcm16(audio.samples)

    def finish(self) -> bytes:
        return b""


def _wav_header(rate_hz: int) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    riff = struct.pack("<4sI4s", b"RIFF", _OPEN_ENDED, b"WAVE")
    return riff + form + struct.pack("<4sI", b"data", _OPEN_ENDED)


def _pcm16(samples: Samples) -> bytes:
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


class _Sink:
    """Where FFmpeg writes; it cannot seek, so nothing is ever rewritten."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class _Muxed:
    """An FFmpeg encoder and container; opened by the first chunk, which brings the rate."""

    def __init__(self, container: str, codec: str, bit_rate: int, options: dict[str, str]) -> None:
        self._sink = _Sink()
        self._container: Any = av.open(
            self._sink, "w", format=container, options={**options, "flush_packets": "1"}
        )
        self._codec, self._bit_rate = codec, bit_rate
        self._stream: Any = None
        self._resampler: Any = None

    def encode(self, audio: AudioChunk) -> bytes:
        if self._stream is None:
            self._open(audio.sample_rate_hz)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(audio.samples[None]), format="flt", layout="mono"
        )
        frame.rate = audio.sample_rate_hz
        self._mux(frame)
        return self._sink.take()

    def finish(self) -> bytes:
        if self._stream is not None:
            self._mux(None)
            self._container.mux(self._stream.encode(None))
            self._container.close()
        return self._sink.take()

    def _open(self, rate_hz: int) -> None:
        rate = 48_000 if self._codec == "libopus" else rate_hz  # Opus has its own clock
        self._stream = self._container.add_stream(self._codec, rate=rate)
        self._stream.layout = "mono"
        self._stream.bit_rate = self._bit_rate
        self._stream.codec_context.open()
        self._resampler = av.AudioResampler(
            self._stream.format.name, "mono", rate, frame_size=self._stream.frame_size
        )

    def _mux(self, frame: Any) -> None:
        for piece in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(piece))
