"""faster-whisper as an engine: one model, several utterances in each step."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from deployments.asr.faster_whisper.decoding import (
    LONGEST_S,
    SAMPLE_RATE_HZ,
    Decoder,
    Piece,
    Said,
)
from deployments.asr.faster_whisper.judgement import is_worth_hearing
from deployments.asr.faster_whisper.loading import loaded, needs, planned, refusing
from deployments.asr.faster_whisper.settings import FasterWhisperSettings, VadSettings
from deployments.asr.faster_whisper.windows import Span, Window, windows
from deployments.errors import EngineInputError, engine_errors
from deployments.resample import resampled
from deployments.types import AsrCapabilities, AudioChunk, Samples, Transcript, Word
from deployments.weights import ModelNeed

_WITHOUT_BLANKS = frozenset({"zh", "ja", "th", "lo", "my", "yue"})


@dataclass(slots=True, eq=False)
class Hearing:
    """An utterance in progress. ``windows`` is ``None`` until its speech has been looked for."""

    audio: AudioChunk
    language: str | None
    samples: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    windows: deque[Window] | None = None
    text: str = ""
    words: list[Word] = field(default_factory=list)


class FasterWhisperAsr:
    """The faster-whisper engine; several utterances at once, one step at a time.

    A step is one window of each: what is said in up to 30 s. Text comes back with punctuation,
    Chinese in simplified characters and without blanks.
    """

    Settings = FasterWhisperSettings

    def __init__(self, settings: FasterWhisperSettings) -> None:
        plan = planned(settings)
        self._settings = settings
        self._decoder = Decoder(loaded(plan), settings)
        several = len(settings.languages) > 1
        self.capabilities = AsrCapabilities(
            "faster_whisper", settings.languages, several, plan.batch
        )
        with refusing(plan):
            self._speech(np.zeros(SAMPLE_RATE_HZ, np.float32))
            self._decoder.warm_up(plan.batch if plan.device == "cuda" else 1)

    @staticmethod
    def models(settings: FasterWhisperSettings) -> tuple[ModelNeed, ...]:
        """The weights that these settings need."""
        return needs(settings)

    def transcribe(self, audio: AudioChunk, language: str | None) -> Iterator[Transcript]:
        """As ``AsrEngine.transcribe``; a step is a window of up to 30 s."""
        hearing = self.open(audio, language)
        is_final = False
        while not is_final:
            (transcript,) = self.hear([hearing])
            is_final = transcript.is_final
            yield transcript

    def open(self, audio: AudioChunk, language: str | None) -> Hearing:
        """As ``BatchingAsrEngine.open``."""
        if language is not None and language not in self._settings.languages:
            known = ", ".join(self._settings.languages)
            text = f"faster_whisper was set to hear {known}, not {language!r}"
            raise EngineInputError(text, stage="asr")
        return Hearing(audio, language)

    def hear(self, hearings: Sequence[Hearing]) -> list[Transcript]:
        """As ``BatchingAsrEngine.hear``."""
        with engine_errors("asr"):
            speaking = [hearing for hearing in hearings if self._left(hearing)]
            pieces = [_piece(hearing, self._left(hearing)[0]) for hearing in speaking]
            said = self._decoder.hear(pieces) if pieces else []
        for hearing, text in zip(speaking, said, strict=True):
            _add(hearing, self._left(hearing).popleft(), text)
        return [self._transcript(hearing) for hearing in hearings]

    def _left(self, hearing: Hearing) -> deque[Window]:
        """What is still to be heard; looks for speech when asked for the first time."""
        if hearing.windows is None:
            hearing.samples = resampled(hearing.audio, SAMPLE_RATE_HZ).samples
            hearing.windows = deque(self._speech(hearing.samples))
        return hearing.windows

    def _speech(self, samples: Samples) -> list[Window]:
        """Where somebody speaks; nowhere if it is too little to be worth hearing."""
        spans = _spans(samples, self._settings.vad)
        if not is_worth_hearing(spans, SAMPLE_RATE_HZ, self._settings.judgement):
            return []
        n_padding = round(self._settings.vad.padding_s * SAMPLE_RATE_HZ)
        return windows(spans, len(samples), n_padding, round(LONGEST_S * SAMPLE_RATE_HZ))

    def _transcript(self, hearing: Hearing) -> Transcript:
        return Transcript(
            text=hearing.text,
            is_final=not hearing.windows,
            words=tuple(hearing.words),
            language=hearing.language or self._settings.languages[0],
        )


def _piece(hearing: Hearing, window: Window) -> Piece:
    sound = hearing.samples[window.start : window.end]
    return Piece(sound, window.speech_share, hearing.language)


def _add(hearing: Hearing, window: Window, said: Said) -> None:
    """What was said in one of the utterance's windows."""
    if not said.text:
        return
    hearing.language = said.language  # of the first words; the rest is heard in it
    blank = "" if said.language in _WITHOUT_BLANKS or not hearing.text else " "
    hearing.text = f"{hearing.text}{blank}{said.text}"
    start_s = hearing.audio.start_s + window.start / SAMPLE_RATE_HZ
    end_s = hearing.audio.start_s + hearing.audio.duration_s
    hearing.words += [
        Word(word.text, min(end_s, start_s + word.start_s), min(end_s, start_s + word.end_s))
        for word in said.words
    ]


def _spans(samples: Samples, settings: VadSettings) -> list[Span]:
    """Where the VAD hears somebody speak, without padding; none longer than the model hears."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if not len(samples):
        return []
    options = VadOptions(
        threshold=settings.threshold,
        max_speech_duration_s=LONGEST_S - 2 * settings.padding_s,
        min_silence_duration_ms=round(settings.min_silence_s * 1000),
        speech_pad_ms=0,
    )
    found = get_speech_timestamps(samples, options)
    return [(int(span["start"]), int(span["end"])) for span in found]
