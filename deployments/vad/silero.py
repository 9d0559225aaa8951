"""Silero VAD v6: a small recurrent network, 0.1 to 0.2 ms per 32 ms of sound on one core.

Weights: ``silero_vad_v6.onnx``, an asset of the ``faster-whisper`` package (MIT, as Silero's own
release is). The package itself is never imported: that takes seconds and loads CTranslate2.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.config import Settings as BaseSettings
from deployments.errors import EngineInputError, EngineLoadError
from deployments.types import Samples

_SAMPLE_RATE_HZ = 16_000
_CHUNK_SAMPLES = 512
_CONTEXT_SAMPLES = 64  # the end of the previous chunk, heard again
_STATE_SHAPE = (1, 1, 128)
_ASSET = Path("assets", "silero_vad_v6.onnx")
_INSTALL = "install its extra: pip install 'realtime-avatar[silero]'"


class SileroVad:
    """The Silero engine; ``open`` and its streams may be used from several threads."""

    class Settings(BaseSettings):
        pass

    sample_rate_hz = _SAMPLE_RATE_HZ
    chunk_samples = _CHUNK_SAMPLES

    def __init__(self, settings: "SileroVad.Settings") -> None:
        self._session = _session(_weights())
        self.open().detect(np.zeros(_CHUNK_SAMPLES, np.float32))

    def open(self) -> "SileroStream":
        """As ``VadEngine.open``."""
        return SileroStream(self._session)


class SileroStream:
    """One listener's state: (1, 1, 128) float32 twice, and 64 samples of context."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._h: NDArray[np.float32] = np.zeros(_STATE_SHAPE, np.float32)
        self._c: NDArray[np.float32] = np.zeros(_STATE_SHAPE, np.float32)
        self._context: Samples = np.zeros(_CONTEXT_SAMPLES, np.float32)

    def detect(self, chunk: Samples) -> float:
        """As ``VadStream.detect``.

        Raises:
            EngineInputError: not exactly 512 samples.
        """
        if chunk.shape != (_CHUNK_SAMPLES,):
            text = f"silero hears {_CHUNK_SAMPLES} samples at a time, not {chunk.shape}"
            raise EngineInputError(text, stage="vad")
        heard = np.concatenate([self._context, chunk])[np.newaxis]
        probabilities, self._h, self._c = self._session.run(
            None, {"input": heard.astype(np.float32), "h": self._h, "c": self._c}
        )
        self._context = heard[0, -_CONTEXT_SAMPLES:]
        return float(probabilities[0])


def _weights() -> Path:
    spec = find_spec("faster_whisper")  # finds a top-level package without importing it
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / _ASSET).is_file():
            return path
    raise EngineLoadError(f"silero's weights are missing; {_INSTALL}", stage="vad")


def _session(weights: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineLoadError(f"onnxruntime is missing; {_INSTALL}", stage="vad") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a chunk is too little to share
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(weights), sess_options=options, providers=["CPUExecutionProvider"]
    )
