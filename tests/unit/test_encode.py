"""The encoder gives one unit per frame, and any stretch can follow any other."""

from io import BytesIO

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.avatar.encode import StretchEncoder
from deployments.config import EncoderConfig
from deployments.errors import EngineInputError, EngineLoadError

WIDTH, HEIGHT, FPS = 96, 128, 25
IDR, SPS, PPS = 5, 7, 8


def picture(n: int) -> NDArray[np.uint8]:
    """A ramp with a bright block that moves a step with each frame."""
    rows = np.linspace(40, 200, HEIGHT, dtype=np.uint8)
    frame = np.repeat(np.repeat(rows[:, None, None], WIDTH, axis=1), 3, axis=2)
    frame[20:60, 4 * n : 4 * n + 24] = (30, 60, 220)
    return frame


def encoder(first_frame: int = 0) -> StretchEncoder:
    return StretchEncoder(EncoderConfig(), WIDTH, HEIGHT, FPS, first_frame)


def nal_types(unit: bytes) -> list[int]:
    starts = [i + 3 for i in range(len(unit) - 3) if unit[i : i + 3] == b"\0\0\1"]
    return [unit[start] & 0x1F for start in starts]


def decoded(stream: bytes) -> list[NDArray[np.uint8]]:
    with av.open(BytesIO(stream), "r", format="h264") as container:
        return [np.asarray(f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]


def test_two_encoders_of_one_setting_have_identical_parameter_sets() -> None:
    first, second = encoder(), encoder(first_frame=40)
    assert first.codec_config == second.codec_config
    assert nal_types(first.codec_config) == [SPS, PPS]


def test_each_frame_gives_one_unit_at_once_and_only_the_first_is_a_keyframe() -> None:
    with encoder() as stretch:
        units = [stretch.encode(picture(n)) for n in range(10)]
    assert all(units)
    assert [IDR in nal_types(unit) for unit in units] == [True] + [False] * 9


def test_decoded_frames_match_what_went_in() -> None:
    with encoder() as stretch:
        stream = stretch.codec_config + b"".join(stretch.encode(picture(n)) for n in range(10))
    frames = decoded(stream)
    assert len(frames) == 10
    errors = [np.abs(f.astype(int) - picture(n).astype(int)).mean() for n, f in enumerate(frames)]
    assert max(errors) < 4


def test_stretches_of_separate_encoders_decode_as_one_stream() -> None:
    stream = encoder().codec_config
    for first in (0, 5, 10):
        with encoder(first) as stretch:
            stream += b"".join(stretch.encode(picture(n)) for n in range(first, first + 5))
    frames = decoded(stream)
    errors = [np.abs(f.astype(int) - picture(n).astype(int)).mean() for n, f in enumerate(frames)]
    assert len(frames) == 15
    assert max(errors) < 4


def test_the_same_frames_give_the_same_bytes() -> None:
    with encoder() as first, encoder() as second:
        assert [first.encode(picture(n)) for n in range(4)] == [
            second.encode(picture(n)) for n in range(4)
        ]


def test_a_repeated_frame_is_a_unit_of_its_own_that_shows_the_same_picture() -> None:
    with encoder() as stretch:
        units = [stretch.encode(picture(0)), stretch.repeat(), stretch.encode(picture(6))]
        units += [stretch.repeat(), stretch.repeat()]
    assert [IDR in nal_types(unit) for unit in units] == [True] + [False] * 4
    frames = decoded(stretch.codec_config + b"".join(units))
    shown = [picture(n).astype(int) for n in (0, 0, 6, 6, 6)]
    assert len(frames) == 5
    assert max(np.abs(f - s).mean() for f, s in zip(frames, shown, strict=True)) < 4
    assert np.abs(frames[1].astype(int) - frames[0]).mean() < 1


def test_nothing_can_be_repeated_before_the_first_frame() -> None:
    with encoder() as stretch, pytest.raises(EngineInputError):
        stretch.repeat()


def test_a_lower_crf_makes_larger_units() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    fine, coarse = (StretchEncoder(EncoderConfig(crf=crf), WIDTH, HEIGHT, FPS) for crf in (12, 40))
    assert len(fine.encode(noise)) > 2 * len(coarse.encode(noise))


@pytest.mark.parametrize("size", [(95, 128), (96, 127), (0, 0)])
def test_a_size_that_cannot_be_encoded_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(EngineInputError):
        StretchEncoder(EncoderConfig(), *size, FPS)


def test_a_frame_of_another_size_is_refused() -> None:
    with encoder() as stretch, pytest.raises(EngineInputError):
        stretch.encode(np.zeros((HEIGHT, WIDTH + 2, 3), np.uint8))


def test_a_closed_encoder_refuses_frames_and_may_be_closed_again() -> None:
    stretch = encoder()
    stretch.close()
    stretch.close()
    with pytest.raises(EngineInputError):
        stretch.encode(picture(0))
    with pytest.raises(EngineInputError):
        stretch.repeat()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"preset": "hasty"}, "libx264 does not open with preset 'hasty'"),
        ({"codec": "h264_nvenc", "preset": "p9"}, "NVENC needs an NVIDIA card and its driver"),
    ],
)
def test_an_encoder_that_does_not_open_is_one_clear_line(
    setting: dict[str, str], said: str
) -> None:
    with pytest.raises(EngineLoadError) as caught:
        StretchEncoder(EncoderConfig.model_validate(setting), WIDTH, HEIGHT, FPS)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
