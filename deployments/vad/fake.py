"""A declared fake: takes whatever is loud for speech."""

import threading
import time

import numpy as np
from pydantic import Field

from deployments.config import Settings as BaseSettings
from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.types import Samples


class FakeVad:
    """Hears speech where the sound's root mean square reaches a threshold."""

    class Settings(BaseSettings):
        """Calls of ``detect`` count from 1 over the engine's life, all its streams together."""

        rms_threshold: float = Field(default=0.01, gt=0, le=1)
        latency_s: float = Field(default=0.0, ge=0)
        fail_on_call: int | None = Field(default=None, ge=1)
        hang_on_call: int | None = Field(default=None, ge=1)
        hang_s: float = Field(default=60.0, gt=0)
        fail_load: bool = False

    sample_rate_hz = 16_000
    chunk_samples = 512

    def __init__(self, settings: "FakeVad.Settings") -> None:
        if settings.fail_load:
            raise EngineLoadError("this fake was told not to load", stage="vad")
        self._settings = settings
        self._lock = threading.Lock()
        self._n_calls = 0

    def open(self) -> "FakeVadStream":
        """As ``VadEngine.open``."""
        return FakeVadStream(self)

    def detect(self, chunk: Samples) -> float:
        """1 or 0.

        Raises:
            EngineInputError: a chunk of another length.
            EngineRuntimeError: this is the call that was declared to fail or to hang.
        """
        if chunk.shape != (self.chunk_samples,):
            raise EngineInputError(f"not {self.chunk_samples} samples", stage="vad")
        self._misbehave()
        return float(np.sqrt(np.mean(np.square(chunk))) >= self._settings.rms_threshold)

    def _misbehave(self) -> None:
        settings = self._settings
        with self._lock:
            self._n_calls += 1
            call = self._n_calls
        time.sleep(settings.latency_s)
        if call == settings.hang_on_call:
            threading.Event().wait(settings.hang_s)
            raise EngineRuntimeError("this fake hung", stage="vad", retryable=True)
        if call == settings.fail_on_call:
            raise EngineRuntimeError("this fake was told to fail", stage="vad", retryable=True)


class FakeVadStream:
    """Needs no memory: the fake judges each chunk alone."""

    def __init__(self, engine: FakeVad) -> None:
        self._engine = engine

    def detect(self, chunk: Samples) -> float:
        """As ``VadStream.detect``."""
        return self._engine.detect(chunk)
