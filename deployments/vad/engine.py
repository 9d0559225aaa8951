"""Voice activity detection: where in the sound somebody speaks."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.resample import resampled
from deployments.types import AudioChunk, Samples

# Speech once begun goes on while the probability stays above the threshold less this.
# Source: the ``neg_threshold`` default of Silero's own utilities.
_HYSTERESIS = 0.15
_MIN_RUN_S = 0.15  # shorter runs are clicks, or the first moments of noise, not syllables
_SLICE_S = 4.0  # resampled at a time, so that a long recording costs only what is listened to


class VadStream(Protocol):
    """One listener's detector; holds the network's state between chunks."""

    def detect(self, chunk: Samples) -> float:
        """The probability in [0, 1] that ``chunk`` holds speech.

        Args:
            chunk: exactly ``VadEngine.chunk_samples`` samples at ``VadEngine.sample_rate_hz``.
        """
        ...


class VadEngine(Protocol):
    """Holds the weights once for all listeners of a process; safe to call from several threads."""

    sample_rate_hz: int
    chunk_samples: int

    def open(self) -> VadStream:
        """A detector that has heard nothing yet."""
        ...


def speech_seconds(
    engine: VadEngine, audio: AudioChunk, threshold: float, enough_s: float
) -> float:
    """How many seconds of ``audio`` are speech; stops listening once ``enough_s`` were heard.

    Args:
        audio: mono, any rate.
        threshold: the probability from which a chunk begins a run of speech. The run goes on
            while it stays within 0.15 below, and counts once it is 0.15 s long.
        enough_s: no more than this has to be known.
    """
    chunk_s = engine.chunk_samples / engine.sample_rate_hz
    heard_s = run_s = 0.0
    for is_speech in _judged(engine, audio, threshold):
        if is_speech:
            run_s += chunk_s
            if run_s >= _MIN_RUN_S and heard_s + run_s >= enough_s:
                return heard_s + run_s
        else:
            heard_s += run_s if run_s >= _MIN_RUN_S else 0.0
            run_s = 0.0
    return heard_s + (run_s if run_s >= _MIN_RUN_S else 0.0)


def speech_chunks(engine: VadEngine, audio: AudioChunk, threshold: float) -> NDArray[np.bool_]:
    """Which chunks of ``audio`` are speech, by the same rules as ``speech_seconds``.

    Returns:
        (n,) bool: one for every ``chunk_samples / sample_rate_hz`` seconds, the last of which may
        reach beyond the end.
    """
    is_speech = np.fromiter(_judged(engine, audio, threshold), bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_speech, [False]])))
    for start, end in edges.reshape(-1, 2):
        if (end - start) * engine.chunk_samples / engine.sample_rate_hz < _MIN_RUN_S:
            is_speech[start:end] = False
    return is_speech


def _judged(engine: VadEngine, audio: AudioChunk, threshold: float) -> Iterator[bool]:
    """For each chunk whether it belongs to a run of speech, however short."""
    stream, is_speech = engine.open(), False
    for chunk in _chunks(audio, engine.sample_rate_hz, engine.chunk_samples):
        is_speech = stream.detect(chunk) >= (threshold - _HYSTERESIS if is_speech else threshold)
        yield is_speech


def _chunks(audio: AudioChunk, sample_rate_hz: int, n: int) -> Iterator[Samples]:
    """The sound at the detector's rate in its chunks, the last one filled up with silence."""
    rest: Samples = np.zeros(0, np.float32)
    n_slice = round(_SLICE_S * audio.sample_rate_hz)
    for start in range(0, len(audio.samples), n_slice):
        part = AudioChunk(audio.samples[start : start + n_slice], audio.sample_rate_hz)
        rest = np.concatenate([rest, resampled(part, sample_rate_hz).samples])
        n_whole = len(rest) - len(rest) % n
        yield from rest[:n_whole].reshape(-1, n)
        rest = rest[n_whole:]
    if len(rest):
        yield np.concatenate([rest, np.zeros(n - len(rest), np.float32)])
