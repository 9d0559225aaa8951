"""HuBERT in ONNX Runtime: what the published checkpoint hears speech with, in every runtime."""

from pathlib import Path

import numpy as np

from deployments.avatar.ditto.features import Hubert
from deployments.avatar.ditto.sessions import opened
from deployments.avatar.ditto.vector import FloatArray
from deployments.errors import EngineLoadError


def load_hubert(path: Path, device: str) -> Hubert:
    """The network in the file, on a GPU where ``device`` is one and ONNX Runtime was built for it.

    Raises:
        EngineLoadError: the file cannot be read, or is no network of this kind.
    """
    # Replicas share the machine's cores: one that took them all would slow the others.
    session = opened(path, str(path), device, n_threads=1)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise EngineLoadError(f"{path} does not make one thing of one sound", stage="avatar")
    name = inputs[0].name

    def hear(samples: FloatArray) -> FloatArray:
        (rows,) = session.run(None, {name: samples[None]})
        return np.asarray(rows, dtype=np.float32)  # (rows, 1024)

    return hear
