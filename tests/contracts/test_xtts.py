"""XTTS on random weights: loading, pieces and times are real, the voice is noise."""

import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.errors import ConfigError, EngineInputError, EngineLoadError
from deployments.registry import load_engine
from deployments.tts.xtts import XttsTts, voices
from deployments.tts.xtts.latents import Latents, Sampling
from deployments.tts.xtts.settings import LICENCE, MODEL, XttsSettings
from deployments.tts.xtts.vocoder import REACH, Stretching, Vocoding
from deployments.types import AudioChunk, CustomVoice, ReplySentence, Samples
from tests.contracts.test_tts import samples, spoken, sung, tiny_xtts_options

pytestmark = pytest.mark.skipif(
    not (find_spec("torch") and find_spec("TTS")),
    reason="coqui-tts is not installed; `make test` installs it",
)

GREEDY = Sampling(temperature=0.75, top_k=1, top_p=0.85, repetition_penalty=5.0)
DRAWN = Sampling(temperature=0.75, top_k=50, top_p=0.85, repetition_penalty=5.0)
FRAMES_PER_LATENT = 4 * 24_000 / 22_050


def load(folder: Path, **options: Any) -> XttsTts:
    loaded: XttsTts = load_engine("tts", "xtts", {**tiny_xtts_options(folder), **options})
    return loaded


@pytest.fixture(scope="module")
def engine(tiny_xtts: Path) -> XttsTts:
    return load(tiny_xtts)


@pytest.fixture(scope="module")
def timbre(engine: XttsTts) -> voices.Timbre:
    return engine._timbre(None, "en")


def made_up(n: int, seed: int = 0) -> list[Any]:
    """Latents that change as those of speech do: slowly, and suddenly now and then."""
    import torch

    generator = np.random.default_rng(seed)
    steps = generator.normal(0, 0.3, (n, 64)) + (generator.random((n, 1)) < 0.1) * 2
    return list(torch.from_numpy(np.cumsum(steps, axis=0).astype(np.float32) % 2 - 1))


def at_once(engine: XttsTts, latents: Sequence[Any], timbre: voices.Timbre) -> Samples:
    """As the library decodes them."""
    import torch

    with torch.inference_mode():
        speaker = torch.from_numpy(timbre.speaker)[None, :, None]
        wave = engine._model.hifigan_decoder(torch.stack(list(latents))[None], g=speaker)
    return np.asarray(wave[0, 0].numpy())


def by_pieces(
    engine: XttsTts, latents: Sequence[Any], timbre: voices.Timbre, sizes: Sequence[int]
) -> list[Samples]:
    """In pieces of these sizes, the last one again and again."""
    vocoding = Vocoding(engine._model.hifigan_decoder, timbre.speaker)
    sounds, start = [], 0
    for size in [*sizes, *[sizes[-1]] * len(latents)]:
        sounds.append(vocoding.push(latents[start : start + size], start + size >= len(latents)))
        start += size
        if start >= len(latents):
            break
    return sounds


class Counted:
    """How many frames the vocoder decodes."""

    def __init__(self, engine: XttsTts) -> None:
        self.n_frames = 0
        self._hook = engine._model.hifigan_decoder.waveform_decoder.register_forward_pre_hook(
            lambda _, arguments: self._add(arguments[0].shape[-1])
        )

    def _add(self, n: int) -> None:
        self.n_frames += n

    def close(self) -> None:
        self._hook.remove()


@pytest.fixture
def counted(engine: XttsTts) -> Iterator[Counted]:
    count = Counted(engine)
    yield count
    count.close()


@pytest.mark.parametrize(("n", "sizes"), [(9, (1,)), (20, (5, 2)), (45, (10, 20, 24)), (9, (50,))])
def test_joined_pieces_are_the_whole(
    engine: XttsTts, timbre: voices.Timbre, n: int, sizes: tuple[int, ...]
) -> None:
    latents = made_up(n)
    whole = at_once(engine, latents, timbre)
    joined = np.concatenate(by_pieces(engine, latents, timbre, sizes))
    assert joined.shape == whole.shape
    # What must be reached is 1e-3; the same sums in another order are this close.
    assert np.max(np.abs(joined - whole)) <= 1e-5
    assert np.sqrt(np.mean(whole**2)) > 0.03


def test_at_a_joint_the_sound_steps_no_more_than_elsewhere(
    engine: XttsTts, timbre: voices.Timbre
) -> None:
    latents = made_up(45)
    sounds = by_pieces(engine, latents, timbre, (10, 8))
    joints = np.cumsum([len(sound) for sound in sounds])[:-1]
    steps = np.abs(np.diff(np.concatenate(sounds)))
    whole = np.abs(np.diff(at_once(engine, latents, timbre)))
    assert len(joints) == 5
    np.testing.assert_allclose(steps[joints - 1], whole[joints - 1], atol=1e-5)
    assert np.max(steps[joints - 1]) <= np.max(np.delete(whole, joints - 1))


def test_a_piece_without_its_surroundings_would_click(
    engine: XttsTts, timbre: voices.Timbre
) -> None:
    """What the tests above can see."""
    latents = made_up(45)
    alone = [at_once(engine, latents[start : start + 15], timbre) for start in (0, 15, 30)]
    whole = at_once(engine, latents, timbre)
    n = min(len(whole), sum(len(sound) for sound in alone))
    assert np.max(np.abs(np.concatenate(alone)[:n] - whole[:n])) > 0.05


def test_a_frame_is_heard_no_further_than_the_reach(engine: XttsTts, timbre: voices.Timbre) -> None:
    import torch

    network = engine._model.hifigan_decoder.waveform_decoder
    frames = torch.randn(1, 64, 60, generator=torch.Generator().manual_seed(0))
    other = frames.clone()
    other[:, :, 30] += 5
    speaker = torch.from_numpy(timbre.speaker)[None, :, None]
    with torch.inference_mode():
        difference = (network(frames, g=speaker) - network(other, g=speaker))[0, 0]
    changed = np.flatnonzero(difference.numpy()) // 256
    assert 30 - REACH <= changed[0] <= 30 - REACH + 1
    assert 30 + REACH - 1 <= changed[-1] <= 30 + REACH


def test_four_times_the_speech_costs_four_times_the_decoding(
    engine: XttsTts, timbre: voices.Timbre, counted: Counted
) -> None:
    per_latent = []
    for n in (24, 96):
        counted.n_frames = 0
        by_pieces(engine, made_up(n), timbre, (10, 20, 24))
        per_latent.append(counted.n_frames / FRAMES_PER_LATENT / n)
    assert per_latent[1] <= 1.3 * per_latent[0]
    assert per_latent[1] <= 1.3


@pytest.mark.parametrize("scale", [4.0, 24_000 / 22_050, 0.5, 1 / 1.3, 2.0])
@pytest.mark.parametrize("size", [1, 3, 50])
def test_stretching_a_stream_is_stretching_the_whole(scale: float, size: int) -> None:
    import torch

    vectors = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    whole = torch.nn.functional.interpolate(vectors.T[None], scale_factor=scale, mode="linear")
    stretching = Stretching(scale)
    pieces = [
        stretching.push(vectors[start : start + size], start + size >= 50)
        for start in range(0, 50, size)
    ]
    joined = torch.cat(pieces)
    assert joined.shape == whole[0].T.shape
    assert float((joined - whole[0].T).abs().max()) <= 1e-5


def tokens_of(engine: XttsTts, text: str) -> list[int]:
    return engine._speech.tokens(text, "en")


@pytest.mark.filterwarnings("ignore")  # what the library's own generator warns of is not ours
def test_latents_are_those_of_the_librarys_own_generator(
    engine: XttsTts, timbre: voices.Timbre
) -> None:
    import torch

    gpt, tokens = engine._model.gpt, tokens_of(engine, "hello there")
    ours = list(Latents(gpt, GREEDY).of(tokens, timbre.prompt, seed=0))
    prompt = torch.from_numpy(timbre.prompt)[None]
    with torch.inference_mode():
        theirs = gpt.get_generator(
            fake_inputs=gpt.compute_embeddings(prompt, torch.tensor([tokens])),
            do_sample=True,
            temperature=GREEDY.temperature,
            top_k=GREEDY.top_k,
            top_p=GREEDY.top_p,
            repetition_penalty=GREEDY.repetition_penalty,
            num_beams=1,
            num_return_sequences=1,
            output_hidden_states=True,
            return_dict_in_generate=True,
        )
        expected = [latent[0] for _, latent in theirs]
    assert len(ours) == len(expected) == gpt.max_gen_mel_tokens
    for mine, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=1e-5)


def test_sentences_spoken_by_turns_do_not_disturb_each_other(
    engine: XttsTts, timbre: voices.Timbre
) -> None:
    latents = Latents(engine._model.gpt, DRAWN)

    def stream(text: str, seed: int) -> Iterator[Any]:
        return latents.of(tokens_of(engine, text), timbre.prompt, seed)

    alone = [np.stack(list(stream("hello", 1))), np.stack(list(stream("a longer text", 2)))]
    turns = zip(stream("hello", 1), stream("a longer text", 2), strict=True)
    together = [np.stack(pair) for pair in zip(*turns, strict=True)]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(alone[0], np.stack(list(stream("hello", 3))))


def test_nothing_is_made_before_it_is_asked_for(engine: XttsTts, counted: Counted) -> None:
    text = "One part of this. Another part. And a third one. " * 4
    blocks = engine.speak(ReplySentence(0, text, is_last=True), "en", None)
    assert counted.n_frames == 0
    next(blocks)
    assert counted.n_frames <= 2 * 26  # of the first part or two: 26 frames each
    blocks.close()  # type: ignore[attr-defined]  # it is a generator
    n_frames = counted.n_frames
    assert list(blocks) == []
    assert counted.n_frames == n_frames


def test_the_seed_and_the_speed_are_heard(engine: XttsTts, tiny_xtts: Path) -> None:
    text = "One two."
    plain = samples(spoken(engine, text))
    reseeded = samples(spoken(load(tiny_xtts, seed=1), text))
    slow = samples(spoken(load(tiny_xtts, speed=0.5), text))
    assert len(reseeded) == len(plain)
    assert not np.array_equal(reseeded, plain)
    n_speech = 26 * 256  # 6 latents are 26 frames, 12 are 52
    assert len(slow) - len(plain) == pytest.approx(n_speech, abs=256)


def test_numbers_are_spoken_in_words(engine: XttsTts) -> None:
    said = samples(spoken(engine, "It costs $5."))
    assert np.array_equal(said, samples(spoken(engine, "It costs five dollars.")))


@pytest.mark.parametrize(("language", "n"), [("en", 250), ("zh", 82), ("es", 239)])
def test_parts_keep_to_the_models_limits(engine: XttsTts, language: str, n: int) -> None:
    text = {"en": "and so on, ", "zh": "今天天气很好，", "es": "y así, "}[language] * 60
    found = engine._speech.parts(text, language)
    assert all(len(part) <= n for part in found)
    assert all(len(engine._speech.tokens(part, language)) < 28 for part in found)


def test_half_the_precision_says_nearly_the_same(engine: XttsTts, tiny_xtts: Path) -> None:
    half = load(tiny_xtts, precision="float16")
    timbre, tokens = half._timbre(None, "en"), tokens_of(half, "hello")
    whole = np.stack(list(Latents(engine._model.gpt, GREEDY).of(tokens, timbre.prompt, 0)))
    short = np.stack(list(Latents(half._model.gpt, GREEDY).of(tokens, timbre.prompt, 0)))
    assert half._model.gpt.gpt.h[0].attn.c_attn.weight.dtype.itemsize == 2
    assert short.dtype == np.float32
    assert np.max(np.abs(short - whole)) < 0.05
    assert not np.array_equal(short, whole)
    assert spoken(half, "Hello.")[-1].is_last


# Voices


def test_a_clone_has_the_numbers_that_the_library_makes_of_a_file(engine: XttsTts) -> None:
    import torch

    sample = sung(110.0, 7.0, 22_050)
    timbre = voices.cloned(engine._model, sample)
    heard = torch.from_numpy(sample.samples)[None]
    prompt = engine._model.get_gpt_cond_latents(heard, 22_050, length=6, chunk_length=6)
    speaker = engine._model.get_speaker_embedding(heard, 22_050)
    np.testing.assert_allclose(timbre.prompt, prompt[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(timbre.speaker, speaker[0, :, 0].numpy(), atol=1e-6)


def test_a_voice_survives_as_bytes(engine: XttsTts, timbre: voices.Timbre) -> None:
    state = voices.to_bytes(timbre, "format-1")
    again = voices.from_bytes(CustomVoice("v", ("en",), state), "format-1", timbre)
    np.testing.assert_array_equal(again.prompt, timbre.prompt)
    np.testing.assert_array_equal(again.speaker, timbre.speaker)
    assert voices.to_bytes(again, "format-1") == state


def test_a_voice_of_other_weights_is_refused(
    engine: XttsTts, timbre: voices.Timbre, tiny_xtts: Path, tmp_path: Path
) -> None:
    other = load(altered(tiny_xtts, tmp_path / "other"))
    assert other.capabilities.voice_format != engine.capabilities.voice_format
    state = other.clone(sung(110.0))
    with pytest.raises(EngineInputError, match=other.capabilities.voice_format):
        engine.speak(
            ReplySentence(0, "Hello.", is_last=True), "en", CustomVoice("v", ("en",), state)
        )


@pytest.mark.parametrize("damage", ["pickle", "shape", "nan", "huge"])
def test_a_state_that_nobody_made_is_refused(
    engine: XttsTts, timbre: voices.Timbre, damage: str
) -> None:
    voice_format = engine.capabilities.voice_format
    prompt: Any = timbre.prompt
    if damage == "pickle":
        prompt = np.array([{"a": 1}], dtype=object)
    elif damage == "shape":
        prompt = prompt[:, :-1]
    elif damage == "nan":
        prompt = np.full_like(prompt, np.nan)
    else:
        prompt = np.zeros((32, 20_000), np.float32)
    state = voices.to_bytes(voices.Timbre(prompt, timbre.speaker), voice_format)
    with pytest.raises(EngineInputError, match="the state of the voice v is not of xtts-1-"):
        engine.speak(ReplySentence(0, "Hi.", is_last=True), "en", CustomVoice("v", ("en",), state))


def test_names_of_voices_become_ids_for_the_wire() -> None:
    names = ("Claribel Dervla", "Eugenio Mataracı", "小明", "A")
    assert [voices._identifier(name) for name in names] == [
        "claribel-dervla",
        "eugenio-matarac",
        "voice",
        "voice-a",
    ]


# Loading


def altered(folder: Path, to: Path) -> Path:
    """The same model with other weights."""
    import torch

    shutil.copytree(folder, to)
    checkpoint = torch.load(to / "model.pth", weights_only=True)
    checkpoint["model"]["gpt.mel_head.bias"] += 0.1
    torch.save(checkpoint, to / "model.pth")
    return to


def test_without_the_licence_it_does_not_load(tiny_xtts: Path) -> None:
    for licence in ("", "yes"):
        with pytest.raises(EngineLoadError) as caught:
            load(tiny_xtts, licence=licence)
        message = caught.value.message
        assert "non-commercial" in message
        assert f"licence: {LICENCE}" in message
        assert "\n" not in message


def test_the_weights_to_fetch_are_xtts_v2_unless_a_folder_is_named() -> None:
    assert XttsTts.models(XttsSettings()) == (MODEL,)
    assert XttsTts.models(XttsSettings(model="/models/mine")) == ()


def test_weights_that_nobody_fetched_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("PROFILE", "l4")
    with pytest.raises(EngineLoadError) as caught:
        load_engine("tts", "xtts", {"licence": LICENCE, "device": "cpu"})
    assert str(tmp_path / "xtts-v2" / "config.json") in caught.value.message
    assert "make models PROFILE=l4" in caught.value.message


@pytest.mark.parametrize("name", ["config.json", "model.pth", "vocab.json", "speakers_xtts.pth"])
def test_a_missing_file_is_named(tiny_xtts: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(tiny_xtts, tmp_path / "xtts")
    (folder / name).unlink()
    with pytest.raises(EngineLoadError) as caught:
        load(folder)
    assert caught.value.message == f"xtts's model folder {folder} lacks {name}"


@pytest.mark.parametrize("name", ["config.json", "model.pth", "vocab.json", "speakers_xtts.pth"])
def test_half_a_file_is_one_line_with_what_to_do(
    tiny_xtts: Path, tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(tiny_xtts, tmp_path / "xtts")
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineLoadError) as caught:
        load(folder)
    assert str(folder) in caught.value.message
    assert "make models" in caught.value.message
    assert "\n" not in caught.value.message


def test_another_architecture_in_the_folder_is_told(tiny_xtts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_xtts, tmp_path / "vits")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model": "vits"}))
    with pytest.raises(EngineLoadError, match=r"config\.json is of another architecture, 'vits'"):
        load(folder)


def test_weights_of_another_size_are_told(tiny_xtts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_xtts, tmp_path / "xtts")
    config = json.loads((folder / "config.json").read_text())
    config["model_args"]["gpt_layers"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineLoadError, match="Missing key") as caught:
        load(folder)
    assert "\n" not in caught.value.message


def test_a_language_that_the_model_lacks_is_told(tiny_xtts: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_xtts, tmp_path / "xtts")
    config = json.loads((folder / "config.json").read_text())
    config["languages"] = ["en", "es"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineLoadError, match="does not speak zh"):
        load(folder)
    assert load(folder, languages=["en", "es"]).capabilities.languages == ("en", "es")


def test_a_checkpoint_of_an_older_library_loads_and_stays_as_it_is(
    tiny_xtts: Path, tmp_path: Path
) -> None:
    """The published file holds a class; the library would write it anew, into our folder."""
    import torch
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import _legacy_safe_globals

    folder = shutil.copytree(tiny_xtts, tmp_path / "xtts")
    checkpoint = torch.load(folder / "model.pth", weights_only=True)
    with _legacy_safe_globals():
        torch.save({**checkpoint, "config": XttsConfig()}, folder / "model.pth")
    before = (folder / "model.pth").read_bytes()
    (folder / "model.pth").chmod(stat.S_IRUSR)
    assert spoken(load(folder), "Hello.")[-1].is_last
    assert (folder / "model.pth").read_bytes() == before


def test_a_checkpoint_that_would_run_code_does_not(tiny_xtts: Path, tmp_path: Path) -> None:
    import torch

    folder = shutil.copytree(tiny_xtts, tmp_path / "xtts")
    torch.save({"model": {"x": Bomb(tmp_path / "ran")}}, folder / "model.pth")
    with pytest.raises(EngineLoadError):
        load(folder)
    assert not (tmp_path / "ran").exists()


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self._path),)


def test_a_gpu_that_is_not_there_is_told(tiny_xtts: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    options = {"licence": LICENCE, "model": str(tiny_xtts)}
    for asked in ({"device": "cuda"}, {"memory_gb": 3.0}):
        with pytest.raises(EngineLoadError, match="torch finds none"):
            load_engine("tts", "xtts", {**options, **asked})


def test_memory_that_runs_out_while_loading_is_one_line(
    tiny_xtts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB.")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(EngineLoadError) as caught:
        load(tiny_xtts)
    assert "does not fit into the card" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": "xtts-v3"}, "write xtts-v2, or the path of a folder"),
        ({"device": "cpu", "memory_gb": 2}, "memory_gb is of a GPU, and device is cpu"),
        ({"languages": ["fr"]}, "languages"),
        ({"speed": 3}, "speed"),
    ],
)
def test_impossible_options_are_told(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load_engine("tts", "xtts", options)


def test_a_sample_may_be_loud_or_quiet_but_not_silent(engine: XttsTts) -> None:
    quiet = sung(110.0, 6.0, 24_000)
    whisper = AudioChunk((quiet.samples * 0.05).astype(np.float32), 24_000)
    assert engine.clone(whisper)
    hush = AudioChunk((quiet.samples * 1e-3).astype(np.float32), 24_000)
    with pytest.raises(EngineInputError, match="no voice"):
        engine.clone(hush)
