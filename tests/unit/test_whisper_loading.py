"""What faster-whisper loads on which machine, and what it says when it cannot."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deployments.asr.faster_whisper.loading import (
    Plan,
    fitted,
    needs,
    planned,
    preload_cublas,
    refusing,
)
from deployments.asr.faster_whisper.settings import MODELS, FasterWhisperSettings
from deployments.errors import EngineLoadError

pytestmark = pytest.mark.skipif(
    not find_spec("faster_whisper"), reason="the extra 'faster_whisper' is not installed"
)
TURBO_GB = 1.62  # 809 million numbers of 16 bits


def has_gpu() -> bool:
    import ctranslate2

    return bool(ctranslate2.get_cuda_device_count())


without_gpu = pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")


def settings(**options: Any) -> FasterWhisperSettings:
    return FasterWhisperSettings.model_validate(options)


@pytest.mark.parametrize(
    ("memory_gb", "compute_type", "expected"),
    [
        (3.0, "auto", ("float16", 4)),
        (2.0, "auto", ("int8_float16", 3)),
        (1.5, "auto", ("int8_float16", 1)),
        (2.4, "float16", ("float16", 2)),
        (3.0, "int8_float16", ("int8_float16", 4)),
        (8.0, "float32", ("float32", 4)),
    ],
)
def test_precision_and_batch_stay_below_what_was_promised(
    memory_gb: float, compute_type: str, expected: tuple[str, int]
) -> None:
    assert fitted(TURBO_GB, 4, compute_type, memory_gb) == expected


def test_a_promise_that_is_too_small_is_refused() -> None:
    with pytest.raises(EngineLoadError) as caught:
        fitted(TURBO_GB, 4, "auto", 1.0)
    assert str(caught.value) == (
        "faster_whisper needs about 1.3 GB of the GPU as int8_float16, and memory_gb promises 1: "
        "raise it, or choose a smaller model"
    )


@without_gpu
@pytest.mark.parametrize("options", [{"device": "cuda"}, {"memory_gb": 1.5}])
def test_a_gpu_that_was_promised_and_is_not_there_is_said(options: dict[str, Any]) -> None:
    with pytest.raises(EngineLoadError, match="CTranslate2 finds none: check the driver"):
        planned(settings(**options))


@without_gpu
def test_a_machine_without_a_gpu_needs_the_small_model() -> None:
    assert needs(settings()) == (MODELS["small"],)


def test_the_models_that_are_needed_follow_the_settings() -> None:
    assert needs(settings(model="large-v3", device="cpu")) == (MODELS["large-v3"],)
    assert needs(settings(model="/somewhere/else", device="cpu")) == ()


def test_a_model_that_nobody_knows_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ValidationError, match="write one of tiny, base, small"):
        settings(model="smal")


@pytest.mark.parametrize(
    "options",
    [
        {"temperatures": (0.4, 0.0)},
        {"temperatures": (0.0, 1.2)},
        {"device": "cpu", "memory_gb": 1.5},
        {"languages": ()},
    ],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**options)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineLoadError) as caught:
        planned(settings(model=str(tmp_path / "none"), device="cpu"))
    assert str(caught.value) == f"faster_whisper's model: there is no folder {tmp_path}/none"


def test_a_folder_of_something_else_is_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\0")
    with pytest.raises(EngineLoadError) as caught:
        planned(settings(model=str(tmp_path), device="cpu"))
    assert str(caught.value) == (
        f"faster_whisper's model folder {tmp_path} lacks model.bin, tokenizer.json, "
        "vocabulary.json or vocabulary.txt: it must be a Whisper in CTranslate2's form, with its "
        "tokenizer.json"
    )


def test_a_gpu_that_is_full_is_one_line_with_what_to_do() -> None:
    plan = Plan(Path("/models/x"), "cuda", "float16", n_threads=1, batch=4)
    with pytest.raises(EngineLoadError) as caught, refusing(plan):
        raise RuntimeError("CUDA failed with error\nout of memory")
    assert str(caught.value) == (
        "faster_whisper cannot use /models/x as float16 on cuda: RuntimeError: CUDA failed with "
        "error out of memory (if a file is damaged, remove the folder and run make models "
        "PROFILE=...; if memory is short, set compute_type: int8_float16 or a smaller model)"
    )


def test_cublas_is_found_in_nvidias_wheel(tmp_path: Path) -> None:
    """Any library serves for the test; a process of its own, since none is ever unloaded."""
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    any_library = find_any_library()
    for name in ("libcublasLt.so.12", "libcublas.so.12"):
        (folder / name).write_bytes(any_library.read_bytes())
    script = (
        "from deployments.asr.faster_whisper.loading import preload_cublas\n"
        "from pathlib import Path\n"
        "preload_cublas()\n"
        "print('cublas/lib/libcublas.so.12' in Path('/proc/self/maps').read_text())\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).resolve().parents[2],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert child.stdout == "True\n"


def find_any_library() -> Path:
    import ctranslate2

    site = Path(str(ctranslate2.__file__)).parents[1]
    return next((site / "ctranslate2.libs").glob("libgomp*"))


def test_without_nvidias_wheel_the_systems_cublas_is_left_to_be_found() -> None:
    preload_cublas()
