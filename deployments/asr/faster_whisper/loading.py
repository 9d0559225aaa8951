"""A folder becomes a model on a device, or one line that says what is wrong."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deployments.asr.faster_whisper.settings import MODELS, FasterWhisperSettings
from deployments.errors import AvatarError, EngineLoadError
from deployments.weights import ModelNeed, find_model

_FILES = ("config.json", "model.bin", "tokenizer.json")
_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_ON_GPU, _ON_CPU = "large-v3-turbo", "small"

# Beside the weights, on a GPU, reckoned for the widest model (20 heads, width 1280, 1500 steps, two
# bytes): attention 0.09 GB in and out of the softmax, and the decoder's keys and values 0.03 to
# 0.25 GB an utterance; cuBLAS and cuDNN take their own. One utterance with a CUDA context was
# measured by others at weights + 0.7 to 0.9 GB (large-v3-turbo on an RTX 2080 Ti, SYSTRAN's
# faster-whisper, issue 1030). Nobody has measured a batch.
_LIBRARIES_GB = 0.25
_UTTERANCE_GB = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that settings leave open, decided for this machine."""

    folder: Path
    device: str
    compute_type: str
    n_threads: int
    batch: int

    def __str__(self) -> str:
        return f"{self.folder} as {self.compute_type} on {self.device}"


def needs(settings: FasterWhisperSettings) -> tuple[ModelNeed, ...]:
    """The weights to fetch; none where the settings name a folder.

    Raises:
        EngineLoadError: as ``device``.
    """
    name = settings.model or default_model(device(settings))
    return (MODELS[name],) if name in MODELS else ()


def planned(settings: FasterWhisperSettings) -> Plan:
    """What to load, and how.

    Raises:
        EngineLoadError: no model, no GPU, or too little memory promised.
    """
    where = device(settings)
    is_gpu = where == "cuda"
    folder = _folder(settings.model or default_model(where))
    batch = settings.batch or (4 if is_gpu else 1)
    compute_type: str = settings.compute_type
    if is_gpu and settings.memory_gb is not None:
        weights_gb = (folder / "model.bin").stat().st_size / 1e9
        compute_type, batch = fitted(weights_gb, batch, compute_type, settings.memory_gb)
    if compute_type == "auto":
        compute_type = "float16" if is_gpu else "int8"
    n_threads = settings.n_threads or min(4, os.cpu_count() or 1)
    return Plan(folder, where, compute_type, n_threads, batch)


def device(settings: FasterWhisperSettings) -> str:
    """``cpu`` or ``cuda``. A promise of a card's memory is a promise of a card.

    Raises:
        EngineLoadError: a GPU is asked for and none can be used, or the package is missing.
    """
    if settings.device == "cpu":
        return "cpu"
    n_gpus = int(_library().get_cuda_device_count())
    if n_gpus:
        return "cuda"
    if settings.device == "auto" and settings.memory_gb is None:
        return "cpu"
    raise EngineLoadError(
        "faster_whisper was promised a GPU, and CTranslate2 finds none: check the driver and the "
        "stage's num_gpus, or set device: cpu without memory_gb",
        stage="asr",
    )


def default_model(where: str) -> str:
    """Of the devices' models."""
    return _ON_GPU if where == "cuda" else _ON_CPU


def fitted(weights_gb: float, batch: int, compute_type: str, memory_gb: float) -> tuple[str, int]:
    """The precision and batch that stay below ``memory_gb``, by estimate.

    The batch gives way first where the precision is given, the precision where it is not.

    Args:
        weights_gb: of the file, which holds 16 bits a number, as all published ones do.

    Raises:
        EngineLoadError: not even one utterance at a time fits.
    """
    asked = ("float16", "int8_float16") if compute_type == "auto" else (compute_type,)
    for choice in asked:
        room_gb = memory_gb - _LIBRARIES_GB - weights_gb * _relative_size(choice)
        n = min(batch, int(room_gb / _UTTERANCE_GB + 1e-9))
        if n == batch or (n >= 1 and choice == asked[-1]):
            return choice, n
    least_gb = weights_gb * _relative_size(asked[-1]) + _LIBRARIES_GB + _UTTERANCE_GB
    raise EngineLoadError(
        f"faster_whisper needs about {least_gb:.1f} GB of the GPU as {asked[-1]}, and memory_gb "
        f"promises {memory_gb:g}: raise it, or choose a smaller model",
        stage="asr",
    )


def _relative_size(compute_type: str) -> float:
    """Of the weights, to 16 bits a number."""
    if compute_type.startswith("int8"):
        return 0.5
    return 2.0 if compute_type == "float32" else 1.0


def loaded(plan: Plan) -> Any:
    """The ``faster_whisper.WhisperModel``.

    Raises:
        EngineLoadError: a damaged or foreign file, too little memory, an unknown compute type.
    """
    _library()
    from faster_whisper import WhisperModel

    with refusing(plan):
        if plan.device == "cuda":
            preload_cublas()
        model = WhisperModel(
            str(plan.folder),
            device=plan.device,
            compute_type=plan.compute_type,
            cpu_threads=plan.n_threads,
            local_files_only=True,
        )
    n_mels = len(model.feature_extractor.mel_filters)
    if n_mels != model.model.n_mels:
        text = f"{plan.folder}: preprocessor_config.json is missing or of another model"
        raise EngineLoadError(f"{text} ({n_mels} mels, not {model.model.n_mels})", stage="asr")
    return model


def preload_cublas() -> None:
    """Make cuBLAS 12 known where it is installed as NVIDIA's wheel (``nvidia-cublas-cu12``).

    CTranslate2 asks the system's loader for ``libcublas.so.12``, which does not look into wheels;
    what is loaded already it finds. Where there is no such wheel, the system's own serves.
    """
    try:
        spec = find_spec("nvidia.cublas")
    except ModuleNotFoundError:  # not even the parent package
        return
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for name in ("libcublasLt.so.12", "libcublas.so.12"):
            if (library := Path(folder, "lib", name)).is_file():
                ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)


@contextmanager
def refusing(plan: Plan) -> Iterator[None]:
    """Whatever the library raises while the model is loaded and tried, as one line.

    It raises the same type for everything, so that the advice names both usual reasons.
    """
    try:
        yield
    except AvatarError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        advice = "if a file is damaged, remove the folder and run make models PROFILE=..."
        if plan.device == "cuda":
            advice += "; if memory is short, set compute_type: int8_float16 or a smaller model"
        raise EngineLoadError(
            f"faster_whisper cannot use {plan}: {type(error).__name__}: {said} ({advice})",
            stage="asr",
        ) from error


def _folder(model: str) -> Path:
    if model in MODELS:
        return find_model(MODELS[model], "asr")
    folder = Path(model).expanduser()
    if not folder.is_dir():
        raise EngineLoadError(f"faster_whisper's model: there is no folder {folder}", stage="asr")
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        missing.append(" or ".join(_VOCABULARIES))
    if missing:
        raise EngineLoadError(
            f"faster_whisper's model folder {folder} lacks {', '.join(missing)}: it must be a "
            "Whisper in CTranslate2's form, with its tokenizer.json",
            stage="asr",
        )
    return folder


def _library() -> Any:
    try:
        import ctranslate2
        import faster_whisper  # noqa: F401
    except ImportError as error:
        raise EngineLoadError(
            "faster_whisper is missing; install its extra: "
            "pip install 'realtime-avatar[faster_whisper]'",
            stage="asr",
        ) from error
    return ctranslate2
