"""ONNX Runtime: files into sessions on a CPU or a GPU."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.errors import EngineLoadError

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_ONE_AT_A_TIME = 1  # size of the batch of published files


def has_cuda() -> bool:
    """Whether ONNX Runtime was built for GPUs, which is another package than that for CPUs."""
    import onnxruntime

    return _CUDA in onnxruntime.get_available_providers()


def opened(
    source: Path | bytes,
    name: str,
    device: str = "cpu",
    memory_gb: float | None = None,
    n_threads: int | None = None,
) -> Any:
    """A session of the network ``name`` in ``source``, a file or its content.

    Args:
        source: of ONNX.
        name: for errors.
        device: ``cpu``, ``cuda`` or ``cuda:1``.
        memory_gb: the most that this one network may take of a GPU, weights included.
        n_threads: on the CPU; None: as many as ``OMP_NUM_THREADS`` says, or cores.

    Raises:
        EngineLoadError: it cannot be read, or not be run on ``device``.
    """
    import onnxruntime

    with_cuda(name, device)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = n_threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
    with _load_errors(name):
        session = onnxruntime.InferenceSession(
            source, options, providers=_providers(device, memory_gb)
        )
    if device != "cpu" and _CUDA not in session.get_providers():
        text = f"{name} cannot run on {device}: onnxruntime-gpu does not find the libraries of the "
        raise EngineLoadError(f"{text}CUDA that it was built for, or of cuDNN", stage="avatar")
    session.disable_fallback()  # to the CPU, should the GPU fail: a replica without one is to end
    return session


def with_cuda(name: str, device: str) -> None:
    """Loads CUDA's libraries where ``device`` is a GPU: torch's, which finds its own.

    Raises:
        EngineLoadError: ``name`` needs another onnxruntime.
    """
    import onnxruntime

    if device == "cpu":
        return
    if not has_cuda():
        text = f"{name}: this onnxruntime cannot use {device}: install onnxruntime-gpu in its place"
        raise EngineLoadError(f"{text}, or set device: cpu", stage="avatar")
    with suppress(ImportError):
        import torch  # noqa: F401
    with redirect_stdout(sys.stderr):  # it prints what it misses
        onnxruntime.preload_dlls()


def _providers(device: str, memory_gb: float | None) -> list[Any]:
    if device == "cpu":
        return [_CPU]
    options: dict[str, Any] = {
        "device_id": device_number(device),
        "use_tf32": 0,  # it has no more digits than half precision
        "arena_extend_strategy": "kSameAsRequested",  # not twice as much each time
    }
    if memory_gb is not None:
        options["gpu_mem_limit"] = int(memory_gb * 1e9)
    return [(_CUDA, options), _CPU]


def device_number(device: str) -> int:
    """1 of ``cuda:1``; 0 where there is no number."""
    return int(device.partition(":")[2] or 0)


@contextmanager
def _load_errors(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # its own exceptions have no common base
        reason = str(error).split("\n", 1)[0]
        raise EngineLoadError(f"{name} cannot be loaded: {reason}", stage="avatar") from None


class OnnxGraph:
    """A session as a function of its inputs by name, for any batch."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self._dtypes = {one.name: _dtype(one.type) for one in session.get_inputs()}
        self._is_single = session.get_inputs()[0].shape[0] == _ONE_AT_A_TIME

    def __call__(self, **inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Its outputs in their order. Inputs are converted to the precision that it takes."""
        fed = {name: self._fitting(name, array) for name, array in inputs.items()}
        n = len(next(iter(fed.values())))
        if not self._is_single or n == _ONE_AT_A_TIME:
            return list(self.session.run(None, fed))
        rows = (
            self.session.run(None, {k: one[i : i + 1] for k, one in fed.items()}) for i in range(n)
        )
        return [np.concatenate(outputs) for outputs in zip(*rows, strict=True)]

    def _fitting(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(array, dtype=self._dtypes[name])


def _dtype(onnx_type: str) -> NDArray[Any] | Any:
    """numpy's of ONNX Runtime's ``tensor(float16)``."""
    name = onnx_type.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(name, name))
