"""coqui-tts, imported beside whatever torch is here.

Source: coqui-tts 0.28, torch 2.13 for a CPU and torchaudio 2.11 as on the package index, tried
2026-11.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol, cast

from deployments.errors import EngineLoadError

_COMPILED = "torchaudio._extension"


def imported(module: str) -> Any:
    """A module of coqui-tts.

    Raises:
        EngineLoadError: it, torch or torchaudio is missing or broken; says how to install them.
    """
    try:
        _allow_cuda_torchaudio_beside_cpu_torch()
        return import_module(module)
    except (ImportError, OSError) as error:
        said = " ".join(str(error).split())
        raise EngineLoadError(
            f"xtts cannot import coqui-tts ({said}); install torch, then its extra: "
            "pip install 'realtime-avatar[xtts]'",
            stage="tts",
        ) from error


def _allow_cuda_torchaudio_beside_cpu_torch() -> None:
    """Put an empty part in the place of torchaudio's compiled one where that does not load.

    The wheel on the package index is linked to CUDA. XTTS needs only what is plain torch in it:
    resampling and spectrograms.
    """
    try:
        import_module("torchaudio")
    except ModuleNotFoundError:
        raise
    except (ImportError, OSError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules[_COMPILED] = cast(ModuleType, _without_compiled_part())
        import_module("torchaudio")


class _Extension(Protocol):
    """What the rest of torchaudio asks of its compiled part."""

    _IS_TORCHAUDIO_EXT_AVAILABLE: bool
    _IS_ALIGN_AVAILABLE: bool
    _check_cuda_version: Callable[[], None]
    fail_if_no_align: Callable[[Callable[..., Any]], Callable[..., Any]]


def _without_compiled_part() -> _Extension:
    extension = cast(_Extension, ModuleType(_COMPILED))
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = False
    extension._IS_ALIGN_AVAILABLE = False
    extension._check_cuda_version = _nothing
    extension.fail_if_no_align = _refusing
    return extension


def _nothing() -> None:
    return None


def _refusing(function: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{function.__name__} needs torchaudio's compiled part")

    return refuse
