"""Resampling, cutting long recordings, and what is made of a text before it is spoken."""

import numpy as np
import pytest

from deployments.asr.segments import split_at_pauses
from deployments.resample import resampled
from deployments.tts.espeak import speakable
from deployments.tts.espeak_library import plain_ipa
from deployments.types import AudioChunk, Samples

RATE_HZ = 16_000


def sine(rate_hz: int, seconds: float, hz: float = 440.0) -> Samples:
    n = np.arange(round(rate_hz * seconds))
    return (0.5 * np.sin(2 * np.pi * hz * n / rate_hz)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 24_000, 44_100, 48_000])
def test_a_tone_stays_the_same_tone_at_another_rate(rate_hz: int) -> None:
    made = resampled(AudioChunk(sine(rate_hz, 1.0), rate_hz, 2.5), RATE_HZ)
    assert (made.sample_rate_hz, made.start_s) == (RATE_HZ, 2.5)
    assert made.samples.dtype == np.float32
    assert len(made.samples) == RATE_HZ
    np.testing.assert_allclose(made.samples[200:-200], sine(RATE_HZ, 1.0)[200:-200], atol=1e-3)


def test_what_the_new_rate_cannot_carry_is_gone() -> None:
    made = resampled(AudioChunk(sine(48_000, 1.0, 12_000.0), 48_000), RATE_HZ)
    assert np.max(np.abs(made.samples[200:-200])) < 0.01


def test_sound_at_the_right_rate_is_not_touched() -> None:
    sound = AudioChunk(sine(RATE_HZ, 0.1), RATE_HZ)
    assert resampled(sound, RATE_HZ) is sound


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_next_to_nothing_can_be_resampled(n: int) -> None:
    made = resampled(AudioChunk(np.ones(n, np.float32), 48_000), RATE_HZ)
    assert len(made.samples) == round(n / 3)


def test_read_only_samples_can_be_resampled() -> None:
    samples = sine(48_000, 0.1)
    samples.flags.writeable = False
    assert len(resampled(AudioChunk(samples, 48_000), RATE_HZ).samples) == 1_600


def test_a_short_recording_is_not_cut() -> None:
    sound = sine(RATE_HZ, 8.0)
    assert split_at_pauses(sound, RATE_HZ, 8.0)[0] is sound


def test_a_long_recording_is_cut_in_the_middle_of_its_pauses() -> None:
    sound = sine(RATE_HZ, 20.0)
    for at_s in (6.0, 13.0):
        sound[round(at_s * RATE_HZ) : round((at_s + 0.4) * RATE_HZ)] = 0
    pieces = split_at_pauses(sound, RATE_HZ, 8.0)
    np.testing.assert_array_equal(np.concatenate(pieces), sound)
    cuts_s = np.cumsum([len(piece) for piece in pieces])[:-1] / RATE_HZ
    assert cuts_s == pytest.approx([6.2, 13.2], abs=0.2)


@pytest.mark.parametrize("seconds", [8.01, 12.0, 120.0])
def test_no_piece_is_too_long_even_without_a_pause(seconds: float) -> None:
    sound = sine(RATE_HZ, seconds)
    pieces = split_at_pauses(sound, RATE_HZ, 8.0)
    np.testing.assert_array_equal(np.concatenate(pieces), sound)
    assert all(0 < len(piece) <= 8 * RATE_HZ for piece in pieces)
    assert len(pieces) <= 2 * seconds / 8 + 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("你好,今天怎么样?", "你好，今天怎么样？"),
        ("“价格”是3.5元（含税）。", "价格 是3点5元 含税 。"),
        ("好...再见.", "好。再见。"),
        ("我用GPU,50%", "我用GPU，50%"),
    ],
)
def test_chinese_is_written_with_what_espeaks_chinese_dictionary_knows(
    written: str, said: str
) -> None:
    assert speakable(written, "zh") == said


def test_other_languages_keep_their_punctuation() -> None:
    assert speakable(" “It costs 3.5,” she said… ", "en") == "“It costs 3.5,” she said…"


def test_commands_and_half_characters_become_spaces() -> None:
    assert speakable("a\x0199Pb\x00c\ud800d\n", "en") == "a 99Pb c d"


@pytest.mark.parametrize(
    ("name", "ipa"),
    [
        ("ˈoʊ", "oʊ"),
        ("ˌɛ", "ɛ"),
        ("tsh", "tsʰ"),
        ("ts.h", "ʈʂʰ"),
        ("ˈi.", "ɨ"),
        ("h", "h"),
        ("", ""),
    ],
)
def test_names_of_phonemes_become_plain_ipa(name: str, ipa: str) -> None:
    assert plain_ipa(name) == ipa
