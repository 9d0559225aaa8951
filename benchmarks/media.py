"""What the server sends, read with FFmpeg's own demuxer and decoders, which wrote none of it."""

import io
from dataclasses import dataclass

import av
import numpy as np

from deployments.types import Frame, Samples


@dataclass(frozen=True, eq=False)
class Mp4:
    """A decoded video; times in seconds by pts. ``frames`` is empty unless they were asked for."""

    codecs: tuple[str, str]
    frame_times_s: list[float]
    keyframe_times_s: list[float]
    frames: list[Frame]
    sound: Samples
    sample_rate_hz: int
    video_end_s: float
    audio_end_s: float
    comment: str


def read_mp4(data: bytes, *, with_frames: bool = False) -> Mp4:
    """Decode ``data`` whole.

    Args:
        data: the file, or all that was streamed.
        with_frames: keep the pictures too: 0.66 MB each at 384x576.

    Raises:
        av.error.FFmpegError: for what is broken.
    """
    ends, keys = {"video": 0.0, "audio": 0.0}, []
    with av.open(io.BytesIO(data), "r") as file:
        for packet in file.demux():
            if packet.pts is None or packet.time_base is None:
                continue
            start = float(packet.pts * packet.time_base)
            end = start + float((packet.duration or 0) * packet.time_base)
            ends[packet.stream.type] = max(ends[packet.stream.type], end)
            if packet.stream.type == "video" and packet.is_keyframe:
                keys.append(start)
    with av.open(io.BytesIO(data), "r") as file:
        video, voice = file.streams.video[0], file.streams.audio[0]
        times, frames, sound = list[float](), list[Frame](), list[Samples]()
        for packet in file.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    times.append(float(frame.time or 0.0))
                    if with_frames:
                        frames.append(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
                elif isinstance(frame, av.AudioFrame):
                    sound.append(np.asarray(frame.to_ndarray()[0], np.float32))
        return Mp4(
            codecs=(video.codec_context.name, voice.codec_context.name),
            frame_times_s=times,
            keyframe_times_s=keys,
            frames=frames,
            sound=np.concatenate(sound) if sound else np.zeros(0, np.float32),
            sample_rate_hz=voice.codec_context.sample_rate,
            video_end_s=ends["video"],
            audio_end_s=ends["audio"],
            comment=file.metadata.get("comment", ""),
        )
