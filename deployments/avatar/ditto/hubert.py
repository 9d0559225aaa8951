"""HuBERT in ONNX Runtime: what the published checkpoint hears speech with, in every runtime."""

from pathlib import Path
from typing import Any

import numpy as np

from deployments.avatar.ditto.features import Hubert
from deployments.avatar.ditto.vector import FloatArray
from deployments.errors import EngineLoadError


def load_hubert(path: Path, device: str) -> Hubert:
    """The network in the file, on a GPU where ``device`` is one and ONNX Runtime was built for it.

    Raises:
        EngineLoadError: the file cannot be read, or is no network of this kind.
    """
    session = _session(path, device)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise EngineLoadError(f"{path} does not make one thing of one sound", stage="avatar")
    name = inputs[0].name

    def hear(samples: FloatArray) -> FloatArray:
        (rows,) = session.run(None, {name: samples[None]})
        return np.asarray(rows, dtype=np.float32)  # (rows, 1024)

    return hear


def _session(path: Path, device: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Replicas share the machine's cores: one that took them all would slow the others.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    wanted = ["CPUExecutionProvider"]
    if device != "cpu" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        wanted.insert(0, "CUDAExecutionProvider")
    try:
        return onnxruntime.InferenceSession(path, options, providers=wanted)
    except Exception as error:  # its own exceptions have no common base
        reason = str(error).split("\n", 1)[0]
        raise EngineLoadError(f"{path} cannot be read: {reason}", stage="avatar") from None
