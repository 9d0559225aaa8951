"""Any audio file a client may send -> AudioChunk, within limits. The bytes are never trusted."""

import io
from collections.abc import Generator
from functools import cache

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer

from deployments.errors import ProtocolError
from deployments.types import AudioChunk, Samples

# Containers that hold sound in themselves. Playlists and manifests (hls, concat, dash, sdp, ...)
# are left out because FFmpeg would open the files and addresses they name; still pictures too.
_CONTAINERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,mov,"
    "mp3,mpc,mpc8,mpeg,mpegts,nut,ogg,rm,tak,tta,voc,w64,wav,webm,wv,xwma"
)
_PADDING_S = 0.15  # codecs round up to whole frames: 120.0 s as MP3 decodes to 120.06 s
_MAX_BAD_PACKETS = 50  # ID3 remains and the like; more is not sound
_MAX_CHANNELS = 64  # what FFmpeg's mixer takes


def decode(data: bytes, rate_hz: int, max_s: float) -> AudioChunk:
    """The sound in ``data``, mixed down to mono at ``rate_hz``. Blocks: call it in a thread.

    Raises:
        ProtocolError: ``unsupported_media``, or ``too_large`` as soon as ``max_s`` is exceeded.
    """
    try:
        with _open(data) as container:
            blocks = list(_mono_blocks(container, rate_hz, max_s + _PADDING_S, max_s))
    except (av.error.FFmpegError, ValueError, EOFError, MemoryError) as error:
        raise _unsupported() from error
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not len(samples):
        raise _unsupported()
    samples = np.nan_to_num(samples, copy=False, nan=0.0)  # a float file may hold anything
    return AudioChunk(np.clip(samples, -1.0, 1.0), rate_hz)


def _unsupported() -> ProtocolError:
    return ProtocolError(
        "no sound in these bytes; send WAV, MP3, M4A, OGG, WebM or FLAC", code="unsupported_media"
    )


def _open(data: bytes) -> InputContainer:
    options = {
        "format_whitelist": _CONTAINERS,
        "protocol_whitelist": "none",  # no such protocol: nothing but these bytes is ever opened
        "codec_whitelist": _audio_decoders(),  # a video track is skipped, not probed by decoding
    }
    if data.startswith(b"RIFF"):
        # FFmpeg searches a WAV for sound of other kinds disguised as samples, 5 MB far, which
        # takes 10 ms of 12; here 64 kB have to do (5 s of 48 kHz: 4 ms, 2026-11-21).
        options["probesize"] = "65536"
    return av.open(io.BytesIO(data), mode="r", container_options=options, metadata_errors="ignore")


@cache
def _audio_decoders() -> str:
    names = []
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "r")
        except ValueError:  # an encoder's name
            continue
        if codec.type == "audio":
            names.append(name)
    return ",".join(names)


def _mono_blocks(
    container: InputContainer, rate_hz: int, limit_s: float, max_s: float
) -> Generator[Samples, None, None]:
    """Resampled blocks. The duration is checked on each frame before it is resampled, since a few
    bytes may claim hours of sound at a rate of 1 Hz."""
    resampler = AudioResampler(format="flt", layout="mono", rate=rate_hz)
    decoded_s = 0.0
    for frame in _frames(container):
        decoded_s += frame.samples / frame.sample_rate
        if decoded_s > limit_s:
            raise ProtocolError(f"the sound is longer than {max_s:g} s", code="too_large")
        yield from (_samples(f) for f in resampler.resample(frame))
    if decoded_s:
        yield from (_samples(f) for f in resampler.resample(None))


def _frames(container: InputContainer) -> Generator[AudioFrame, None, None]:
    """The first audio stream's frames; single bad packets are skipped, as every player does."""
    if not container.streams.audio:
        raise _unsupported()
    stream = container.streams.audio[0]
    n_bad = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            n_bad += 1
            if n_bad > _MAX_BAD_PACKETS:
                raise
            continue
        for frame in frames:
            if frame.sample_rate <= 0 or len(frame.layout.channels) > _MAX_CHANNELS:
                raise _unsupported()
            frame.pts = None  # gaps and jumps in a file's clock are no silence to be filled
            yield frame


def _samples(frame: AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), dtype=np.float32).reshape(-1)
