"""A card's own H.264 encoder does what the processor's does: any stretch can follow any other's."""

import numpy as np
import pytest

from deployments.avatar.encode import StretchEncoder
from deployments.config import EncoderConfig
from deployments.errors import EngineLoadError
from tests.unit.test_encode import FPS, IDR, PPS, SPS, decoded, nal_types, picture

WIDTH, HEIGHT = 256, 384  # NVENC takes no pictures as small as those of the other tests


def encoder() -> StretchEncoder:
    try:
        return StretchEncoder(EncoderConfig(codec="h264_nvenc", preset="p4"), WIDTH, HEIGHT, FPS)
    except EngineLoadError as error:
        pytest.skip(error.message)


def test_a_card_encodes_each_frame_at_once_and_two_stretches_as_one_stream() -> None:
    frames = [np.tile(picture(n), (3, 3, 1))[:HEIGHT, :WIDTH] for n in range(10)]
    stretches = []
    for _ in range(2):
        with encoder() as stretch:
            units = [stretch.encode(frame) for frame in frames]
            stretches.append((stretch.codec_config, units))
    (config, units), (other_config, others) = stretches
    assert config == other_config
    assert nal_types(config) == [SPS, PPS]
    assert [IDR in nal_types(unit) for unit in units] == [True] + [False] * 9
    shown = decoded(config + b"".join(units + others))
    assert len(shown) == 20
    errors = [np.abs(a.astype(int) - b).mean() for a, b in zip(shown, frames + frames, strict=True)]
    assert max(errors) < 6
