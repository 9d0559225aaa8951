"""TensorRT or TensorRT for RTX: two libraries with nearly one interface.

Everything in this package is given the module and never imports one itself.
"""

from importlib import import_module
from typing import Any

from deployments.errors import EngineLoadError

_MODULES = ("tensorrt", "tensorrt_rtx")
_FIRST_WITH_VOLUMES = {"tensorrt": (11, 2), "tensorrt_rtx": (1, 7)}
"""Versions that sample volumes. Source: TensorRT's release notes (11.2.1); tried (RTX 1.7)."""


def imported() -> Any:
    """The module of whichever is installed; TensorRT first, which runs on data-centre GPUs too.

    Raises:
        EngineLoadError: neither is; says how to install them.
    """
    for name in _MODULES:
        try:
            return import_module(name)
        except (ImportError, OSError):
            continue
    raise EngineLoadError(
        "runtime: tensorrt needs TensorRT: pip install 'realtime-avatar[tensorrt_rtx]' for cards "
        "with the RTX architectures, or NVIDIA's tensorrt package",
        stage="avatar",
    )


def samples_volumes(trt: Any) -> bool:
    """Whether networks may keep the operator that samples volumes."""
    version = tuple(int(part) for part in trt.__version__.split(".")[:2])
    return version >= _FIRST_WITH_VOLUMES[trt.__name__]


def can_be_recorded(trt: Any, context: Any, stream: int) -> bool:
    """Whether what ``context`` launches on ``stream`` may become a CUDA graph.

    TensorRT for RTX says so of each context; with TensorRT's own it holds for whatever has only
    sizes that its inputs' shapes give, as all of these networks have.
    """
    return trt.__name__ != "tensorrt_rtx" or bool(context.is_stream_capturable(stream))
