"""The MP4 that a reply leaves in: decoded here by FFmpeg's own reader."""

from fractions import Fraction

import av
import numpy as np
import pytest

from deployments.types import VideoPackets
from graph.mux import AI_COMMENT, END_BOX, FragmentedMp4, mime_type
from tests.media import boxes, read_mp4

RATE_HZ = 22_050
FPS = 25


def encoded(n_frames: int, first_frame: int) -> tuple[list[bytes], bytes]:
    """Grey frames through a fresh x264, as one stretch."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 64, 96, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, FPS), Fraction(FPS)
    codec.options = {"preset": "veryfast", "tune": "zerolatency", "profile": "main"}
    codec.flags |= 1 << 22
    codec.open()
    units = []
    for i in range(n_frames):
        grey = np.full((144, 64), 10 * ((first_frame + i) % 20), np.uint8)
        frame = av.VideoFrame.from_ndarray(grey, format="yuv420p")
        frame.pts = first_frame + i
        units.append(b"".join(bytes(p) for p in codec.encode(frame)))
    return units, codec.extradata or b""


def packets(units: list[bytes], config: bytes, first: int, key: bool) -> VideoPackets:
    return VideoPackets(tuple(units), first, FPS, key, b"", config)


def a_reply(n_frames: int) -> bytes:
    """Two stretches of five-frame fragments, with a tone that starts after 0.1 s."""
    mp4 = FragmentedMp4(64, 96, RATE_HZ)
    t = np.arange(n_frames * RATE_HZ // FPS) / RATE_HZ
    mp4.sound.append(np.where(t > 0.1, 0.4 * np.sin(2 * np.pi * 440 * t), 0).astype(np.float32))
    mp4.sound.finish(len(t))
    out = b""
    half = n_frames // 2 // 5 * 5
    for first, n in ((0, half), (half, n_frames - half)):
        units, config = encoded(n, first)
        for at in range(0, n, 5):
            part = packets(units[at : at + 5], config, first + at, at == 0)
            out += b"".join(mp4.write(part, is_last=first + at + part.n_frames == n_frames))
    return out + END_BOX


def test_the_file_is_an_init_segment_then_fragments_then_the_end_box() -> None:
    assert boxes(a_reply(20)) == ["ftyp", "moov", *["moof", "mdat"] * 4, "mfra"]


@pytest.mark.parametrize("n_frames", [9, 20, 33])
def test_every_frame_comes_back_with_steps_of_40_ms_from_zero(n_frames: int) -> None:
    times = read_mp4(a_reply(n_frames)).frame_times_s
    assert times == pytest.approx([i / FPS for i in range(n_frames)])


def test_sound_and_picture_end_together() -> None:
    video = read_mp4(a_reply(33))
    assert (video.video_end_s, video.audio_end_s) == pytest.approx((33 / FPS, 33 / FPS), abs=0.001)


def test_the_sound_lies_where_it_was_put() -> None:
    sound = read_mp4(a_reply(25)).sound
    onset = int(np.argmax(np.abs(sound) > 0.2)) / RATE_HZ
    assert onset == pytest.approx(0.1, abs=0.005)
    assert np.sqrt(np.mean(sound[5000:15000] ** 2)) == pytest.approx(0.4 / 2**0.5, rel=0.05)


def test_the_metadata_say_that_it_is_generated() -> None:
    assert read_mp4(a_reply(10)).comment == AI_COMMENT


def test_the_mime_type_is_read_from_the_sps() -> None:
    _, config = encoded(1, 0)
    sps = config[config.index(b"\x67") :]
    assert mime_type(config) == f'video/mp4; codecs="avc1.{sps[1:4].hex().upper()},mp4a.40.2"'
