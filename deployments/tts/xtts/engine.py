"""XTTS as an engine: its voices, and speech in blocks."""

from collections.abc import Iterator
from contextlib import contextmanager

from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError, engine_errors
from deployments.tts.blocks import BlockCutter, Cut, Piece
from deployments.tts.xtts import voices
from deployments.tts.xtts.loading import (
    fingerprint,
    licence_refusal,
    loaded,
    planned,
    refusing,
)
from deployments.tts.xtts.settings import MODEL, XttsSettings
from deployments.tts.xtts.speech import Speech
from deployments.tts.xtts.voices import Timbre
from deployments.types import (
    AudioChunk,
    CustomVoice,
    ReplySentence,
    SpeechChunk,
    TtsCapabilities,
    Voice,
)
from deployments.weights import ModelNeed

_STATE_VERSION = 1
_NAMES = {"zh": "zh-cn"}  # of languages, where the model calls them otherwise


class XttsTts:
    """The XTTS-v2 engine; speaks several sentences by turns, one piece of one at a time.

    It tells no phonemes. A piece is up to ``largest_piece`` latents; closing stops within one.
    """

    Settings = XttsSettings

    def __init__(self, settings: XttsSettings) -> None:
        plan = planned(settings)
        self._settings = settings
        self._model = loaded(plan)
        self._speech = Speech(self._model, settings)
        self._voices = voices.builtin(self._model, plan.folder)
        rate = int(self._model.hifigan_decoder.output_sample_rate)
        self.capabilities = TtsCapabilities(
            engine="xtts",
            languages=settings.languages,
            sample_rate_hz=rate,
            voices=tuple(
                Voice(identifier, name, settings.languages)
                for identifier, (name, _) in self._voices.items()
            ),
            clones_voices=True,
            voice_format=f"xtts-{_STATE_VERSION}-{fingerprint(plan)}",
        )
        self._cut = Cut(
            rate, settings.lead_s, settings.pause_s, settings.block_s, has_phonemes=False
        )
        with refusing(plan):
            self._check_languages()
            self._warm_up()

    @staticmethod
    def models(settings: XttsSettings) -> tuple[ModelNeed, ...]:
        """The weights to fetch; none where the settings name a folder."""
        return (MODEL,) if settings.model == MODEL.name else ()

    @staticmethod
    def lacks(settings: XttsSettings) -> str:
        """That the licence of the weights is accepted."""
        return licence_refusal(settings)

    def speak(
        self, sentence: ReplySentence, language: str, voice: str | CustomVoice | None
    ) -> Iterator[SpeechChunk]:
        """As ``TtsEngine.speak``."""
        if not sentence.text.strip():
            raise EngineInputError("there is no text to speak", stage="tts")
        if language not in self.capabilities.languages:
            raise EngineInputError(f"xtts was not set to speak {language!r}", stage="tts")
        timbre = self._timbre(voice, language)
        return self._blocks(sentence, language, timbre)

    def clone(self, sample: AudioChunk) -> bytes:
        """As ``CloningTtsEngine.clone``: what the model heard in the sample's first half minute."""
        with _watching():
            timbre = voices.cloned(self._model, sample)
        return voices.to_bytes(timbre, self.capabilities.voice_format)

    def _timbre(self, voice: str | CustomVoice | None, language: str) -> Timbre:
        default = next(iter(self._voices))
        if isinstance(voice, CustomVoice):
            if language not in voice.languages:
                text = f"the voice {voice.id} does not speak {language!r}"
                raise EngineInputError(text, stage="tts")
            like = self._voices[default][1]
            return voices.from_bytes(voice, self.capabilities.voice_format, like)
        if voice is not None and voice not in self._voices:
            text = f"no voice {voice!r}; there are {', '.join(self._voices)}"
            raise EngineInputError(text, stage="tts")
        return self._voices[voice or default][1]

    def _blocks(
        self, sentence: ReplySentence, language: str, timbre: Timbre
    ) -> Iterator[SpeechChunk]:
        cutter = BlockCutter(sentence, self._cut)
        with _watching():
            for part in self._speech.parts(sentence.text, language):
                for sound in self._speech.sounds(part, language, timbre):
                    yield from cutter.push(Piece(sound))
            yield from cutter.finish()

    def _check_languages(self) -> None:
        known = set(self._model.config.languages)
        unknown = [x for x in self._settings.languages if _NAMES.get(x, x) not in known]
        if unknown:
            text = f"this XTTS does not speak {', '.join(unknown)}"
            raise EngineLoadError(text, stage="tts")

    def _warm_up(self) -> None:
        """Read the dictionaries, and have the libraries take what they need."""
        for language in self._settings.languages:
            blocks = self.speak(ReplySentence(0, "1", is_last=True), language, None)
            next(blocks)


@contextmanager
def _watching() -> Iterator[None]:
    """Tell a card that is only full from one that this process cannot use any more."""
    import torch

    try:
        with engine_errors("tts"):
            yield
    except EngineRuntimeError as error:
        if isinstance(error.__cause__, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        elif isinstance(error.__cause__, torch.AcceleratorError):
            text = f"xtts lost its GPU: {error.__cause__}"
            raise EngineLoadError(text, stage="tts", retryable=True) from error
        raise
