"""faster-whisper on a GPU, with random weights: it hears as it does on a CPU."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from deployments.asr.engine import BatchingAsrEngine
from deployments.registry import load_engine
from deployments.types import AudioChunk, Transcript
from tests.contracts.test_asr import tiny_whisper_options
from tests.sounds import RATE_HZ, talk


def has_gpu() -> bool:
    if not find_spec("ctranslate2"):
        return False
    import ctranslate2

    return bool(ctranslate2.get_cuda_device_count())


pytestmark = pytest.mark.skipif(not has_gpu(), reason="CTranslate2 finds no GPU")


def heard(folder: Path, **options: Any) -> list[Transcript]:
    """Three utterances in one step."""
    every = {**tiny_whisper_options(folder), **options}
    engine: BatchingAsrEngine[Any] = load_engine("asr", "faster_whisper", every)
    asked = [(2.0, "en"), (3.0, "zh"), (2.5, None)]
    sounds = [AudioChunk(talk(duration_s), RATE_HZ) for duration_s, _ in asked]
    hearings = [engine.open(s, language) for s, (_, language) in zip(sounds, asked, strict=True)]
    return engine.hear(hearings)


def test_a_gpu_hears_what_a_cpu_hears(tiny_whisper: Path) -> None:
    on_cpu = heard(tiny_whisper, compute_type="float32")
    on_gpu = heard(tiny_whisper, compute_type="float32", device="cuda")
    assert [t.text for t in on_gpu] == [t.text for t in on_cpu]


def test_what_profiles_use_hears_words_within_a_promise_of_memory(tiny_whisper: Path) -> None:
    for compute_type in ("float16", "int8_float16"):
        options = {"compute_type": compute_type, "device": "cuda", "memory_gb": 1.5}
        transcripts = heard(tiny_whisper, **options)
        assert all(t.is_final and t.text and t.words for t in transcripts)
