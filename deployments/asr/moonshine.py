"""Moonshine tiny, English: short utterances on a CPU, about 30 times faster than life.

Code, weights: the ``moonshine-voice`` package (MIT, English model too); 0.1.0 is the last release
whose wheel holds the weights. Source of the figures here: benchmarks on two shared x86-64 cores,
2026-11, ten sentences of espeak's American voice.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from pydantic import Field

from deployments.asr.engine import final
from deployments.asr.segments import split_at_pauses
from deployments.config import Settings as BaseSettings
from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from deployments.resample import resampled
from deployments.types import AsrCapabilities, AudioChunk, Samples, Transcript

_SAMPLE_RATE_HZ = 16_000
_WARM_UP_RATE_HZ = 48_000  # not its own, so that the resampler is warm as well
_SINGLE_THREAD = "MOONSHINE_ORT_SINGLE_THREAD"  # read by the library while it loads a model
_INAUDIBLE = 1e-3  # -60 dB; of digital silence the model makes "You"
_MUSIC = str.maketrans("", "", "♪♫")  # what it writes for hum and noise


class MoonshineAsr:
    """The Moonshine engine; one call at a time (its library mixes up concurrent ones).

    No word times: their model is not in the wheel. Sound without speech can come back as "You"
    or "Thank you.", so check with a VAD first; hum and noise come back empty.
    """

    class Settings(BaseSettings):
        # Silence at both ends of what the model hears. Without it the word error rate is .138,
        # with 0.1 s .096, with 0.25 s .064, with 0.5 s .043; it costs 3 ms.
        padding_s: float = Field(default=0.5, ge=0, le=2)
        # Above about 40 s the model loses its place (103 s: error rate 1.29, in 44 s instead of 4);
        # error rates on 34 s: 8 s .043, 12 s .085 to .117, 30 s .021 to .043 in twice the time.
        max_segment_s: float = Field(default=8.0, ge=4, le=30)
        # Two threads are no faster than one on two cores (the second one spins), and cost twice.
        is_single_threaded: bool = True

    capabilities = AsrCapabilities(engine="moonshine", languages=("en",), detects_language=False)

    def __init__(self, settings: "MoonshineAsr.Settings") -> None:
        self._settings = settings
        self._transcriber = _load(settings.is_single_threaded)
        rng = np.random.default_rng(0)
        noise = rng.normal(0, 0.05, _WARM_UP_RATE_HZ).astype(np.float32)
        final(self.transcribe(AudioChunk(noise, _WARM_UP_RATE_HZ), "en"))

    def transcribe(self, audio: AudioChunk, language: str | None) -> Iterator[Transcript]:
        """As ``AsrEngine.transcribe``; ``words`` is empty."""
        if language not in (None, "en"):
            raise EngineInputError(f"moonshine knows English only, not {language!r}", stage="asr")
        sound = resampled(audio, _SAMPLE_RATE_HZ).samples
        pieces = split_at_pauses(sound, _SAMPLE_RATE_HZ, self._settings.max_segment_s)
        heard = ""
        for piece in pieces:
            heard = f"{heard} {self._hear(piece)}".strip()
            yield Transcript(heard, is_final=False, words=(), language="en")
        yield Transcript(heard, is_final=True, words=(), language="en")

    def _hear(self, piece: Samples) -> str:
        if not len(piece) or np.max(np.abs(piece)) < _INAUDIBLE:
            return ""
        padding = np.zeros(round(self._settings.padding_s * _SAMPLE_RATE_HZ), np.float32)
        try:
            text = self._call(np.concatenate([padding, piece, padding]))
        except Exception as error:
            message = f"moonshine: {type(error).__name__}: {error}"
            raise EngineRuntimeError(message, stage="asr") from error
        text = " ".join(text.translate(_MUSIC).split())
        return text if any(character.isalnum() for character in text) else ""

    def _call(self, samples: Samples) -> str:
        """The library's C function, since its Python method makes a list of all samples (8 ms)."""
        from moonshine_voice.errors import check_error
        from moonshine_voice.moonshine_api import TranscriptC

        result = ctypes.POINTER(TranscriptC)()
        check_error(
            self._transcriber._lib.moonshine_transcribe_without_streaming(
                self._transcriber._handle,
                samples.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
                len(samples),
                _SAMPLE_RATE_HZ,
                0,
                ctypes.byref(result),
            )
        )
        lines = self._transcriber._parse_transcript(result).lines
        return " ".join(line.text for line in lines)


def _load(is_single_threaded: bool) -> Any:
    try:
        from moonshine_voice import get_model_path
        from moonshine_voice.moonshine_api import ModelArch
        from moonshine_voice.transcriber import Transcriber
    except ImportError as error:
        raise EngineLoadError(
            "moonshine is missing; install its extra: pip install 'realtime-avatar[moonshine]'",
            stage="asr",
        ) from error
    options = {
        "vad_threshold": "0.0",  # its own VAD clips onsets
        "return_audio_data": "false",
        "identify_speakers": "false",
    }
    with _environment(_SINGLE_THREAD, "1" if is_single_threaded else "0"):
        return Transcriber(get_model_path("tiny-en"), ModelArch.TINY, options=options)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
