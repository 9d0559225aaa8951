"""Stretches bring one sound, whatever its rate and wherever it is cut."""

import numpy as np
import pytest

from deployments.avatar.ditto.sound import REACH_S, needed, unheard
from deployments.avatar.ditto.vector import FloatArray
from deployments.types import AudioChunk


def chirp(rate_hz: int, seconds: float) -> FloatArray:
    """Sweeps through the voice's range."""
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * (200 + 500 * t) * t)).astype(np.float32)


def in_stretches(
    sound: FloatArray, rate_hz: int, lengths: tuple[int, ...], ahead: int
) -> FloatArray:
    """What stretches of so many frames bring, each with sound of ``ahead`` frames beyond it."""
    parts: list[FloatArray] = []
    frame, n_heard, per_frame = 0, 0, rate_hz // 25
    beyond = round(REACH_S * rate_hz) + ahead * per_frame
    for n in lengths:
        audio = sound[frame * per_frame : (frame + n) * per_frame + beyond]
        part, more = unheard(AudioChunk(audio, rate_hz), frame, n, n_heard)
        parts.append(part)
        n_heard += len(part)
        assert n_heard + len(more) >= min((frame + n + ahead) * 640, 48_000)
        frame += n
    return np.concatenate(parts)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 48_000])
def test_pieces_of_a_sound_are_the_whole_sound_at_16_khz(rate_hz: int) -> None:
    sound = chirp(rate_hz, 3.0)
    whole = in_stretches(sound, rate_hz, (75,), 0)
    assert len(whole) == 48_000
    pieces = in_stretches(sound, rate_hz, (10, 10, 15, 25, 15), 9)
    np.testing.assert_allclose(pieces, whole, rtol=0, atol=1e-6)
    if rate_hz >= 16_000:
        np.testing.assert_allclose(whole[200:-200], chirp(16_000, 3.0)[200:-200], atol=2e-3)


def test_sound_that_ended_before_its_frames_did_is_followed_by_silence() -> None:
    sound = chirp(16_000, 1.0)
    first, _ = unheard(AudioChunk(sound[:1000], 16_000), 0, 10, 0)
    assert np.array_equal(first, sound[:1000])
    then, _ = unheard(AudioChunk(sound[6400:9000], 16_000), 10, 4, 1000)
    assert np.array_equal(then, np.concatenate((np.zeros(5400, np.float32), sound[6400:9000])))


def test_a_stretch_without_sound_brings_none() -> None:
    nothing = AudioChunk(np.zeros(0, np.float32), 16_000)
    assert [len(part) for part in unheard(nothing, 0, 200, 0)] == [0, 0]


def test_what_the_resampling_may_still_change_is_told_apart() -> None:
    sound = chirp(24_000, 1.0)
    sure, more = unheard(AudioChunk(sound, 24_000), 0, 10, 0)
    assert (len(sure), len(more)) == (16_000 - 64, 64)
    assert [len(part) for part in unheard(AudioChunk(sound, 24_000), 0, 25, 0)] == [16_000, 0]
    again, _ = unheard(AudioChunk(sound[9600:], 24_000), 10, 15, len(sure))
    np.testing.assert_allclose(again, more, rtol=0, atol=1e-6)


def test_sound_beyond_what_a_stretch_needs_is_left_for_later() -> None:
    sound = AudioChunk(chirp(24_000, 4.0), 24_000, 7.0)
    asked = needed(sound, 10, 26)
    assert np.array_equal(asked.samples, sound.samples[: 36 * 960 + 96])
    assert (asked.sample_rate_hz, asked.start_s) == (24_000, 7.0)
    assert np.array_equal(needed(sound, 90, 26).samples, sound.samples)
