"""The measures of quality, on signals and texts whose answer is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.lips import best_fit
from benchmarks.quality_text import error_rate, language_of
from benchmarks.quality_voice import (
    Pitch,
    deviation_hz,
    embedding,
    pitch_of,
    similarity,
    why_no_embedding,
    why_no_pitch,
    without_pauses,
)
from benchmarks.speech import Speaker
from deployments.registry import load_engine
from deployments.types import AudioChunk, ReplySentence

RATE_HZ = 24_000

needs_pitch = pytest.mark.skipif(bool(why_no_pitch()), reason=why_no_pitch())
needs_embedding = pytest.mark.skipif(bool(why_no_embedding()), reason=why_no_embedding())


# Words.


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("The gulls follow the ferry.", "the gulls FOLLOW the ferry", 0.0),
        ("The gulls follow the ferry.", "the girls follow the ferry", 0.2),
        ("The gulls follow the ferry.", "the gulls follow ferry", 0.2),
        ("The gulls follow the ferry.", "the gulls will follow the ferry", 0.2),
        ("The gulls follow the ferry.", "", 1.0),
        ("Two", "a very different thing", 4.0),
        ("well-known, isn’t it?", "Well known isn't it", 0.0),
    ],
)
def test_in_english_wrong_missing_and_invented_words_count(
    said: str, heard: str, rate: float
) -> None:
    assert error_rate(said, heard, "en") == pytest.approx(rate)


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("渡船慢慢驶过。", "渡船 慢慢 驶过", 0.0),
        ("渡船慢慢驶过。", "渡船慢慢使过", 1 / 6),
        ("渡船慢慢驶过。", "渡船慢驶过了", 2 / 6),
        ("他说ＯＫ！", "他说ok", 0.0),
    ],
)
def test_in_chinese_characters_count(said: str, heard: str, rate: float) -> None:
    assert error_rate(said, heard, "zh") == pytest.approx(rate)


def test_accents_are_letters_of_their_own_in_spanish() -> None:
    assert error_rate("¿Cómo estás?", "cómo estás", "es") == 0.0
    assert error_rate("¿Cómo estás?", "como estás", "es") == 0.5


def test_where_nothing_was_said_there_is_no_error_rate() -> None:
    with pytest.raises(ValueError, match="nothing"):
        error_rate("...", "something", "en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The ferry crosses the bay in calm weather.", "en"),
        ("El barco cruza la bahía con buen tiempo.", "es"),
        ("渡船在海面上慢慢驶过。", "zh"),
        ("Die Fähre überquert die Bucht bei ruhigem Wetter.", "de"),
        ("ok", None),
        ("...", None),
    ],
)
def test_the_language_of_a_text_is_found_among_all(text: str, language: str | None) -> None:
    assert language_of(text) == language


# Pitch.


def voice(hz: NDArray[np.float64]) -> AudioChunk:
    """Eight harmonics, each weaker than the last, of a pitch given sample by sample."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    sound = sum(np.sin(k * phase) / k for k in range(1, 9))
    return AudioChunk((0.1 * np.asarray(sound)).astype(np.float32), RATE_HZ)


def steady(hz: float, seconds: float = 2.0) -> NDArray[np.float64]:
    return np.full(round(seconds * RATE_HZ), hz)


@needs_pitch
@pytest.mark.parametrize("hz", [90.0, 120.0, 210.0, 320.0])
def test_a_known_pitch_is_found(hz: float) -> None:
    assert pitch_of(voice(steady(hz))).mean_hz == pytest.approx(hz, rel=0.01)


@needs_pitch
def test_a_rising_voice_has_the_pitches_on_its_way() -> None:
    pitch = pitch_of(voice(np.linspace(100.0, 200.0, 3 * RATE_HZ)))
    assert pitch.mean_hz == pytest.approx(150.0, rel=0.02)
    assert np.percentile(pitch.hz, [10, 90]) == pytest.approx([110.0, 190.0], rel=0.03)


@needs_pitch
@pytest.mark.parametrize(
    "sound", [np.zeros(RATE_HZ), np.random.default_rng(1).normal(0, 0.1, 4000)]
)
def test_silence_and_a_short_noise_have_no_pitch(sound: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="pitch"):
        pitch_of(AudioChunk(sound.astype(np.float32), RATE_HZ))


def test_pitches_are_compared_by_their_distribution_not_by_their_order() -> None:
    rising = np.linspace(100.0, 200.0, 500)
    assert Pitch(rising).rmse_hz(Pitch(rising[::-1])) == pytest.approx(0.0)
    assert Pitch(rising).rmse_hz(Pitch(rising + 15.0)) == pytest.approx(15.0)
    # Flat at the mean: the root mean square of 19 even steps from -45 to 45 Hz.
    flat = Pitch(np.full(500, 150.0))
    assert Pitch(rising).rmse_hz(flat) == pytest.approx(
        np.sqrt(np.mean(np.linspace(-45, 45, 19) ** 2))
    )


def test_a_voice_that_wanders_by_ten_either_way_deviates_by_ten() -> None:
    assert deviation_hz([110.0, 130.0, 110.0, 130.0]) == pytest.approx(10.0)


# Speakers.


def said(voice_id: str, text: str) -> AudioChunk:
    engine = load_engine("tts", "espeak", {})
    blocks = [c.audio for c in engine.speak(ReplySentence(0, text, True), "en", voice_id)]
    return AudioChunk(np.concatenate([b.samples for b in blocks]), blocks[0].sample_rate_hz)


FIRST = "The morning ferry crosses the bay in calm weather, and the gulls follow it."
SECOND = "On the other shore, people are waiting with coffee and with newspapers."


@needs_embedding
def test_the_same_voice_is_more_alike_than_another() -> None:
    known = embedding(said("en-f", FIRST))
    same, other = (similarity(known, embedding(said(v, SECOND))) for v in ("en-f", "en-m"))
    assert same > 0.8
    assert other < same - 0.15


@needs_embedding
def test_neither_loudness_nor_pauses_make_another_speaker() -> None:
    sound = said("en-f", FIRST)
    pause = np.zeros(sound.sample_rate_hz, np.float32)
    quiet = AudioChunk(np.concatenate([pause, 0.2 * sound.samples, pause]), sound.sample_rate_hz)
    assert similarity(embedding(sound), embedding(quiet)) > 0.99


def test_too_little_speech_has_no_speaker() -> None:
    with pytest.raises(ValueError, match="speech"):
        embedding(voice(steady(120.0, 1.0)))
    with pytest.raises(ValueError, match="speech"):
        embedding(AudioChunk(np.zeros(5 * RATE_HZ, np.float32), RATE_HZ))


def test_pauses_are_cut_and_speech_is_kept() -> None:
    tone = voice(steady(120.0, 1.2)).samples
    sound = np.concatenate([tone, np.zeros(RATE_HZ, np.float32), tone])
    kept = without_pauses(AudioChunk(sound, RATE_HZ))
    assert len(kept) / RATE_HZ == pytest.approx(2.4, abs=0.06)


def test_the_speaker_says_a_question_in_its_language() -> None:
    speaker = Speaker()
    english, chinese = speaker.say("你好", "en"), speaker.say("你好", "zh")
    assert 0.3 < chinese.duration_s < 3.0
    assert english.duration_s != chinese.duration_s


# Lips.


def syllables(n: int = 800) -> NDArray[np.float64]:
    """Loudness in steps of 10 ms that repeats itself nowhere: smoothed noise."""
    noise = np.random.default_rng(7).uniform(0.0, 1.0, n)
    return np.convolve(noise, np.hanning(12), "same")


@pytest.mark.parametrize("late_ms", [-150, -40, 0, 10, 120])
def test_a_known_lag_of_the_lips_is_found(late_ms: int) -> None:
    loud = syllables()
    sync = best_fit(np.roll(loud, late_ms // 10), loud)
    assert sync.av_offset_ms == pytest.approx(late_ms)
    assert sync.correlation > 0.9


def test_lips_that_move_for_themselves_hardly_correlate() -> None:
    strange = np.convolve(np.random.default_rng(8).uniform(size=800), np.hanning(12), "same")
    assert best_fit(strange, syllables()).correlation < 0.5


def test_half_the_movement_is_noise_and_so_is_the_correlation_less() -> None:
    loud = syllables()
    other = np.random.default_rng(9).normal(0.0, float(loud.std()), len(loud))
    assert best_fit(loud + other, loud).correlation == pytest.approx(np.sqrt(0.5), abs=0.06)


def test_a_mouth_that_never_moves_keeps_no_time() -> None:
    with pytest.raises(ValueError, match="lips"):
        best_fit(np.full(300, 2.0), syllables(300))
