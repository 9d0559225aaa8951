"""Whatever a client sends becomes mono sound or a clear refusal."""

import io
import struct
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from deployments.errors import ProtocolError
from tests.web_fakes import CLIPS, clip, tone
from web.media_in import decode


def refusal(data: bytes, max_s: float = 120.0) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode(data, 16_000, max_s)
    return caught.value.code


def wav(samples: bytes, *, rate_hz: int, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples)
    return out.getvalue()


@pytest.mark.parametrize("container", CLIPS)
def test_every_common_container_gives_the_same_tone(container: str) -> None:
    audio = decode(clip(2.0, container), 16_000, 120.0)

    assert audio.sample_rate_hz == 16_000
    assert audio.samples.dtype == np.float32
    assert audio.duration_s == pytest.approx(2.0, abs=0.05)  # codecs pad to whole frames
    spectrum = np.abs(np.fft.rfft(audio.samples[8000:24000]))  # 1 s: a bin a hertz
    assert int(spectrum.argmax()) == 220


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 96_000])
def test_any_rate_is_resampled_without_a_change_of_length(rate_hz: int) -> None:
    audio = decode(clip(1.0, rate_hz=rate_hz), 48_000, 120.0)

    assert audio.duration_s == pytest.approx(1.0, abs=0.005)


def test_stereo_is_mixed_down() -> None:
    left = (tone(0.5, 16_000) * 32767).astype("<i2")
    both = np.stack([left, -left], axis=1)

    audio = decode(wav(both.tobytes(), rate_hz=16_000, channels=2), 16_000, 120.0)

    assert len(audio.samples) == 8000
    assert np.abs(audio.samples).max() < 1e-3  # opposite channels cancel


def test_a_wav_with_open_ended_sizes_is_read_to_its_end() -> None:
    data = bytearray(wav((tone(1.0, 16_000) * 32767).astype("<i2").tobytes(), rate_hz=16_000))
    struct.pack_into("<I", data, 4, 0xFFFFFFFF)
    struct.pack_into("<I", data, 40, 0xFFFFFFFF)

    assert decode(bytes(data), 16_000, 120.0).duration_s == 1.0


def test_samples_that_are_no_numbers_become_silence_and_loud_ones_are_clipped() -> None:
    wild = np.array([np.nan, np.inf, -np.inf, 7.0, -7.0, 0.25] * 200, dtype="<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, 16_000, 64_000, 4, 32)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(wild)) + wild
    audio = decode(struct.pack("<4sI", b"RIFF", len(body)) + body, 16_000, 120.0)

    assert set(audio.samples[:6].tolist()) == {0.0, 1.0, -1.0, 0.25}


def test_the_limit_itself_passes_and_a_second_more_does_not() -> None:
    assert decode(clip(120.0, rate_hz=8_000), 8_000, 120.0).duration_s == 120.0
    assert decode(clip(120.0, "mp3", rate_hz=16_000), 8_000, 120.0).duration_s > 119.9
    assert refusal(clip(121.0, rate_hz=8_000)) == "too_large"
    assert refusal(clip(121.0, "mp3", rate_hz=16_000)) == "too_large"


def test_a_few_bytes_that_claim_hours_are_refused_before_they_are_inflated() -> None:
    assert refusal(wav(bytes(2000), rate_hz=1)) == "too_large"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 4096,
        bytes(np.random.default_rng(1).integers(0, 256, 100_000, dtype=np.uint8)),
        b"just some text, nothing to hear\n" * 50,
        wav(b"", rate_hz=16_000),
        clip(2.0, "mp4")[:3000],  # its index was at the end
        clip(2.0, "flac")[:40],
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["empty", "zeros", "noise", "text", "no samples", "cut mp4", "cut flac", "svg"],
)
def test_what_holds_no_sound_is_unsupported(data: bytes) -> None:
    assert refusal(data) == "unsupported_media"


def picture(container: str, codec: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=1)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("codec", ["png", "mjpeg"])
def test_a_picture_is_unsupported(codec: str) -> None:
    assert refusal(picture("image2pipe", codec)) == "unsupported_media"


@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_a_video_without_sound_is_unsupported(container: str) -> None:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(25):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        file.mux(stream.encode(None))

    assert refusal(out.getvalue()) == "unsupported_media"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A sound file of the server's that no client may hear."""
    path = tmp_path / "secret.wav"
    path.write_bytes(clip(1.0))
    return path


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{path}'\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="audio/mp4">'
        '<Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>",
    ],
    ids=["hls url", "hls path", "concat path", "concat url", "sdp", "dash"],
)
def test_a_playlist_never_opens_what_it_names(playlist: str, secret: Path) -> None:
    data = playlist.format(url=secret.as_uri(), path=secret).encode()

    assert refusal(data) == "unsupported_media"
