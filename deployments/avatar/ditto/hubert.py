"""HuBERT in ONNX Runtime: what the published checkpoint hears speech with, in every runtime."""

from pathlib import Path

import numpy as np

from deployments.avatar.ditto.features import Hubert
from deployments.avatar.ditto.sessions import opened
from deployments.avatar.ditto.vector import FloatArray
from deployments.errors import EngineLoadError


def load_hubert(path: Path, device: str, memory_gb: float | None = None) -> Hubert:
    """The network in the file. ``memory_gb``: the most that it may take of a GPU.

    Raises:
        EngineLoadError: the file cannot be read, or is no network of this kind; or ``device`` is a
            GPU that ONNX Runtime cannot use: on a processor HuBERT is too slow to be live.
    """
    # Replicas share the machine's cores: one that took them all would slow the others.
    session = opened(path, str(path), device, memory_gb, n_threads=1)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise EngineLoadError(f"{path} does not make one thing of one sound", stage="avatar")
    name = inputs[0].name

    def hear(samples: FloatArray) -> FloatArray:
        (rows,) = session.run(None, {name: samples[None]})
        return np.asarray(rows, dtype=np.float32)  # (rows, 1024)

    return hear
