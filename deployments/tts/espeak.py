"""espeak-ng 1.52: formant synthesis in English, Chinese and Spanish, far faster than life.

Library and voice data: the ``espeakng-loader`` package (espeak-ng is GPL-3).
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from pydantic import Field

from deployments.config import Settings as BaseSettings
from deployments.errors import EngineInputError
from deployments.tts.blocks import BlockCutter, Cut
from deployments.tts.espeak_library import SAMPLE_RATE_HZ, Utterance
from deployments.tts.espeak_process import EspeakProcess
from deployments.types import CustomVoice, ReplySentence, SpeechChunk, TtsCapabilities, Voice


class _Variant(NamedTuple):
    """A voice, and espeak's name for it: a language and one of its speaker variants."""

    voice: Voice
    espeak_name: str


# The first of a language is its default. Word error rates of Moonshine tiny at 165 words a minute,
# on 10 and on another 30 sentences: .043 and .085 for the language's own (male) voice, the best of
# 15 variants; .053 and .129 for Annie, among the best three of the female ones. Variants with both
# ``breath`` and ``stressAdd`` (f2, f5) are unusable: their samples differ from call to call. Own
# benchmark, 2026-11.
_VARIANTS = (
    _Variant(Voice("en-f", "Emma (American English)", ("en",)), "en-us+Annie"),
    _Variant(Voice("en-m", "Adam (American English)", ("en",)), "en-us"),
    _Variant(Voice("zh-f", "小雨 (Mandarin)", ("zh",)), "cmn+Annie"),
    _Variant(Voice("zh-m", "小明 (Mandarin)", ("zh",)), "cmn"),
    _Variant(Voice("es-f", "Lucía (Spanish)", ("es",)), "es+Annie"),
    _Variant(Voice("es-m", "Mateo (Spanish)", ("es",)), "es"),
)


class EspeakTts:
    """The espeak-ng engine; safe to step from several threads.

    Phonemes are IPA without stress, tone and language marks; a diphthong or affricate is one
    phoneme, an empty one a pause. A phoneme belongs to the block in which it starts and may end in
    the next one. Text is spoken as it stands: no SSML, no phoneme codes, no commands.
    """

    class Settings(BaseSettings):
        rate_wpm: int = Field(default=165, ge=80, le=450)
        pitch: int = Field(default=50, ge=0, le=99)  # 50 is the voice's own
        pitch_range: int = Field(default=50, ge=0, le=99)
        lead_s: float = Field(default=0.06, ge=0.05, le=0.5)
        pause_s: float = Field(default=0.35, ge=0.0, le=2.0)
        block_s: float = Field(default=0.15, ge=0.1, le=0.15)
        data_path: str | None = None  # a folder espeak-ng-data other than the package's

    capabilities = TtsCapabilities(
        engine="espeak",
        languages=("en", "zh", "es"),
        sample_rate_hz=SAMPLE_RATE_HZ,
        voices=tuple(variant.voice for variant in _VARIANTS),
        clones_voices=False,
    )

    def __init__(self, settings: "EspeakTts.Settings") -> None:
        self._settings = settings
        self._cut = Cut(SAMPLE_RATE_HZ, settings.lead_s, settings.pause_s, settings.block_s)
        self._espeak = EspeakProcess(settings.data_path)
        for index, language in enumerate(self.capabilities.languages):  # reads the dictionaries
            for _ in self.speak(ReplySentence(index, "1", is_last=True), language, None):
                pass

    def speak(
        self, sentence: ReplySentence, language: str, voice: str | CustomVoice | None
    ) -> Iterator[SpeechChunk]:
        """As ``TtsEngine.speak``. Closing the iterator stops espeak at its next piece."""
        text = speakable(sentence.text, language)
        if not text:
            raise EngineInputError("there is no text to speak", stage="tts")
        utterance = Utterance(
            text=text,
            voice=_espeak_name(language, voice),
            rate_wpm=self._settings.rate_wpm,
            pitch=self._settings.pitch,
            pitch_range=self._settings.pitch_range,
        )
        return self._blocks(sentence, utterance)

    def _blocks(self, sentence: ReplySentence, utterance: Utterance) -> Iterator[SpeechChunk]:
        cutter = BlockCutter(sentence, self._cut)
        with closing(self._espeak.say(utterance)) as pieces:
            for piece in pieces:
                yield from cutter.push(piece)
            yield from cutter.finish()


def _espeak_name(language: str, voice: str | CustomVoice | None) -> str:
    speaking = {v.voice.id: v.espeak_name for v in _VARIANTS if language in v.voice.languages}
    if not speaking:
        raise EngineInputError(f"espeak does not speak {language!r} here", stage="tts")
    if voice is None:
        return next(iter(speaking.values()))
    if isinstance(voice, CustomVoice):
        raise EngineInputError("espeak cannot speak in a cloned voice", stage="tts")
    if voice not in speaking:
        known = ", ".join(speaking)
        raise EngineInputError(
            f"no voice {voice!r} for {language!r}; there are {known}", stage="tts"
        )
    return speaking[voice]


_FULL_WIDTH = str.maketrans(",;:!?", "，；：！？")
_SPOKEN_SYMBOLS = frozenset("%+=$€°&@#")
_CHINESE_PUNCTUATION = frozenset("，。！？；：、")


def speakable(text: str, language: str) -> str:
    """The text without what espeak takes for a command or cannot encode.

    In Chinese, quotes and brackets become spaces, ASCII punctuation becomes Chinese, and a decimal
    point becomes its word: what its Chinese dictionary lacks, espeak 1.52.0 reads in English.
    """
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text).strip()
    if language != "zh":
        return plain
    plain = re.sub(r"(?<=\d)\.(?=\d)", "点", plain)
    plain = re.sub(r"\.+", "。", plain).translate(_FULL_WIDTH)
    return "".join(
        c if c.isalnum() or c in _CHINESE_PUNCTUATION or c in _SPOKEN_SYMBOLS else " "
        for c in plain
    ).strip()
