"""Whose voice it is and how high it speaks: speaker embeddings (resemblyzer) and pitch (pyworld).

Resemblyzer is Apache-2.0 and carries the weights of its encoder in its wheel (GE2E, Wan et al.
2018); pyworld is MIT. Both are imported on first use, since the one needs torch.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.resample import resampled
from deployments.types import AudioChunk, Samples

Signal = NDArray[np.float64]
"""(n,) float64."""

LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
"""Pitches of people who speak: men's creak to women's surprise. Outside of them dio finds the
harmonics of a voice rather than the voice."""

LEAST_VOICED_S = 0.5
"""Of voiced sound, before its pitch says anything about a speaker: two or three syllables."""

LEAST_SPEECH_S = 1.6
"""One window of resemblyzer's encoder (160 frames of 10 ms): shorter sound is mostly padding."""

_EMBEDDED_HZ = 16_000
_QUANTILES = np.linspace(0.05, 0.95, 19)
_FRAME_S = 0.03
_QUIETER_DB = 40.0  # than the loudest frame: a pause
_LOUDNESS_DBFS = -30.0  # to which resemblyzer's own preprocessing raises sound


@dataclass(frozen=True, slots=True, eq=False)
class Pitch:
    """The pitch of speech: ``hz`` holds that of each voiced 5 ms."""

    hz: Signal

    @property
    def mean_hz(self) -> float:
        return float(self.hz.mean())

    def rmse_hz(self, other: "Pitch") -> float:
        """How far two ways to speak are apart: root mean square between their distributions,
        quantile by quantile, since different texts have no moments that could be compared."""
        mine, theirs = (np.quantile(each.hz, _QUANTILES) for each in (self, other))
        return float(np.sqrt(np.mean((mine - theirs) ** 2)))


def pitch_of(audio: AudioChunk) -> Pitch:
    """The pitch by pyworld's dio, refined by its stonemask (Morise 2009).

    Raises:
        ValueError: too little of it is voiced.
    """
    world, rate_hz = _world(), audio.sample_rate_hz
    samples = audio.samples.astype(np.float64)
    coarse, times = world.dio(samples, rate_hz, f0_floor=LOWEST_HZ, f0_ceil=HIGHEST_HZ)
    hz = np.asarray(world.stonemask(samples, coarse, times, rate_hz), np.float64)
    voiced = hz[hz > 0]
    if len(voiced) * 0.005 < LEAST_VOICED_S:
        raise ValueError(f"less than {LEAST_VOICED_S} s of it has a pitch")
    return Pitch(voiced)


def deviation_hz(means_hz: Sequence[float]) -> float:
    """How far a voice wanders from turn to turn: root mean square about the mean of all turns."""
    return float(np.std(means_hz))


def embedding(audio: AudioChunk) -> Signal:
    """(256,) of length one: who speaks. Pauses do not count, nor does loudness.

    Raises:
        ValueError: there is too little speech.
    """
    spoken = without_pauses(resampled(audio, _EMBEDDED_HZ))
    if len(spoken) < LEAST_SPEECH_S * _EMBEDDED_HZ:
        raise ValueError(f"less than {LEAST_SPEECH_S} s of speech")
    return np.asarray(_encoder().embed_utterance(_levelled(spoken)), np.float64)


def similarity(one: Signal, other: Signal) -> float:
    """Cosine of two embeddings: espeak's same voice .89 to .92, another .44 to .60.

    Source: EMBEDDED.md.
    """
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def without_pauses(audio: AudioChunk) -> Samples:
    """What is left of sound when its quiet 30 ms frames are cut out."""
    n = round(_FRAME_S * audio.sample_rate_hz)
    frames = audio.samples[: len(audio.samples) // n * n].reshape(-1, n)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    loud = power > power.max(initial=0.0) * 10 ** (-_QUIETER_DB / 10)
    return np.asarray(frames[loud].reshape(-1), np.float32)


def _levelled(samples: Samples) -> Samples:
    level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
    return np.asarray(samples * (10 ** (_LOUDNESS_DBFS / 20) / level), np.float32)


@cache
def _world() -> Any:
    # Its only use of setuptools' old module, which setuptools no longer has, is to ask its version.
    with _standing_in("pkg_resources", get_distribution=distribution):
        import pyworld
    return pyworld


@cache
def _encoder() -> Any:
    # webrtcvad has no wheel, and only resemblyzer's own preprocessing calls it; here pauses are
    # found by loudness. What it imports of SciPy is to move one day, and says so.
    with _standing_in("webrtcvad"), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from resemblyzer import VoiceEncoder
    return VoiceEncoder("cpu", verbose=False)


@contextmanager
def _standing_in(name: str, **attributes: Any) -> Iterator[None]:
    """Let a package be imported without another that it asks for and does not need."""
    is_missing = find_spec(name) is None
    if is_missing:
        sys.modules[name] = stand_in = ModuleType(name)
        vars(stand_in).update(attributes)
    try:
        yield
    finally:
        if is_missing:
            del sys.modules[name]


def why_no_pitch() -> str:
    """Why pitch cannot be measured here; empty where it can."""
    return _why_missing("pyworld")


def why_no_embedding() -> str:
    """Why speakers cannot be compared here; empty where they can."""
    return _why_missing("torch", "resemblyzer")


def _why_missing(*names: str) -> str:
    missing = [name for name in names if find_spec(name) is None]
    return f"{' and '.join(missing)} not installed (extra `quality`)" if missing else ""
