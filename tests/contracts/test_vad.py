"""What every voice activity detector does, whoever wrote it."""

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.registry import load_engine
from deployments.types import AudioChunk, ReplySentence, Samples
from deployments.vad.engine import VadEngine, speech_chunks, speech_seconds

RATE_HZ = 16_000
THRESHOLD = 0.5
ENOUGH_S = 0.25


def has(*packages: str) -> bool:
    return all(find_spec(package) for package in packages)


needs_silero = pytest.mark.skipif(
    not has("faster_whisper", "onnxruntime"), reason="the extra 'silero' is not installed"
)
needs_espeak = pytest.mark.skipif(
    not has("espeakng_loader"), reason="the extra 'espeak' is not installed"
)


@pytest.fixture(scope="module", params=["fake", pytest.param("silero", marks=needs_silero)])
def engine(request: pytest.FixtureRequest) -> VadEngine:
    loaded: VadEngine = load_engine("vad", request.param, {})
    return loaded


@pytest.fixture(scope="module")
def silero() -> VadEngine:
    loaded: VadEngine = load_engine("vad", "silero", {})
    return loaded


def tone(hz: float, seconds: float = 3.0, loud: float = 0.3) -> Samples:
    n = np.arange(round(seconds * RATE_HZ))
    return (loud * np.sin(2 * np.pi * hz * n / RATE_HZ)).astype(np.float32)


def noise(loud: float, seconds: float = 3.0) -> Samples:
    samples = np.random.default_rng(0).normal(0, loud, round(seconds * RATE_HZ))
    return samples.clip(-1, 1).astype(np.float32)


def spoken(text: str, language: str) -> AudioChunk:
    blocks = list(
        load_engine("tts", "espeak", {}).speak(ReplySentence(0, text, True), language, None)
    )
    return AudioChunk(
        np.concatenate([block.audio.samples for block in blocks]), blocks[0].audio.sample_rate_hz
    )


def test_a_probability_lies_between_nought_and_one(engine: VadEngine) -> None:
    stream = engine.open()
    sound = noise(0.2, 1.0)[: 20 * engine.chunk_samples].reshape(-1, engine.chunk_samples)
    probabilities = [stream.detect(chunk) for chunk in sound]
    assert all(isinstance(p, float) and 0 <= p <= 1 for p in probabilities)


def test_silence_is_no_speech(engine: VadEngine) -> None:
    assert speech_seconds(engine, AudioChunk(tone(440, loud=0), RATE_HZ), THRESHOLD, 1.0) == 0


def test_an_empty_recording_is_no_speech(engine: VadEngine) -> None:
    empty = AudioChunk(np.zeros(0, np.float32), RATE_HZ)
    assert speech_seconds(engine, empty, THRESHOLD, 1.0) == 0


@pytest.mark.parametrize("n", [0, 511, 513])
def test_a_chunk_of_another_length_is_refused(engine: VadEngine, n: int) -> None:
    with pytest.raises(EngineInputError):
        engine.open().detect(np.zeros(n, np.float32))


def test_one_listener_does_not_disturb_another(engine: VadEngine) -> None:
    sound = (tone(150) + noise(0.05))[: 60 * engine.chunk_samples].reshape(60, -1)
    alone = engine.open()
    expected = [alone.detect(chunk) for chunk in sound]
    left, right = engine.open(), engine.open()
    heard = []
    for chunk, other in zip(sound, sound[::-1], strict=True):
        heard.append(left.detect(chunk))
        right.detect(other)
    assert heard == expected


def test_many_threads_may_listen_through_one_engine(engine: VadEngine) -> None:
    sound = (tone(150) + noise(0.05))[: 60 * engine.chunk_samples].reshape(60, -1)

    def listen(_: int) -> list[float]:
        stream = engine.open()
        return [stream.detect(chunk) for chunk in sound]

    with ThreadPoolExecutor(4) as threads:
        heard = list(threads.map(listen, range(8)))
    assert heard == [listen(0)] * 8


@needs_silero
@needs_espeak
@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What time does the library open?", "en"),
        ("你好，今天天气怎么样？", "zh"),
        ("¿A qué hora abre la biblioteca?", "es"),
    ],
)
def test_synthetic_speech_is_speech_at_any_rate(
    silero: VadEngine, text: str, language: str
) -> None:
    speech = spoken(text, language)
    heard_s = speech_seconds(silero, speech, THRESHOLD, 60.0)
    assert heard_s == pytest.approx(speech.duration_s - 0.4, rel=0.25)  # less lead and pause


@needs_silero
@pytest.mark.parametrize(
    "sound",
    [
        noise(0.003), noise(0.05), noise(0.3), tone(440), tone(1000),
        tone(50, loud=0.2) + tone(150, loud=0.1), tone(60, loud=0.2) + tone(180, loud=0.1),
    ],
    ids=["hiss", "noise", "loud noise", "sine", "beep", "50 Hz hum", "60 Hz hum"],
)  # fmt: skip
def test_what_nobody_says_is_no_speech(silero: VadEngine, sound: Samples) -> None:
    assert speech_seconds(silero, AudioChunk(sound, RATE_HZ), THRESHOLD, 60.0) < ENOUGH_S


@needs_silero
@needs_espeak
def test_speech_is_found_after_a_long_silence(silero: VadEngine) -> None:
    speech = spoken("Can you hear me now?", "en")
    silence = np.zeros(9 * speech.sample_rate_hz, np.float32)
    late = AudioChunk(np.concatenate([silence, speech.samples]), speech.sample_rate_hz)
    assert speech_seconds(silero, late, THRESHOLD, ENOUGH_S) >= ENOUGH_S


class Script:
    """A detector whose probabilities are written down; counts what it was asked."""

    sample_rate_hz = RATE_HZ
    chunk_samples = 512

    def __init__(self, probabilities: list[float]) -> None:
        self._rest = iter(probabilities)
        self.n_asked = 0

    def open(self) -> "Script":
        return self

    def detect(self, chunk: Samples) -> float:
        assert chunk.shape == (512,)
        self.n_asked += 1
        return next(self._rest)


def counted(probabilities: list[float], enough_s: float = 60.0) -> tuple[float, int]:
    script = Script(probabilities)
    sound = AudioChunk(np.ones(512 * len(probabilities), np.float32), RATE_HZ)
    return round(speech_seconds(script, sound, THRESHOLD, enough_s) / 0.032), script.n_asked


def test_short_runs_are_clicks_and_do_not_add_up() -> None:
    assert counted([0.9] * 4 + [0.1] + [0.9] * 4 + [0.1]) == (0, 10)


def test_long_runs_add_up() -> None:
    assert counted([0.9] * 5 + [0.1] + [0.9] * 6) == (11, 12)


def test_a_run_goes_on_a_little_below_the_threshold_but_does_not_begin_there() -> None:
    assert counted([0.4] * 3 + [0.6] + [0.4] * 5 + [0.3]) == (6, 10)


def test_listening_stops_once_enough_was_heard() -> None:
    assert counted([0.9] * 100, enough_s=0.25) == (8, 8)


def test_which_chunks_are_speech_is_told_by_the_same_rules() -> None:
    probabilities = [0.4, 0.6, 0.4, 0.4, 0.4, 0.4, 0.3, 0.9, 0.9, 0.9, 0.9, 0.3] + [0.9] * 5
    script = Script(probabilities)
    sound = AudioChunk(np.ones(512 * len(probabilities), np.float32), RATE_HZ)
    expected = [False] + [True] * 5 + [False] * 6 + [True] * 5  # a run of four is a click
    assert speech_chunks(script, sound, THRESHOLD).tolist() == expected


def test_an_empty_recording_has_no_chunks(engine: VadEngine) -> None:
    empty = AudioChunk(np.zeros(0, np.float32), RATE_HZ)
    assert speech_chunks(engine, empty, THRESHOLD).tolist() == []


@needs_silero
@needs_espeak
def test_the_chunks_that_are_speech_lie_where_somebody_speaks(silero: VadEngine) -> None:
    speech = spoken("What time does the library open?", "en")
    rate_hz = speech.sample_rate_hz
    silence = np.zeros(3 * rate_hz, np.float32)
    sound = AudioChunk(np.concatenate([silence, speech.samples, silence]), rate_hz)
    found_s = np.flatnonzero(speech_chunks(silero, sound, THRESHOLD)) * 0.032
    assert found_s[0] == pytest.approx(3.0, abs=0.5)
    assert found_s[-1] == pytest.approx(3.0 + speech.duration_s - 0.4, abs=0.3)


def test_the_last_chunk_is_filled_up_with_silence() -> None:
    script = Script([0.0] * 3)
    speech_seconds(script, AudioChunk(np.ones(1100, np.float32), RATE_HZ), THRESHOLD, 1.0)
    assert script.n_asked == 3


def test_the_fake_fails_and_hangs_as_declared() -> None:
    def fake(**options: Any) -> VadEngine:
        loaded: VadEngine = load_engine("vad", "fake", options)
        return loaded

    chunk = np.ones(512, np.float32)
    failing = fake(fail_on_call=2).open()
    assert failing.detect(chunk) == 1.0
    with pytest.raises(EngineRuntimeError):
        failing.detect(chunk)
    assert failing.detect(chunk) == 1.0
    with pytest.raises(EngineRuntimeError, match="hung"):
        fake(hang_on_call=1, hang_s=0.01).open().detect(chunk)
    with pytest.raises(EngineLoadError):
        fake(fail_load=True)
