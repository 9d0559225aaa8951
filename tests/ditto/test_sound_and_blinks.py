"""Features of sound and the blinks, against the published implementation."""

from random import Random
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.blink import Gaps, blink_rows
from deployments.avatar.ditto.features import Chunk, Features, frames_in, sparing
from deployments.avatar.ditto.vector import FloatArray
from tests.ditto.fill_weights import det_uniform
from tests.ditto.golden import golden

_COLUMNS = [0, 1, 200, 399, 400, 401]


def close(got: Any, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


def hubert(samples: FloatArray) -> FloatArray:
    """A row holds the 400 samples that it hears, their mean and its own number."""
    rows = np.zeros(((len(samples) - 400) // 320 + 1, 1024), np.float32)
    for r, row in enumerate(rows):
        row[:400] = samples[320 * r : 320 * r + 400]
        row[400:402] = row[:400].mean(), r
    return rows


def whole(features: Features, samples: FloatArray) -> FloatArray:
    return features.advance(features.begin(), samples, is_last=True)[0]


@pytest.mark.parametrize("sizes", [(3, 5, 2), (2, 4, 2)])
@pytest.mark.parametrize("n", [837, 16037, 24037])
def test_each_frame_of_a_file_gets_its_features(sizes: tuple[int, int, int], n: int) -> None:
    want, name = golden("20_wav2feat"), f"cs{''.join(map(str, sizes))}_n{n}"
    heard: list[int] = []

    def listening(samples: FloatArray) -> FloatArray:
        heard.append(len(samples))
        return hubert(samples)

    rows = whole(Features(listening, Chunk(*sizes)), det_uniform(3500, (n,)))
    close(rows[:, _COLUMNS], want[f"{name}_feat"], 1e-6)
    assert heard == [int(want[f"{name}_chunk_len"])] * int(want[f"{name}_nchunks"])


def test_live_features_are_those_of_the_published_driver() -> None:
    rows = whole(Features(hubert, Chunk(is_live=True)), det_uniform(3500, (24037,)))
    assert len(rows) == frames_in(24037) == 38
    close(rows[:, _COLUMNS], golden("20_wav2feat")["online_cs352_n24037_feat"][:38], 1e-6)


@pytest.mark.parametrize("is_live", [False, True])
@pytest.mark.parametrize("size", [1, 639, 3200, 7001])
@pytest.mark.parametrize("n", [1, 640, 641, 8000])
def test_sound_in_pieces_is_heard_as_a_whole(is_live: bool, size: int, n: int) -> None:
    features = Features(hubert, Chunk(is_live=is_live))
    samples, state, pieces = det_uniform(5, (n,)), features.begin(), []
    for first in range(0, n, size):
        piece, last = samples[first : first + size], first + size >= n
        rows, state = features.advance(state, piece, last)
        pieces += list(rows)
    assert np.array_equal(np.stack(pieces), whole(features, samples))
    assert len(pieces) == frames_in(n)


def test_silence_is_heard_too() -> None:
    rows = Features(hubert, Chunk(is_live=True)).silence(70)
    assert len(rows) == int(golden("20_wav2feat")["silence70_frames"])
    assert not rows[:, :401].any()


def test_silence_is_heard_once_and_never_again() -> None:
    heard: list[int] = []

    def listening(samples: FloatArray) -> FloatArray:
        heard.append(len(samples))
        return hubert(samples)

    sound = np.pad(det_uniform(4, (9000,)), 64_000)
    spared = Features(sparing(listening), Chunk())
    np.testing.assert_array_equal(whole(spared, sound), whole(Features(hubert, Chunk()), sound))
    assert len(heard) < 10  # of 43 windows those with sound in them, and one without
    n_before = len(heard)
    whole(spared, np.zeros(64_000, np.float32))
    assert len(heard) == n_before


@pytest.mark.parametrize(
    ("name", "n", "gaps"),
    [
        ("N60_blink15_open2", 60, 2),
        ("N200_blink15_open60", 200, 60),
        ("N100_blink15_open-1", 100, -1),
        ("N50_blink15_open60", 50, 60),
        ("N400_blink15_list_60_80_70", 400, [60, 80, 70]),
        ("N500_blink15_open0_pyrandom_seed1234", 500, 0),
    ],
)
def test_eyes_blink_when_the_published_ones_do(name: str, n: int, gaps: Gaps) -> None:
    assert list(blink_rows(n, 15, gaps, Random(1234))) == golden("10_blink_index")[name].tolist()


def test_where_the_end_is_not_known_blinks_repeat() -> None:
    rows = blink_rows(-1, 15, 0, Random(7))
    assert len(rows) == 3000
    assert rows == blink_rows(-1, 15, 0, Random(7)) != blink_rows(-1, 15, 0, Random(8))


def test_blinks_come_as_often_as_asked() -> None:
    usual, often = (blink_rows(-1, 15, 0, Random(7), rate) for rate in (1.0, 2.0))
    assert usual.count(14) == pytest.approx(3000 / (15 + 80), abs=3)
    assert often.count(14) == pytest.approx(3000 / (15 + 40), abs=4)
    assert not any(blink_rows(-1, 15, 0, Random(7), 0.0))
    assert not any(blink_rows(-1, 15, -1, Random(7), 3.0))
    for gaps, rate, want in ((50, 2.0, 25), ([90, 3], 3.0, [30, 1]), ([60, 30], 0.5, [120, 60])):
        assert blink_rows(400, 15, gaps, Random(7), rate) == blink_rows(400, 15, want, Random(7))
