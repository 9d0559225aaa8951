"""A declared fake: hears what it is told to, as slowly and as badly as a test wants it."""

import threading
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from deployments.config import Settings as BaseSettings
from deployments.cost_model import StageCost
from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.logical_gpu import loaded
from deployments.types import AsrCapabilities, AudioChunk, Transcript, Word

_INAUDIBLE = 1e-3


class _Hearing(NamedTuple):
    audio: AudioChunk
    language: str


class FakeAsr:
    """Hears a fixed text, or says how long the sound was; nothing in silence.

    Words share the sound's duration evenly. Told of a ``batch``, it hears so many at once, for the
    cost of one call with all their sound.
    """

    class Settings(BaseSettings):
        """Calls count from 1 over the engine's life."""

        rule: Literal["fixed", "duration"] = "fixed"
        text: str = "What can you do?"
        languages: tuple[str, ...] = ("en", "zh", "es")
        detects_language: bool = False
        batch: int = Field(default=1, ge=1)
        cost: StageCost = StageCost()
        fail_on_call: int | None = Field(default=None, ge=1)
        hang_on_call: int | None = Field(default=None, ge=1)
        hang_s: float = Field(default=60.0, gt=0)
        fail_load: bool = False

    def __init__(self, settings: "FakeAsr.Settings") -> None:
        if settings.fail_load:
            raise EngineLoadError("this fake was told not to load", stage="asr")
        self.capabilities = AsrCapabilities(
            "fake", settings.languages, settings.detects_language, settings.batch
        )
        self._settings = settings
        self._spend = loaded("asr", settings.cost)
        self._lock = threading.Lock()
        self._n_calls = 0

    def transcribe(self, audio: AudioChunk, language: str | None) -> Iterator[Transcript]:
        """As ``AsrEngine.transcribe``; without a language it is the first of its own."""
        yield from self.hear([self.open(audio, language)])

    def open(self, audio: AudioChunk, language: str | None) -> _Hearing:
        """As ``BatchingAsrEngine.open``."""
        if language is not None and language not in self.capabilities.languages:
            raise EngineInputError(f"this fake does not know {language!r}", stage="asr")
        return _Hearing(audio, language or self.capabilities.languages[0])

    def hear(self, hearings: Sequence[_Hearing]) -> list[Transcript]:
        """As ``BatchingAsrEngine.hear``; one step is all."""
        self._misbehave(sum(hearing.audio.duration_s for hearing in hearings))
        return [self._heard(hearing) for hearing in hearings]

    def _heard(self, hearing: _Hearing) -> Transcript:
        text = self._text(hearing.audio)
        return Transcript(text, True, _words(text, hearing.audio), hearing.language)

    def _text(self, audio: AudioChunk) -> str:
        if not len(audio.samples) or np.max(np.abs(audio.samples)) < _INAUDIBLE:
            return ""
        if self._settings.rule == "duration":
            return f"heard {audio.duration_s:.2f} s"
        return self._settings.text

    def _misbehave(self, duration_s: float) -> None:
        settings = self._settings
        with self._lock:
            self._n_calls += 1
            call = self._n_calls
        self._spend(settings.cost.work_s(duration_s))
        if call == settings.hang_on_call:
            threading.Event().wait(settings.hang_s)
            raise EngineRuntimeError("this fake hung", stage="asr", retryable=True)
        if call == settings.fail_on_call:
            raise EngineRuntimeError("this fake was told to fail", stage="asr", retryable=True)


def _words(text: str, audio: AudioChunk) -> tuple[Word, ...]:
    words = text.split()
    edges = np.linspace(audio.start_s, audio.start_s + audio.duration_s, len(words) + 1)
    return tuple(Word(word, float(edges[i]), float(edges[i + 1])) for i, word in enumerate(words))
