"""What every speech recogniser does, whoever wrote it."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

from deployments.asr.engine import AsrEngine, final
from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.registry import load_engine
from deployments.types import AudioChunk, ReplySentence, Samples, Transcript, Word
from tests.sounds import talk

needs_moonshine = pytest.mark.skipif(
    not find_spec("moonshine_voice"), reason="the extra 'moonshine' is not installed"
)
needs_espeak = pytest.mark.skipif(
    not find_spec("espeakng_loader"), reason="the extra 'espeak' is not installed"
)
needs_faster_whisper = pytest.mark.skipif(
    not find_spec("faster_whisper"), reason="the extra 'faster_whisper' is not installed"
)

SENTENCES = (
    "What time does the library open on Saturday morning?",
    "My name is Margaret and I live near the river.",
    "The weather was cold, so we stayed home and made soup.",
    "How many people can sit at this table?",
    "I would like to know what you can do for me.",
    "Every student should read at least one book this month.",
    "Thank you very much, that was really helpful.",
    "Please turn off the lights before you leave the room.",
    "It is going to rain tomorrow afternoon.",
    "The museum is closed on Mondays.",
)


@pytest.fixture(
    scope="module",
    params=[
        "fake",
        pytest.param("moonshine", marks=needs_moonshine),
        pytest.param("faster_whisper", marks=needs_faster_whisper),
    ],
)
def engine(request: pytest.FixtureRequest) -> AsrEngine:
    options: dict[str, Any] = {}
    if request.param == "faster_whisper":
        options = tiny_whisper_options(request.getfixturevalue("tiny_whisper"))
    loaded: AsrEngine = load_engine("asr", request.param, options)
    return loaded


@pytest.fixture(scope="module")
def moonshine() -> AsrEngine:
    loaded: AsrEngine = load_engine("asr", "moonshine", {})
    return loaded


def fake(**options: Any) -> AsrEngine:
    loaded: AsrEngine = load_engine("asr", "fake", options)
    return loaded


def tiny_whisper_options(folder: Path) -> dict[str, Any]:
    """Whatever the random weights write is believed: they are sure of nothing."""
    unsure = {"log_prob": -100.0, "compression_ratio": 100.0}
    fixed = {"device": "cpu", "n_threads": 1, "temperatures": (0.0,), "batch": 4}
    return {"model": str(folder), "judgement": unsure, **fixed}


def tone(seconds: float, rate_hz: int = 16_000) -> AudioChunk:
    n = np.arange(round(seconds * rate_hz))
    return AudioChunk((0.2 * np.sin(2 * np.pi * 220 * n / rate_hz)).astype(np.float32), rate_hz)


def spoken(*sentences: str) -> AudioChunk:
    tts = load_engine("tts", "espeak", {})
    blocks = [
        block
        for index, text in enumerate(sentences)
        for block in tts.speak(ReplySentence(index, text, True), "en", None)
    ]
    return AudioChunk(
        np.concatenate([block.audio.samples for block in blocks]), blocks[0].audio.sample_rate_hz
    )


def plain(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.lower()).split())


def error_rate(said: tuple[str, ...], heard: list[str]) -> float:
    return float(jiwer.wer([plain(text) for text in said], [plain(text) for text in heard]))


def test_a_transcript_is_final_and_in_a_language_of_the_engine(engine: AsrEngine) -> None:
    for language in (None, *engine.capabilities.languages):
        transcript = final(engine.transcribe(tone(1.0), language))
        assert transcript.is_final
        assert transcript.language in ((language,) if language else engine.capabilities.languages)
        assert transcript.text == transcript.text.strip()


@pytest.mark.parametrize("n", [0, 1, 8_000, 48_000])
def test_silence_is_an_empty_transcript(engine: AsrEngine, n: int) -> None:
    heard = final(engine.transcribe(AudioChunk(np.zeros(n, np.float32), 16_000), None))
    assert heard == Transcript("", True, (), engine.capabilities.languages[0])


@needs_espeak
@pytest.mark.parametrize("start_s", [0.0, 7.5])
def test_words_lie_in_the_sound_one_after_the_other(engine: AsrEngine, start_s: float) -> None:
    sound = AudioChunk(talk(4.0), 16_000, start_s)
    transcript = final(engine.transcribe(sound, "en"))
    times = [time_s for word in transcript.words for time_s in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(type(time_s) is float for time_s in times)
    assert all(start_s <= time_s <= start_s + 4.0 for time_s in times)
    assert all(word.text and word.text == word.text.strip() for word in transcript.words)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_any_rate_is_heard(engine: AsrEngine, rate_hz: int) -> None:
    assert final(engine.transcribe(tone(0.5, rate_hz), None)).is_final


def test_the_callers_samples_stay_as_they_were_even_read_only(engine: AsrEngine) -> None:
    sound = tone(1.0)
    before = sound.samples.copy()
    sound.samples.flags.writeable = False
    final(engine.transcribe(sound, None))
    np.testing.assert_array_equal(sound.samples, before)


def test_an_unknown_language_is_refused(engine: AsrEngine) -> None:
    with pytest.raises(EngineInputError):
        final(engine.transcribe(tone(0.5), "tlh"))


def test_the_same_sound_is_heard_the_same_again(engine: AsrEngine) -> None:
    first = final(engine.transcribe(tone(1.0), None))
    final(engine.transcribe(tone(2.0, 48_000), None))
    assert final(engine.transcribe(tone(1.0), None)) == first


@needs_moonshine
@needs_espeak
def test_spoken_words_come_back(moonshine: AsrEngine) -> None:
    heard = [final(moonshine.transcribe(spoken(text), "en")).text for text in SENTENCES]
    assert error_rate(SENTENCES, heard) <= 0.07


@needs_moonshine
@needs_espeak
def test_a_recording_of_half_a_minute_is_heard_to_its_end(moonshine: AsrEngine) -> None:
    heard = final(moonshine.transcribe(spoken(*SENTENCES), None)).text
    assert error_rate((" ".join(SENTENCES),), [heard]) <= 0.1


@needs_moonshine
@pytest.mark.parametrize("loud", [0.02, 0.1])
def test_what_the_model_writes_for_noise_is_dropped(moonshine: AsrEngine, loud: float) -> None:
    sound: Samples = np.random.default_rng(0).normal(0, loud, 48_000).astype(np.float32)
    text = final(moonshine.transcribe(AudioChunk(sound, 16_000), "en")).text
    assert "♪" not in text
    assert len(text.split()) <= 1  # "You" is left to the VAD before it


def test_the_fake_says_what_it_is_told_to() -> None:
    heard = final(fake(text="good day").transcribe(tone(1.0), "es"))
    words = (Word("good", 0.0, 0.5), Word("day", 0.5, 1.0))
    assert heard == Transcript("good day", True, words, "es")


def test_the_fake_tells_how_long_the_sound_was() -> None:
    assert final(fake(rule="duration").transcribe(tone(1.25, 48_000), "en")).text == "heard 1.25 s"


def test_the_fake_fails_and_hangs_as_declared() -> None:
    failing = fake(fail_on_call=2)
    assert final(failing.transcribe(tone(0.5), "en")).text
    with pytest.raises(EngineRuntimeError):
        final(failing.transcribe(tone(0.5), "en"))
    assert final(failing.transcribe(tone(0.5), "en")).text
    with pytest.raises(EngineRuntimeError, match="hung"):
        final(fake(hang_on_call=1, hang_s=0.01).transcribe(tone(0.5), "en"))
    with pytest.raises(EngineLoadError):
        fake(fail_load=True)


def test_a_long_recording_takes_several_steps_and_can_be_left_between_them(
    moonshine: AsrEngine,
) -> None:
    sound = spoken(*SENTENCES)
    steps = moonshine.transcribe(sound, "en")
    first = next(steps)
    assert not first.is_final
    whole = final(moonshine.transcribe(sound, "en"))  # the first one was left in its middle
    assert whole.text.startswith(first.text)
    assert len(whole.text) > len(first.text)
