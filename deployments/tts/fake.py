"""A declared fake: hums a tone for each letter, as slowly and as badly as a test wants it.

Where it is told to, it copies a voice: from then on it hums at the pitch of the sample.
"""

import re
import threading
from collections.abc import Iterator
from itertools import count

import numpy as np
from pydantic import Field

from deployments.config import Settings as BaseSettings
from deployments.cost_model import StageCost
from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.logical_gpu import loaded
from deployments.tts.blocks import BlockCutter, Cut, Mark, Piece
from deployments.types import (
    AudioChunk,
    CustomVoice,
    ReplySentence,
    SpeechChunk,
    TtsCapabilities,
    Voice,
)

_TONES_HZ = {"hum": 220.0, "whistle": 440.0}
_VOWELS = {"a": "ɑː", "e": "ɛ", "i": "iː", "o": "oʊ", "u": "uː"}
_CONSONANTS = "pbmfvtdszlnkgw"
_STATE = re.compile(rb"hum at (\d+) Hz")
_PITCHES_HZ = (60.0, 1000.0)  # among which a sample's is looked for


class FakeTts:
    """A tone whose length follows the text; each letter is a phoneme, a space is a pause."""

    class Settings(BaseSettings):
        """Calls count from 1 over the engine's life.

        ``fail_after_blocks`` says when the failing or hanging call does so. Where ``voice_format``
        is given, voices can be cloned.
        """

        languages: tuple[str, ...] = ("en", "zh", "es")
        sample_rate_hz: int = Field(default=22_050, ge=8_000, le=48_000)
        letter_s: float = Field(default=0.06, gt=0, le=1)
        lead_s: float = Field(default=0.05, ge=0.05, le=0.5)
        pause_s: float = Field(default=0.2, ge=0, le=2)
        block_s: float = Field(default=0.15, ge=0.1, le=0.15)
        has_phonemes: bool = True
        voice_format: str = ""
        cost: StageCost = StageCost()
        fail_on_call: int | None = Field(default=None, ge=1)
        hang_on_call: int | None = Field(default=None, ge=1)
        fail_after_blocks: int = Field(default=0, ge=0)
        hang_s: float = Field(default=60.0, gt=0)
        fail_load: bool = False

    def __init__(self, settings: "FakeTts.Settings") -> None:
        if settings.fail_load:
            raise EngineLoadError("this fake was told not to load", stage="tts")
        self._settings = settings
        self.capabilities = TtsCapabilities(
            engine="fake",
            languages=settings.languages,
            sample_rate_hz=settings.sample_rate_hz,
            voices=tuple(Voice(tone, tone.title(), settings.languages) for tone in _TONES_HZ),
            clones_voices=bool(settings.voice_format),
            voice_format=settings.voice_format,
        )
        self._cut = Cut(
            settings.sample_rate_hz,
            settings.lead_s,
            settings.pause_s,
            settings.block_s,
            has_phonemes=settings.has_phonemes,
        )
        self._calls = count(1)
        self._spend = loaded("tts", settings.cost)

    def speak(
        self, sentence: ReplySentence, language: str, voice: str | CustomVoice | None
    ) -> Iterator[SpeechChunk]:
        """As ``TtsEngine.speak``."""
        if not sentence.text.strip():
            raise EngineInputError("there is no text to speak", stage="tts")
        if language not in self.capabilities.languages:
            raise EngineInputError(f"this fake does not speak {language!r}", stage="tts")
        return self._paced(sentence, _pitch_hz(voice, language), next(self._calls))

    def clone(self, sample: AudioChunk) -> bytes:
        """As ``CloningTtsEngine.clone``: the loudest tone between 60 and 1000 Hz."""
        if not np.any(np.abs(sample.samples) > self._cut.silence):
            raise EngineInputError("there is no voice in this sample", stage="tts")
        loudness = np.abs(np.fft.rfft(sample.samples))
        pitches_hz = np.fft.rfftfreq(len(sample.samples), 1 / sample.sample_rate_hz)
        low_hz, high_hz = _PITCHES_HZ
        loudness[(pitches_hz < low_hz) | (pitches_hz > high_hz)] = 0
        return b"hum at %d Hz" % round(float(pitches_hz[np.argmax(loudness)]))

    def _paced(self, sentence: ReplySentence, tone_hz: float, call: int) -> Iterator[SpeechChunk]:
        cost, spent_s = self._settings.cost, 0.0
        for index, block in enumerate(self._blocks(sentence, tone_hz)):
            if index == self._settings.fail_after_blocks:
                self._misbehave(call)
            due_s = cost.work_s(block.audio.start_s + block.audio.duration_s)
            self._spend(due_s - spent_s)
            spent_s = due_s
            yield block

    def _misbehave(self, call: int) -> None:
        if call == self._settings.hang_on_call:
            threading.Event().wait(self._settings.hang_s)
            raise EngineRuntimeError("this fake hung", stage="tts", retryable=True)
        if call == self._settings.fail_on_call:
            raise EngineRuntimeError("this fake was told to fail", stage="tts", retryable=True)

    def _blocks(self, sentence: ReplySentence, tone_hz: float) -> Iterator[SpeechChunk]:
        cutter = BlockCutter(sentence, self._cut)
        n_letter = self._cut.samples(self._settings.letter_s)
        for index, letter in enumerate(sentence.text.strip()):
            start = index * n_letter
            phase = (np.arange(start, start + n_letter) + 1) / self._settings.sample_rate_hz
            loud = 0.3 if letter.isalnum() else 0.0
            samples = (loud * np.sin(2 * np.pi * tone_hz * phase)).astype(np.float32)
            yield from cutter.push(Piece(samples, (Mark(_ipa(letter), start),)))
        yield from cutter.finish()


def _pitch_hz(voice: str | CustomVoice | None, language: str) -> float:
    if isinstance(voice, CustomVoice):
        return _cloned_pitch_hz(voice, language)
    if voice is not None and voice not in _TONES_HZ:
        raise EngineInputError(f"this fake has no voice {voice!r}", stage="tts")
    return _TONES_HZ[voice or next(iter(_TONES_HZ))]


def _cloned_pitch_hz(voice: CustomVoice, language: str) -> float:
    state = _STATE.fullmatch(voice.state)
    if state is None or language not in voice.languages:
        raise EngineInputError(f"this fake cannot speak {language} as {voice.id}", stage="tts")
    return float(state[1])


def _ipa(letter: str) -> str:
    if not letter.isalnum():
        return ""
    return _VOWELS.get(letter.lower(), _CONSONANTS[ord(letter) % len(_CONSONANTS)])
