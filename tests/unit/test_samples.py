"""What a sample of a voice must be like; judged by the real detector, on a real synthesiser."""

import re
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.errors import UnusableInputError
from deployments.registry import load_engine
from deployments.resample import resampled
from deployments.types import AudioChunk, ReplySentence, Samples
from deployments.vad.engine import VadEngine
from tests.web_fakes import LoudVad, in_file, murmur
from web.media_in import decode
from web.samples import RATE_HZ, SampleFacts, judge

needs_engines = pytest.mark.skipif(
    not (find_spec("espeakng_loader") and find_spec("onnxruntime") and find_spec("faster_whisper")),
    reason="the extras 'espeak' and 'silero' are not installed",
)

TEXTS = {
    "en": "Good morning, and welcome to the show. Today we will talk about the weather in the "
    "mountains. It has been raining for three days.",
    "es": "Buenos días y bienvenidos al programa. Hoy hablaremos del tiempo en la montaña. "
    "Ha llovido durante tres días.",
    "zh": "早上好，欢迎收听我们的节目。今天我们要谈谈山里的天气。已经下了三天的雨，河水很高。",
}
THRESHOLD = 0.5
Sound = NDArray[np.float64]


@pytest.fixture(scope="module")
def silero() -> VadEngine:
    vad: VadEngine = load_engine("vad", "silero", {})
    return vad


@cache
def read_aloud(language: str) -> Samples:
    """More than six seconds of a synthetic voice, at 0.7 of full scale."""
    tts: Any = load_engine("tts", "espeak", {})
    texts = filter(None, re.split(r"(?<=[.。])\s*", TEXTS[language]))
    sentences = [ReplySentence(i, text, is_last=True) for i, text in enumerate(texts)]
    blocks = [c.audio.samples for s in sentences for c in tts.speak(s, language, None)]
    speech = AudioChunk(np.concatenate(blocks), tts.capabilities.sample_rate_hz)
    samples = resampled(speech, RATE_HZ).samples
    return np.asarray(0.7 * samples / np.abs(samples).max(), np.float32)


def judged(sound: NDArray[Any], vad: VadEngine) -> SampleFacts:
    samples = np.clip(sound, -1, 1).astype(np.float32)
    return judge(AudioChunk(samples, RATE_HZ), vad, THRESHOLD)


def refusal(sound: NDArray[Any], vad: VadEngine) -> tuple[str, str]:
    with pytest.raises(UnusableInputError) as caught:
        judged(sound, vad)
    return caught.value.code, caught.value.message


def hiss(n: int, level_db: float) -> Sound:
    return np.random.default_rng(0).normal(0, 10 ** (level_db / 20), n)


def music(n: int, level_db: float) -> Sound:
    """Chords of plucked harmonics, two a second."""
    at_s = np.arange(n) / RATE_HZ
    chord = sum(
        np.sin(2 * np.pi * hz * harmonic * at_s) / harmonic
        for hz in (220.0, 261.6, 329.6)
        for harmonic in range(1, 6)
    )
    plucked = chord * np.exp(-3 * (at_s % 0.5))
    return np.asarray(plucked / np.std(plucked) * 10 ** (level_db / 20))


@needs_engines
@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("container", ["wav", "mp3", "webm"])
def test_a_clean_voice_passes_in_every_language_and_codec(
    silero: VadEngine, language: str, container: str
) -> None:
    sound = decode(in_file(read_aloud(language), container), RATE_HZ, 30.0)
    facts = judge(sound, silero, THRESHOLD)

    assert facts.speech_s == pytest.approx(0.83 * facts.duration_s, rel=0.1)
    assert facts.level_db == pytest.approx(-21, abs=3)
    assert facts.snr_db > 50
    assert facts.clipped_share < 1e-4


@needs_engines
@pytest.mark.parametrize("snr_db", [25.0, 20.0, 10.0, 5.0])
@pytest.mark.parametrize(("noise", "within_db"), [(hiss, 1), (music, 3)])
def test_the_noise_is_measured_and_too_much_of_it_refused(
    silero: VadEngine, noise: Any, within_db: float, snr_db: float
) -> None:
    speech = read_aloud("en")
    noisy = speech + noise(len(speech), judged(speech, silero).level_db - snr_db)

    if snr_db > 15:
        assert judged(noisy, silero).snr_db == pytest.approx(snr_db, abs=within_db)
    else:
        code, message = refusal(noisy, silero)
        assert code == "too_noisy"
        assert int(re.findall(r"only (\d+) dB", message)[0]) == pytest.approx(
            snr_db, abs=within_db + 0.5
        )


@needs_engines
def test_two_seconds_of_speech_with_music_around_are_too_little(silero: VadEngine) -> None:
    sound = music(8 * RATE_HZ, -20.0)
    sound[3 * RATE_HZ : 5 * RATE_HZ] = read_aloud("en")[: 2 * RATE_HZ]

    code, message = refusal(sound, silero)

    assert code == "no_speech"
    assert re.match(r"Only [12]\.\d of its 8\.0 s are speech\. Record 6 to 30 s", message)


@needs_engines
def test_two_seconds_of_music_in_the_speech_are_noise(silero: VadEngine) -> None:
    sound = read_aloud("zh").astype(np.float64)
    sound[4 * RATE_HZ : 6 * RATE_HZ] = music(2 * RATE_HZ, -20.0)

    assert refusal(sound, silero)[0] == "too_noisy"


@needs_engines
def test_music_alone_is_no_speech(silero: VadEngine) -> None:
    code, message = refusal(music(8 * RATE_HZ, -20.0), silero)

    assert (code, message[:18]) == ("no_speech", "None of it is spee")


@needs_engines
@pytest.mark.parametrize("language", TEXTS)
def test_what_was_recorded_too_loud_is_clipped(silero: VadEngine, language: str) -> None:
    speech = read_aloud(language)

    assert judged(1.4 * speech, silero).clipped_share < 1e-4  # just below full scale
    for gain in (2.8, 6.0):
        assert refusal(gain * speech, silero)[0] == "clipped"


@needs_engines
def test_what_was_recorded_too_quietly_is_told_from_silence_by_its_level(silero: VadEngine) -> None:
    speech = read_aloud("en")

    assert judged(0.1 * speech, silero).level_db == pytest.approx(-41, abs=2)
    code, message = refusal(0.01 * speech, silero)
    assert (code, message[:25]) == ("invalid_value", "The sample is too quiet (")
    assert "(-56 dB" in message
    assert "(-99 dB" in refusal(0.0 * speech, silero)[1]


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(0.5, "too_short"), (5.8, "too_short"), (5.95, ""), (30.05, ""), (30.2, "too_long")],
)
def test_the_length_is_the_interfaces_with_a_codecs_rounding(seconds: float, code: str) -> None:
    sound = murmur(seconds)
    if code:
        assert refusal(sound, LoudVad())[0] == code
    else:
        assert judged(sound, LoudVad()).duration_s == pytest.approx(seconds)


def test_where_nobody_pauses_the_quietest_moments_tell_the_noise() -> None:
    class AlwaysSpeech(LoudVad):
        def detect(self, chunk: Samples) -> float:
            return 1.0

    sound = murmur(8.0, noise=0.01)  # a tone of 0.3 has -13.5 dB while it lasts, 77 % of the time

    assert judged(sound, AlwaysSpeech()).snr_db == pytest.approx(40 - 13.5 - 1.1, abs=0.5)
