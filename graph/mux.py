"""H.264 packets and sound -> fragmented MP4, without decoding anything.

Each fragment is written by a short-lived container of its own: in one long container no setting
flushes exactly where we want it (measured for this project; see the options below). What such a
container writes before its ``moof`` is the init segment, which only the first fragment needs.
"""

import io
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any, TypeAlias

import av
import numpy as np
from av.packet import Packet
from av.stream import Stream

from deployments.types import Samples, VideoPackets

AnyPacket: TypeAlias = "Packet[Any]"

AI_COMMENT = "AI-generated: the face and the voice in this video are synthetic."
"""Goes into the file's metadata, so that a saved answer says what it is."""

END_BOX = struct.pack(">I4s", 24, b"mfra") + struct.pack(">I4sII", 16, b"mfro", 0, 24)
"""A minimal ``mfra`` (its size pointer alone): a video without it was cut."""

BIT_RATE = 64_000
"""Of the AAC track: speech in mono."""

# Source: ISO/IEC 14496-12 for the boxes; FFmpeg's movenc options as tried with PyAV 18.
_CONTAINER_OPTIONS = MappingProxyType(
    {
        "movflags": "empty_moov+default_base_moof+frag_custom+frag_discont+skip_trailer",
        "use_editlist": "0",
        "avoid_negative_ts": "disabled",
    }
)


class SoundTrack:
    """One turn's AAC encoder: samples in, packets with time stamps in samples out."""

    frame_samples = 1024  # of AAC-LC

    def __init__(self, sample_rate_hz: int) -> None:
        codec = av.CodecContext.create("aac", "w")
        codec.sample_rate = sample_rate_hz
        codec.layout = "mono"
        codec.format = "fltp"
        codec.bit_rate = BIT_RATE
        codec.time_base = Fraction(1, sample_rate_hz)
        codec.options = {"aac_coder": "fast"}  # four times cheaper than the default coder
        codec.open()
        self._codec = codec
        self.sample_rate_hz = sample_rate_hz
        self._rest: list[Samples] = []
        self._n_rest = 0
        self._next_pts = 0
        self.is_finished = False
        self._ready: deque[AnyPacket] = deque()

    @property
    def n_samples(self) -> int:
        """How many samples were given so far."""
        return self._next_pts + self._n_rest

    def append(self, samples: Samples) -> None:
        """Encode what fills whole AAC frames; the rest waits for the next call."""
        self._rest.append(samples)
        self._n_rest += len(samples)
        n_whole = self._n_rest // self.frame_samples * self.frame_samples
        if not n_whole:
            return
        joined = np.concatenate(self._rest)
        self._rest, self._n_rest = [joined[n_whole:]], self._n_rest - n_whole
        for start in range(0, n_whole, self.frame_samples):
            self._encode(joined[start : start + self.frame_samples])

    def finish(self, n_samples: int) -> None:
        """Pad with silence to ``n_samples`` in all, and flush the encoder."""
        self.append(np.zeros(max(0, n_samples - self.n_samples), np.float32))
        if self._n_rest:
            self.append(np.zeros(self.frame_samples - self._n_rest, np.float32))
        self._keep(self._codec.encode(None))
        self.is_finished = True
        while self._ready and (self._ready[-1].pts or 0) >= n_samples:
            self._ready.pop()
        if self._ready:  # sound and picture end together, though AAC comes in whole frames
            self._ready[-1].duration = n_samples - (self._ready[-1].pts or 0)

    def take(self, until_s: float) -> list[AnyPacket]:
        """The encoded packets that start before ``until_s``, each once."""
        taken = []
        while self._ready and (self._ready[0].pts or 0) < until_s * self.sample_rate_hz:
            taken.append(self._ready.popleft())
        return taken

    def _encode(self, block: Samples) -> None:
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="fltp", layout="mono")
        frame.sample_rate = self.sample_rate_hz
        frame.pts = self._next_pts
        frame.time_base = self._codec.time_base
        self._next_pts += len(block)
        self._keep(self._codec.encode(frame))

    def _keep(self, packets: Sequence[AnyPacket]) -> None:
        # The packet before time 0 primes the decoder. Kept, it would shift the picture by 86 ms in
        # browsers; dropped, it costs the first 46 ms of sound, which are silent in our speech.
        self._ready.extend(p for p in packets if p.pts is not None and p.pts >= 0)


class FragmentedMp4:
    """One reply's MP4: call ``write`` for consecutive packets, then send ``END_BOX``.

    ``av_skew_ms`` is how far apart sound and picture ended at the worst of the fragments.
    """

    def __init__(self, width_px: int, height_px: int, sample_rate_hz: int) -> None:
        self.sound = SoundTrack(sample_rate_hz)
        self._size = (width_px, height_px)
        self._n_fragments = 0
        self._sound_end_s = 0.0
        self.mime = ""
        self.av_skew_ms = 0.0

    def write(self, video: VideoPackets, *, is_last: bool = False) -> Iterator[bytes]:
        """The init segment (before the first fragment only), then the fragment itself.

        Sound must have been given to ``sound`` before; the fragment takes what belongs beside its
        frames, the last one takes all.
        """
        end_s = video.start_s + video.n_frames / video.fps
        sound = self.sound.take(float("inf") if is_last else end_s)
        self._compare_ends(sound, end_s)
        whole = self._container(video, sound)
        split = whole.index(b"moof") - 4
        if self._n_fragments == 0:
            self.mime = mime_type(video.codec_config)
            yield whole[:split]
        self._n_fragments += 1
        yield whole[split:]

    def _compare_ends(self, sound: Sequence[AnyPacket], picture_end_s: float) -> None:
        if sound:
            end = (sound[-1].pts or 0) + (sound[-1].duration or 0)
            self._sound_end_s = end / self.sound.sample_rate_hz
        skew_ms = abs(self._sound_end_s - picture_end_s) * 1000
        self.av_skew_ms = max(self.av_skew_ms, skew_ms)

    def _container(self, video: VideoPackets, sound: Sequence[AnyPacket]) -> bytes:
        sink = _Sink()
        options = {**_CONTAINER_OPTIONS, "fragment_index": str(self._n_fragments + 1)}
        with av.open(sink, "w", format="mp4", options=options) as container:
            container.metadata["comment"] = AI_COMMENT
            # PyAV reads SPS and PPS out of the stream's first packet, since such a stream
            # has no encoder; the sound's stream gets one, only for the header that it writes.
            picture = container.add_mux_stream(
                "h264", rate=video.fps, width=self._size[0], height=self._size[1]
            )
            voice = container.add_stream("aac", rate=self.sound.sample_rate_hz, layout="mono")
            voice.bit_rate = BIT_RATE
            container.mux(_picture_packets(video, picture))
            for packet in sound:
                packet.stream = voice
                container.mux(packet)
        return sink.joined()


def silent_mp4(video: Sequence[VideoPackets], width_px: int, height_px: int) -> bytes:
    """A plain MP4 of the packets, index first, so that a browser can loop it."""
    sink = io.BytesIO()
    # Room for the index in front; `faststart` would open the file again by its name.
    n_frames = sum(part.n_frames for part in video)
    options = {"moov_size": str(2048 + 32 * n_frames)}
    with av.open(sink, "w", format="mp4", options=options) as container:
        container.metadata["comment"] = AI_COMMENT
        picture = container.add_mux_stream(
            "h264", rate=video[0].fps, width=width_px, height=height_px
        )
        for part in video:
            container.mux(_picture_packets(part, picture))
    return sink.getvalue()


def _picture_packets(video: VideoPackets, stream: Stream) -> list[AnyPacket]:
    packets = []
    for i, unit in enumerate(video.units):
        packet = Packet(video.codec_config + unit if i == 0 else unit)
        packet.stream = stream
        packet.time_base = Fraction(1, video.fps)
        packet.pts = packet.dts = video.first_frame + i
        packet.duration = 1
        packet.is_keyframe = i == 0 and video.starts_with_keyframe
        packets.append(packet)
    return packets


class _Sink:
    """A file that can only be written to, so that the muxer never seeks back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def joined(self) -> bytes:
        return b"".join(self._parts)


def mime_type(codec_config: bytes) -> str:
    """The MIME type with codecs, as MediaSource wants it, read from the SPS."""
    sps = codec_config.index(b"\x00\x00\x01\x67") + 4
    return f'video/mp4; codecs="avc1.{codec_config[sps : sps + 3].hex().upper()},mp4a.40.2"'
