"""faster-whisper on random weights: loading, hearing and timing are real, the words are noise."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.asr.deployment import Asr
from deployments.asr.engine import final
from deployments.asr.faster_whisper import FasterWhisperAsr
from deployments.asr.faster_whisper.decoding import likeliest
from deployments.config import AsrConfig
from deployments.errors import EngineLoadError
from deployments.registry import load_engine
from deployments.types import AudioChunk, Samples, Transcript
from tests import sounds
from tests.contracts.test_asr import tiny_whisper_options
from tests.sounds import RATE_HZ, talk

pytestmark = [
    pytest.mark.skipif(not find_spec(package), reason=f"the extra {extra!r} is not installed")
    for package, extra in (("faster_whisper", "faster_whisper"), ("espeakng_loader", "espeak"))
]


def load(folder: Path, **options: Any) -> FasterWhisperAsr:
    every = {**tiny_whisper_options(folder), **options}
    loaded: FasterWhisperAsr = load_engine("asr", "faster_whisper", every)
    return loaded


@pytest.fixture(scope="module")
def engine(tiny_whisper: Path) -> FasterWhisperAsr:
    return load(tiny_whisper)


@pytest.fixture(scope="module")
def strict(tiny_whisper: Path) -> FasterWhisperAsr:
    """With the judgement of the real models."""
    return load(tiny_whisper, judgement={})


def heard(engine: FasterWhisperAsr, samples: Samples, language: str | None = None) -> Transcript:
    return final(engine.transcribe(AudioChunk(samples, RATE_HZ), language))


def quiet_then(sound: Samples, pause_s: float) -> Samples:
    pause = np.zeros(round(pause_s * RATE_HZ), np.float32)
    return np.concatenate([pause, sound, pause])


NOT_SPEECH: dict[str, Callable[[], Samples]] = {
    "digital silence": lambda: np.zeros(5 * RATE_HZ, np.float32),
    "faint noise": lambda: sounds.white_noise(5.0, 0.0005),
    "white noise": lambda: sounds.white_noise(5.0, 0.05),
    "loud white noise": lambda: sounds.white_noise(5.0, 0.3),
    "pink noise": lambda: sounds.pink_noise(5.0, 0.05),
    "loud pink noise": lambda: sounds.pink_noise(5.0, 0.3),
    "hum": lambda: sounds.hum(5.0),
    "chords": lambda: sounds.chords(5.0),
    "a melody": lambda: sounds.melody(5.0),
    "a click": lambda: np.eye(1, RATE_HZ, 8000, dtype=np.float32)[0],
    "a minute of chords": lambda: sounds.chords(60.0),
    "a voice without words": lambda: sounds.vocalise(10.0),
}


@pytest.mark.parametrize("name", NOT_SPEECH)
def test_nobody_speaks_in_silence_noise_and_music(strict: FasterWhisperAsr, name: str) -> None:
    for language in (None, "zh"):
        transcript = heard(strict, NOT_SPEECH[name](), language)
        assert transcript == Transcript("", True, (), language or "en")


def test_words_are_heard_in_speech(engine: FasterWhisperAsr) -> None:
    transcript = heard(engine, talk(4.0), "en")
    assert transcript.text
    assert " ".join(word.text for word in transcript.words) == transcript.text


def test_what_the_model_only_guesses_while_little_is_speech_is_dropped(
    engine: FasterWhisperAsr, strict: FasterWhisperAsr
) -> None:
    blips = np.concatenate([quiet_then(talk(0.5, first), 1.0) for first in range(4)])
    assert heard(engine, blips, "en").text
    assert heard(strict, blips, "en").text == ""


def test_words_are_timed_where_the_speech_is(engine: FasterWhisperAsr) -> None:
    words = heard(engine, quiet_then(talk(3.0), 2.0), "en").words
    assert words
    assert all(1.7 <= word.start_s <= word.end_s <= 5.3 for word in words)


def test_a_long_recording_takes_several_steps_with_what_was_said_so_far(
    engine: FasterWhisperAsr,
) -> None:
    parts = [quiet_then(talk(20.0, first), 0.4) for first in range(4)]
    steps = list(engine.transcribe(AudioChunk(np.concatenate(parts), RATE_HZ), "en"))
    assert [step.is_final for step in steps] == [False] * (len(steps) - 1) + [True]
    assert len(steps) == 3  # 83 s, in windows of up to 30
    assert all(after.text.startswith(f"{before.text} ") for before, after in pairwise(steps))
    assert all(b.words == a.words[: len(b.words)] for b, a in pairwise(steps))
    assert steps[-1].words[-1].end_s > 60


def test_speech_without_a_pause_is_heard_to_its_end(engine: FasterWhisperAsr) -> None:
    words = heard(engine, talk(70.0), "en").words
    assert {int(word.start_s // 30) for word in words} == {0, 1, 2}


@pytest.mark.parametrize("language", ["zh", "en"])
def test_chinese_windows_join_without_blanks(engine: FasterWhisperAsr, language: str) -> None:
    first, second = engine.transcribe(AudioChunk(talk(50.0), RATE_HZ), language)
    assert second.text.startswith(first.text)
    assert (second.text[len(first.text)] == " ") == (language == "en")


@pytest.mark.parametrize("languages", [("es", "zh"), ("fr", "de", "ja"), ("sw",)])
def test_only_configured_languages_are_detected(
    tiny_whisper: Path, languages: tuple[str, ...]
) -> None:
    engine = load(tiny_whisper, languages=languages)
    found = {heard(engine, talk(2.0, first)).language for first in range(4)}
    assert found <= set(languages)
    assert engine.capabilities.detects_language == (len(languages) > 1)


def test_the_likeliest_of_the_configured_languages_is_chosen(
    tiny_whisper: Path, engine: FasterWhisperAsr
) -> None:
    found = [("<|fr|>", 0.6), ("<|zh|>", 0.3), ("<|en|>", 0.1)]
    assert likeliest(found, ("en", "zh", "es")) == "zh"
    assert likeliest(found, ("it", "es")) == "it"
    favourite = heard(engine, talk(2.0)).language
    others = load(tiny_whisper, languages=("es", "zh", "en")[::-1])
    assert heard(others, talk(2.0)).language == favourite


def test_the_prompt_of_a_language_changes_what_is_heard_in_it_alone(
    tiny_whisper: Path, engine: FasterWhisperAsr
) -> None:
    plain = load(tiny_whisper, prompts={})
    for language, same in (("en", True), ("zh", False)):
        texts = [heard(each, talk(4.0), language).text for each in (engine, plain)]
        assert (texts[0] == texts[1]) is same


def test_a_loop_ends_by_the_length_of_the_sound(engine: FasterWhisperAsr) -> None:
    """Random weights never end by themselves: 100 tokens of up to 5 s, 160 of up to 10."""
    assert len(heard(engine, talk(3.0), "en").words) <= 100
    assert 100 < len(heard(engine, talk(9.0), "en").words) <= 160


async def test_a_replica_hears_many_at_once_as_it_hears_one(
    tiny_whisper: Path, engine: FasterWhisperAsr
) -> None:
    """Whoever leaves, however long others speak, everybody else gets what was said."""
    asr = Asr(AsrConfig(engine="faster_whisper", options=tiny_whisper_options(tiny_whisper)))
    asked = [
        (AudioChunk(talk(duration_s, first), RATE_HZ), language)
        for first, (duration_s, language) in enumerate(
            [(3.0, "en"), (40.0, "zh"), (2.0, None), (65.0, "es"), (4.0, "zh"), (1.0, "en")]
        )
    ]
    tasks = [asyncio.create_task(asr.transcribe(*one)) for one in asked]
    await tasks[0]  # by now the long ones are in their middle
    tasks[3].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers.pop(3), asyncio.CancelledError)
    heard_alone = [final(engine.transcribe(*one)) for one in asked[:3] + asked[4:]]
    assert [replace(a, effort=None) for a in answers if isinstance(a, Transcript)] == heard_alone


def test_the_ladder_is_climbed_until_a_text_is_believed(tiny_whisper: Path) -> None:
    """Random weights are sure of nothing, so that all its steps are tried and one is kept."""
    ladder = load(tiny_whisper, temperatures=(0.0, 0.5, 1.0), judgement={})
    tried: list[float] = []
    decoder = ladder._decoder
    real = decoder._tries

    def spying(*args: Any, **named: Any) -> Any:
        tried.append(args[3])
        return real(*args, **named)

    decoder._tries = spying  # type: ignore[method-assign]
    assert heard(ladder, talk(2.0), "en").text
    assert tried == [0.0, 0.5, 1.0]


def test_the_shape_of_large_v3_is_heard_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.tiny_models.made import made

    folder = tmp_path_factory.mktemp("tiny") / "large-v3"
    engine = load(made("make_tiny_whisper", folder, "--mels", "128"))
    assert heard(engine, talk(2.0), "zh").text


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def test_half_a_file_is_one_line(tiny_whisper: Path, tmp_path: Path) -> None:
    folder = copied(tiny_whisper, tmp_path / "half")
    whole = (folder / "model.bin").read_bytes()
    (folder / "model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineLoadError) as caught:
        load(folder)
    assert str(caught.value).startswith(f"faster_whisper cannot use {folder} as int8 on cpu: ")
    assert "make models" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["not json", '{"model": 1}'])
def test_a_damaged_tokenizer_is_one_line(tiny_whisper: Path, tmp_path: Path, damage: str) -> None:
    folder = copied(tiny_whisper, tmp_path / "damaged")
    (folder / "tokenizer.json").write_text(damage)
    with pytest.raises(EngineLoadError, match="cannot use") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_another_models_preprocessor_is_named(tiny_whisper: Path, tmp_path: Path) -> None:
    folder = copied(tiny_whisper, tmp_path / "mels")
    (folder / "preprocessor_config.json").write_text('{"feature_size": 128}')
    with pytest.raises(EngineLoadError) as caught:
        load(folder)
    assert str(caught.value) == (
        f"{folder}: preprocessor_config.json is missing or of another model (128 mels, not 80)"
    )


def test_another_architecture_in_the_folder_is_one_line(tiny_whisper: Path, tmp_path: Path) -> None:
    folder = copied(tiny_whisper, tmp_path / "other")
    content = (folder / "model.bin").read_bytes()
    assert content.count(b"WhisperSpec") == 1
    (folder / "model.bin").write_bytes(content.replace(b"WhisperSpec", b"WhimperSpec"))
    with pytest.raises(EngineLoadError, match="cannot use") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_languages_that_whisper_never_learnt_are_named(tiny_whisper: Path) -> None:
    with pytest.raises(EngineLoadError, match="does not know the languages tlh, qya"):
        load(tiny_whisper, languages=("en", "tlh", "qya"))


def test_a_named_model_that_is_not_there_says_which_command_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    with pytest.raises(EngineLoadError, match=r"faster-whisper-small.*make models"):
        load_engine("asr", "faster_whisper", {"model": "small", "device": "cpu"})


def test_a_named_model_is_read_from_the_folder_of_models(
    tiny_whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(tiny_whisper, tmp_path / "faster-whisper-small")
    (folder / "vocabulary.txt").touch()  # the older of two forms, as the published one has it
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    engine = load(folder, model="small")
    assert heard(engine, talk(2.0), "en").text


def test_serving_asks_no_hub(tiny_whisper: Path) -> None:
    """Importing, loading and hearing open no connection."""
    script = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from tests.contracts.test_faster_whisper import heard, load\n"
        "from tests.sounds import talk\n"
        "from pathlib import Path\n"
        "assert heard(load(Path(sys.argv[1])), talk(2.0)).text\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", script, str(tiny_whisper)],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert child.returncode == 0, child.stderr
