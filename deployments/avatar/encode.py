"""Frames to H.264: one short-lived encoder per stretch, all of them with the same SPS and PPS."""

from fractions import Fraction
from typing import Any

import av
import cv2
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from deployments.config import EncoderConfig
from deployments.errors import EngineInputError, EngineLoadError
from deployments.types import Frame

# No B frames and one reference, so that each frame's unit comes out at once and any replica's
# stretch can follow any other's. A stretch is far shorter than 250 frames: its only IDR is its
# first frame.
_X264_PARAMS = "keyint=250:min-keyint=250:scenecut=0:bframes=0:ref=1"


class StretchEncoder:
    """Encodes the frames of one stretch; not to be shared between threads.

    A context per stretch, because a stretch must start with a keyframe whoever draws it. Opening
    one costs 0.9 ms (our measurement, one x86-64 core).

    Raises:
        EngineInputError: a size that yuv420p cannot hold.
        EngineLoadError: this machine has no such encoder, or that does not know the preset.
    """

    def __init__(
        self,
        settings: EncoderConfig,
        width_px: int,
        height_px: int,
        fps: int,
        first_frame: int = 0,
    ) -> None:
        if width_px % 2 or height_px % 2 or min(width_px, height_px) < 2:
            size = f"{width_px}x{height_px}"
            raise EngineInputError(f"{size}: H.264 needs even sides", stage="avatar")
        self._size = (height_px, width_px, 3)
        self._next_frame = first_frame
        self._context: VideoCodecContext | None = _open(settings, width_px, height_px, fps)
        self._picture: av.VideoFrame | None = None
        self.codec_config: bytes = bytes(self._context.extradata or b"")  # SPS and PPS, Annex B

    def encode(self, frame: Frame) -> bytes:
        """The access unit (Annex B) of ``frame``, which is (height, width, 3) uint8 BGR.

        Its presentation time is the absolute frame number. The first unit is an IDR.

        Raises:
            EngineInputError: a frame of another size, or the encoder is closed.
        """
        if frame.shape != self._size:
            raise EngineInputError(
                f"a frame of shape {frame.shape} where {self._size} was announced", stage="avatar"
            )
        # OpenCV's conversion takes a third of the time of swscale's.
        planes: Any = cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420)
        self._picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        return self.repeat()

    def repeat(self) -> bytes:
        """The access unit of the last frame once more, as the next one.

        Raises:
            EngineInputError: there is no last frame, or the encoder is closed.
        """
        if self._context is None:
            raise EngineInputError("the encoder is closed", stage="avatar")
        if self._picture is None:
            raise EngineInputError("there is no frame to repeat", stage="avatar")
        self._picture.pts = self._next_frame
        self._next_frame += 1
        return b"".join(bytes(packet) for packet in self._context.encode(self._picture))

    def close(self) -> None:
        """Free the encoder; with ``zerolatency`` there is nothing left inside to flush."""
        self._context = self._picture = None

    def __enter__(self) -> "StretchEncoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(settings: EncoderConfig, width_px: int, height_px: int, fps: int) -> VideoCodecContext:
    context: Any = av.CodecContext.create(settings.codec, "w")
    context.width, context.height = width_px, height_px
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, fps)
    context.framerate = Fraction(fps, 1)
    context.thread_count = 1
    context.flags |= Flags.global_header
    context.options = _x264(settings) if settings.codec == "libx264" else _nvenc(settings)
    try:
        context.open()
    except av.FFmpegError as error:
        hint = "; NVENC needs an NVIDIA card and its driver" if "nvenc" in settings.codec else ""
        text = f"{settings.codec} does not open with preset {settings.preset!r}: {error}{hint}"
        raise EngineLoadError(text, stage="avatar") from None
    opened: VideoCodecContext = context
    return opened


def _x264(settings: EncoderConfig) -> dict[str, str]:
    return {
        "preset": settings.preset,
        "tune": "zerolatency",
        "crf": str(settings.crf),
        "profile": "main",
        "x264-params": _X264_PARAMS,
    }


def _nvenc(settings: EncoderConfig) -> dict[str, str]:
    return {
        "preset": settings.preset,
        "tune": "ull",
        "rc": "vbr",
        "cq": str(settings.crf),
        "b": "0",  # no bit rate: the quality alone decides
        "profile": "main",
        "bf": "0",
        "g": "250",
        "delay": "0",  # each unit at once
        "zerolatency": "1",
    }
