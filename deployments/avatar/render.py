"""One stretch of speech on a replica: moved as a whole, drawn and encoded packet by packet."""

from collections.abc import Iterator
from typing import Any, TypeVar

from deployments.avatar.encode import StretchEncoder
from deployments.avatar.engine import AvatarEngine, DrawRequest
from deployments.config import EncoderConfig
from deployments.types import Motion, Stretch, VideoPackets

PortraitT = TypeVar("PortraitT")


def stretch_packets(
    engine: AvatarEngine[PortraitT], portrait: PortraitT, stretch: Stretch, encoder: EncoderConfig
) -> Iterator[VideoPackets]:
    """The stretch's frames as H.264, from a keyframe on.

    Motion is computed for the whole stretch, so that a repetition moves as the lost call did;
    frames that were already delivered are not drawn again.
    """
    motion, state = engine.move(portrait, stretch)
    facts = engine.capabilities
    first = stretch.first_frame + stretch.n_frames_sent
    with StretchEncoder(encoder, facts.width_px, facts.height_px, facts.fps, first) as h264:
        for start in range(stretch.n_frames_sent, stretch.n_frames, encoder.frames_per_packet):
            end = min(start + encoder.frames_per_packet, stretch.n_frames)
            frames = engine.draw(_requests(portrait, motion, start, end, stretch, facts.fps))
            yield VideoPackets(
                units=tuple(h264.encode(frame) for frame in frames),
                first_frame=stretch.first_frame + start,
                fps=facts.fps,
                starts_with_keyframe=start == stretch.n_frames_sent,
                motion_state=state,
                codec_config=h264.codec_config,
                turn_no=stretch.turn_no,
            )


def _requests(
    portrait: Any, motion: Motion, start: int, end: int, stretch: Stretch, fps: int
) -> list[DrawRequest[Any]]:
    return [
        DrawRequest(portrait, motion[i], stretch.needed_in_s + i / fps) for i in range(start, end)
    ]
