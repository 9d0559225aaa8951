"""Speech is encoded as it comes, and plays as one recording."""

import io
import struct
from typing import get_args

import av
import numpy as np
import pytest

from deployments.types import AudioChunk
from tests.web_fakes import tone
from web.media_in import decode
from web.media_out import Format, encoder

RATE_HZ = 22_050


def blocks() -> list[AudioChunk]:
    speech = tone(2.0, RATE_HZ)
    return [AudioChunk(part, RATE_HZ) for part in np.array_split(speech, 10)]


@pytest.mark.parametrize("name", get_args(Format))
def test_the_pieces_join_to_a_recording_of_the_same_length(name: Format) -> None:
    encoding = encoder(name)
    data = b"".join([*(encoding.encode(block) for block in blocks()), encoding.finish()])

    audio = decode(data, RATE_HZ, 120.0)
    assert audio.duration_s == pytest.approx(2.0, abs=0.08)
    assert np.abs(audio.samples[4000:-4000]).max() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(("name", "codec"), [("mp3", "mp3float"), ("opus", "opus")])
def test_the_container_holds_what_its_name_says(name: Format, codec: str) -> None:
    encoding = encoder(name)
    data = b"".join([*(encoding.encode(block) for block in blocks()), encoding.finish()])

    with av.open(io.BytesIO(data)) as file:
        assert file.streams.audio[0].codec_context.name == codec


@pytest.mark.parametrize("name", get_args(Format))
def test_sound_leaves_before_the_recording_has_ended(name: Format) -> None:
    encoding = encoder(name)
    first_half = b"".join(encoding.encode(block) for block in blocks()[:5])

    assert decode(first_half, RATE_HZ, 120.0).duration_s > 0.8


def test_a_wav_leaves_its_sizes_open() -> None:
    encoding = encoder("wav")
    data = encoding.encode(AudioChunk(np.array([0.0, 1.0, -1.0], np.float32), RATE_HZ))

    assert struct.unpack_from("<4sI4s", data) == (b"RIFF", 0xFFFFFFFF, b"WAVE")
    assert struct.unpack_from("<4sIHHIIHH", data, 12) == (
        b"fmt ", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16,
    )  # fmt: skip
    assert struct.unpack_from("<4sI3h", data, 36) == (b"data", 0xFFFFFFFF, 0, 32767, -32767)


@pytest.mark.parametrize("name", get_args(Format))
def test_a_recording_without_sound_ends_quietly(name: Format) -> None:
    assert encoder(name).finish() == b""
