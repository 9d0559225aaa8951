"""What every speech synthesiser does, whoever wrote it."""

import hashlib
import re
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.registry import load_engine
from deployments.tts.engine import CloningTtsEngine, TtsEngine
from deployments.types import (
    AudioChunk,
    CustomVoice,
    Phoneme,
    ReplySentence,
    Samples,
    SpeechChunk,
)

needs_espeak = pytest.mark.skipif(
    not find_spec("espeakng_loader"), reason="the extra 'espeak' is not installed"
)

TEXTS = {
    "en": "The quick brown fox jumps over the lazy dog, and she sells sea shells.",
    "zh": "你好，今天天气怎么样？我很高兴认识你。",
    "es": "¿Qué tal estás, Juan? El perro corre por la carretera.",
}


TELLING_PHONEMES = ["fake", pytest.param("espeak", marks=needs_espeak)]


@pytest.fixture(scope="module", params=[*TELLING_PHONEMES, "xtts"])
def engine(request: pytest.FixtureRequest) -> TtsEngine:
    return load("tts", request.param, **options_of(request.param, request))


@pytest.fixture(scope="module", params=TELLING_PHONEMES)
def telling(request: pytest.FixtureRequest) -> TtsEngine:
    """One that says which sound is heard when."""
    return load("tts", request.param)


def options_of(name: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What an engine needs to load in a test."""
    if name != "xtts":
        return {}
    return tiny_xtts_options(request.getfixturevalue("tiny_xtts"))


def tiny_xtts_options(folder: Path) -> dict[str, Any]:
    return {
        "licence": "coqui-public-model-license",
        "model": str(folder),
        "device": "cpu",
        "n_threads": 1,
        "pause_s": 0.2,  # next to parts of 0.28 s
    }


def load(stage: str, name: str, **options: Any) -> TtsEngine:
    loaded: TtsEngine = load_engine(stage, name, options)
    return loaded


def sentence(text: str, index: int = 0, turn_no: int = 0) -> ReplySentence:
    return ReplySentence(index, text, is_last=True, turn_no=turn_no)


def spoken(
    engine: TtsEngine, text: str, language: str = "en", voice: str | CustomVoice | None = None
) -> list[SpeechChunk]:
    return list(engine.speak(sentence(text), language, voice))


def samples(blocks: list[SpeechChunk]) -> Samples:
    return np.concatenate([block.audio.samples for block in blocks])


def phonemes(blocks: list[SpeechChunk]) -> list[Phoneme]:
    return [phoneme for block in blocks for phoneme in block.phonemes]


def fingerprint(blocks: list[SpeechChunk]) -> str:
    return hashlib.sha256(samples(blocks).tobytes()).hexdigest()


def test_voices_have_ids_for_the_wire_and_every_language_has_one(engine: TtsEngine) -> None:
    voices = engine.capabilities.voices
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{2,64}", voice.id) for voice in voices)
    assert len({voice.id for voice in voices}) == len(voices)
    spoken_languages = {language for voice in voices for language in voice.languages}
    assert spoken_languages == set(engine.capabilities.languages)


@pytest.mark.parametrize("language", ["en", "zh", "es"])
def test_blocks_are_of_the_promised_kind(engine: TtsEngine, language: str) -> None:
    blocks = list(engine.speak(sentence(TEXTS[language], 3, turn_no=7), language, None))
    assert [block.is_last for block in blocks] == [False] * (len(blocks) - 1) + [True]
    for block in blocks:
        assert (block.sentence_index, block.turn_no) == (3, 7)
        assert block.audio.sample_rate_hz == engine.capabilities.sample_rate_hz
        assert block.audio.samples.dtype == np.float32
        assert block.audio.samples.ndim == 1
        assert np.max(np.abs(block.audio.samples)) <= 1
        assert 0.1 <= round(block.audio.duration_s, 6) <= 0.25


def test_blocks_follow_each_other_without_gap(engine: TtsEngine) -> None:
    blocks = spoken(engine, TEXTS["en"])
    starts = [round(block.audio.start_s * block.audio.sample_rate_hz) for block in blocks]
    lengths = [len(block.audio.samples) for block in blocks]
    assert starts == [sum(lengths[:i]) for i in range(len(lengths))]


@pytest.mark.parametrize("language", ["en", "zh", "es"])
def test_a_sentence_begins_and_ends_with_silence(engine: TtsEngine, language: str) -> None:
    sound = samples(spoken(engine, TEXTS[language], language))
    audible = np.flatnonzero(np.abs(sound) > 1e-3) / engine.capabilities.sample_rate_hz
    duration_s = len(sound) / engine.capabilities.sample_rate_hz
    assert 0.05 <= audible[0] <= 0.1
    assert 0.15 <= duration_s - audible[-1] <= 0.6
    assert np.sqrt(np.mean(sound**2)) > 0.03


@pytest.mark.parametrize("language", ["en", "zh", "es"])
def test_phonemes_cover_the_sentence_in_order(telling: TtsEngine, language: str) -> None:
    blocks = spoken(telling, TEXTS[language], language)
    found = phonemes(blocks)
    assert found[0].start_s == 0
    assert found[-1].end_s == pytest.approx(sum(block.audio.duration_s for block in blocks))
    assert all(a.end_s == b.start_s for a, b in pairwise(found))
    assert all(phoneme.start_s < phoneme.end_s for phoneme in found)
    assert len([phoneme for phoneme in found if phoneme.ipa]) >= 12
    assert not set("".join(phoneme.ipa for phoneme in found)) & set("()ˈˌ˥˦˧˨˩.-0123456789 ")


def test_a_phoneme_comes_with_the_block_in_which_it_starts(engine: TtsEngine) -> None:
    for block in spoken(engine, TEXTS["en"]):
        end_s = block.audio.start_s + block.audio.duration_s
        assert all(block.audio.start_s <= phoneme.start_s < end_s for phoneme in block.phonemes)


def test_a_longer_sentence_takes_longer(engine: TtsEngine) -> None:
    short, long = spoken(engine, "One word."), spoken(engine, TEXTS["en"])
    assert len(samples(long)) > 2 * len(samples(short))


def test_every_voice_speaks_and_sounds_different(engine: TtsEngine) -> None:
    prints = {
        fingerprint(spoken(engine, TEXTS[language], language, voice.id))
        for voice in engine.capabilities.voices
        for language in voice.languages[:1]
    }
    assert len(prints) == len(engine.capabilities.voices)


def test_no_voice_means_the_first_of_the_language(engine: TtsEngine) -> None:
    for language in engine.capabilities.languages:
        first = next(v for v in engine.capabilities.voices if language in v.languages)
        default = fingerprint(spoken(engine, TEXTS[language], language))
        assert fingerprint(spoken(engine, TEXTS[language], language, first.id)) == default


@pytest.mark.parametrize("language", ["en", "zh", "es"])
def test_what_was_said_before_does_not_change_the_samples(engine: TtsEngine, language: str) -> None:
    expected = fingerprint(spoken(engine, TEXTS[language], language))
    for other in ("es", "en", "zh"):
        spoken(engine, "Something else, 45. " + TEXTS[other], other)
        closed = engine.speak(sentence(TEXTS["en"]), "en", None)
        next(closed)
        assert isinstance(closed, Generator)
        closed.close()
        assert fingerprint(spoken(engine, TEXTS[language], language)) == expected


def test_closing_midway_stops_and_the_next_sentence_is_whole(engine: TtsEngine) -> None:
    expected = fingerprint(spoken(engine, TEXTS["en"]))
    for n_blocks in (0, 1, 3):
        blocks = engine.speak(sentence(TEXTS["en"] * 20), "en", None)
        assert isinstance(blocks, Generator)
        for _ in range(n_blocks):
            next(blocks)
        blocks.close()
        assert list(blocks) == []
    assert fingerprint(spoken(engine, TEXTS["en"])) == expected


def test_two_sentences_may_be_spoken_at_once(engine: TtsEngine) -> None:
    jobs = [(TEXTS[language], language) for language in ("en", "zh", "es")] * 4
    expected = [fingerprint(spoken(engine, *job)) for job in jobs]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda job: fingerprint(spoken(engine, *job)), jobs)) == expected


def test_a_listener_who_dawdles_holds_nobody_up(engine: TtsEngine) -> None:
    expected = fingerprint(spoken(engine, TEXTS["es"], "es"))
    slow = engine.speak(sentence(TEXTS["en"] * 5), "en", None)
    first = next(slow)
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(lambda: fingerprint(spoken(engine, TEXTS["es"], "es")))
        assert other.result(timeout=30) == expected
    rest = [first, *slow]
    assert rest[-1].is_last


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_empty_text_is_refused(engine: TtsEngine, text: str) -> None:
    with pytest.raises(EngineInputError):
        spoken(engine, text)


def test_text_without_a_sound_is_a_pause(engine: TtsEngine) -> None:
    blocks = spoken(engine, "...")
    assert blocks[-1].is_last
    assert not np.any(samples(blocks))
    assert {phoneme.ipa for phoneme in phonemes(blocks)} <= {""}


def test_unknown_languages_and_voices_are_refused(engine: TtsEngine) -> None:
    with pytest.raises(EngineInputError):
        spoken(engine, "nuqneH", "tlh")
    with pytest.raises(EngineInputError):
        spoken(engine, "Hello.", "en", "nobody")


def test_an_engine_that_clones_says_in_which_format(engine: TtsEngine) -> None:
    assert engine.capabilities.clones_voices == bool(engine.capabilities.voice_format)


# Engines that clone voices, loaded with the options with which they do.
CLONING = [
    pytest.param(("fake", {"voice_format": "hum-1"}), id="fake"),
    pytest.param(("xtts", {}), id="xtts"),
]


@pytest.fixture(scope="module", params=CLONING)
def cloning(request: pytest.FixtureRequest) -> CloningTtsEngine:
    name, options = request.param
    every = {**options_of(name, request), **options}
    loaded: CloningTtsEngine = load_engine("tts", name, every)
    assert loaded.capabilities.clones_voices
    return loaded


def sung(pitch_hz: float, seconds: float = 6.0, rate_hz: int = 48_000) -> AudioChunk:
    """A sample of a voice at a given pitch: harmonics, in syllables."""
    at_s = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = sum(np.sin(2 * np.pi * pitch_hz * n * at_s) / n**2 for n in range(1, 8))
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * at_s)
    return AudioChunk((0.2 * syllables * sound).astype(np.float32), rate_hz)


def voice_of(engine: CloningTtsEngine, sample: AudioChunk, name: str = "somebody") -> CustomVoice:
    return CustomVoice(name, engine.capabilities.languages, engine.clone(sample))


def test_the_same_sample_gives_the_same_voice_and_another_one_another(
    cloning: CloningTtsEngine,
) -> None:
    low = cloning.clone(sung(110.0))
    assert isinstance(low, bytes)
    assert 0 < len(low) < 1_000_000  # it travels with each sentence
    assert cloning.clone(sung(110.0)) == low
    assert cloning.clone(sung(190.0)) != low


def test_a_sample_may_have_any_rate_and_length(cloning: CloningTtsEngine) -> None:
    for sample in (sung(110.0, 30.0, 16_000), sung(110.0, 6.0, 22_050)):
        assert spoken(cloning, TEXTS["en"], voice=voice_of(cloning, sample))[-1].is_last


def test_a_cloned_voice_speaks_every_language_and_sounds_like_no_other(
    cloning: CloningTtsEngine,
) -> None:
    low, high = voice_of(cloning, sung(110.0)), voice_of(cloning, sung(190.0))
    for language in cloning.capabilities.languages:
        prints = {
            fingerprint(spoken(cloning, TEXTS[language], language, voice))
            for voice in (low, high, None)
        }
        assert len(prints) == 3


def test_whoever_reads_the_format_speaks_the_voice(cloning: CloningTtsEngine) -> None:
    low, high = voice_of(cloning, sung(110.0)), voice_of(cloning, sung(190.0))
    expected = fingerprint(spoken(cloning, TEXTS["es"], "es", low))
    spoken(cloning, TEXTS["en"], "en", high)
    renamed = CustomVoice("by another name", low.languages, low.state)
    assert fingerprint(spoken(cloning, TEXTS["es"], "es", renamed)) == expected


def test_cloning_between_two_blocks_changes_nothing(cloning: CloningTtsEngine) -> None:
    low = voice_of(cloning, sung(110.0))
    expected = fingerprint(spoken(cloning, TEXTS["en"], "en", low))
    blocks = cloning.speak(sentence(TEXTS["en"]), "en", low)
    first = next(blocks)
    cloning.clone(sung(190.0))
    assert fingerprint([first, *blocks]) == expected


def test_a_sample_without_a_sound_is_refused(cloning: CloningTtsEngine) -> None:
    with pytest.raises(EngineInputError):
        cloning.clone(AudioChunk(np.zeros(6 * 48_000, np.float32), 48_000))


@pytest.mark.parametrize("state", [b"", b"\x80\x04garbage", bytes(10_000)])
def test_a_state_of_another_format_is_refused(cloning: CloningTtsEngine, state: bytes) -> None:
    with pytest.raises(EngineInputError):
        spoken(cloning, "Hello.", "en", CustomVoice("broken", ("en",), state))


def test_a_cloned_voice_is_refused_a_language_that_it_does_not_speak(
    cloning: CloningTtsEngine,
) -> None:
    english = CustomVoice("english", ("en",), cloning.clone(sung(110.0)))
    with pytest.raises(EngineInputError):
        spoken(cloning, TEXTS["es"], "es", english)


def test_the_fake_hums_at_the_pitch_of_the_sample() -> None:
    fake: CloningTtsEngine = load_engine("tts", "fake", {"voice_format": "hum-1"})
    hum = samples(spoken(fake, "a" * 40, voice=voice_of(fake, sung(137.0))))
    pitches_hz = np.fft.rfftfreq(len(hum), 1 / fake.capabilities.sample_rate_hz)
    assert pitches_hz[np.argmax(np.abs(np.fft.rfft(hum)))] == pytest.approx(137.0, abs=1.0)


@needs_espeak
def test_espeak_refuses_a_cloned_voice() -> None:
    with pytest.raises(EngineInputError, match="cloned"):
        spoken(load("tts", "espeak"), "Hello.", "en", CustomVoice("en-f", ("en",), b"state"))


@needs_espeak
def test_a_voice_is_refused_a_language_that_it_does_not_speak() -> None:
    espeak = load("tts", "espeak")
    spanish = next(v.id for v in espeak.capabilities.voices if v.languages == ("es",))
    with pytest.raises(EngineInputError):
        spoken(espeak, "Hello.", "en", spanish)


@needs_espeak
@pytest.mark.parametrize(
    ("text", "sounds"),
    [
        ("Hello <b>there</b>.", "biː"),  # an element named b
        ("Hello <break time='3s'/> there.", "bɹeɪk"),
        ("Hello there &lt; you.", "ɛltiː"),  # not "less than"
        ("Well, [[h@l'oU]] there.", "eɪtʃæt"),  # letters, not the phoneme codes of "hello"
        ("Hello \x0199P there.", "naɪntinaɪn"),  # not a pitch of 99
    ],
)
def test_markup_and_commands_are_read_out_and_not_obeyed(text: str, sounds: str) -> None:
    heard = "".join(phoneme.ipa for phoneme in phonemes(spoken(load("tts", "espeak"), text)))
    assert sounds in heard


@needs_espeak
def test_text_goes_on_after_a_null_and_half_a_character() -> None:
    heard = spoken(load("tts", "espeak"), "Hello\x00my\ud83d friend.")
    plain = spoken(load("tts", "espeak"), "Hello my  friend.")
    assert fingerprint(heard) == fingerprint(plain)


@needs_espeak
def test_settings_change_what_is_heard() -> None:
    normal = samples(spoken(load("tts", "espeak"), TEXTS["en"]))
    fast = samples(spoken(load("tts", "espeak", rate_wpm=260), TEXTS["en"]))
    paused = samples(spoken(load("tts", "espeak", pause_s=1.35), TEXTS["en"]))
    assert len(fast) < 0.8 * len(normal)
    assert len(paused) - len(normal) == 22_050


@needs_espeak
def test_voice_data_behind_a_long_path_is_found(tmp_path: Path) -> None:
    import espeakng_loader

    deep = tmp_path.joinpath(*(["a folder of a deep environment"] * 8))
    deep.mkdir(parents=True)
    link = deep / "espeak-ng-data"
    link.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
    assert len(str(link)) > 240
    far = load("tts", "espeak", data_path=str(link))
    near = load("tts", "espeak")
    assert fingerprint(spoken(far, TEXTS["en"])) == fingerprint(spoken(near, TEXTS["en"]))


@needs_espeak
@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_missing_voice_data_is_a_load_error(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EngineLoadError, match="voice data"):
        load("tts", "espeak", data_path=str(tmp_path / folder))
    assert spoken(load("tts", "espeak"), "It still speaks.")[-1].is_last


def test_the_fakes_speech_lasts_as_long_as_its_text() -> None:
    fake = load("tts", "fake", letter_s=0.1, lead_s=0.05, pause_s=0.15)
    assert len(samples(spoken(fake, "abcdefgh"))) == pytest.approx(22_050, abs=5)


def test_the_fake_may_have_no_phonemes() -> None:
    blocks = spoken(load("tts", "fake", has_phonemes=False), "hello")
    assert len(blocks) > 1
    assert phonemes(blocks) == []


def test_the_fake_fails_and_hangs_as_declared() -> None:
    failing = load("tts", "fake", fail_on_call=2, fail_after_blocks=1)
    whole = spoken(failing, "hello you")
    blocks = failing.speak(sentence("hello you"), "en", None)
    np.testing.assert_array_equal(next(blocks).audio.samples, whole[0].audio.samples)
    with pytest.raises(EngineRuntimeError):
        next(blocks)
    assert fingerprint(spoken(failing, "hello you")) == fingerprint(whole)
    with pytest.raises(EngineRuntimeError, match="hung"):
        spoken(load("tts", "fake", hang_on_call=1, hang_s=0.01), "hello")
    with pytest.raises(EngineLoadError):
        load("tts", "fake", fail_load=True)
