"""XTTS as an engine: text in words, in parts, as latents, as sound, as blocks."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError, engine_errors
from deployments.tts.blocks import BlockCutter, Cut, Piece
from deployments.tts.xtts import voices
from deployments.tts.xtts.latents import Latents, Sampling
from deployments.tts.xtts.loading import (
    fingerprint,
    licence_refusal,
    loaded,
    planned,
    refusing,
)
from deployments.tts.xtts.parts import is_speakable, parts
from deployments.tts.xtts.settings import MODEL, XttsSettings
from deployments.tts.xtts.vocoder import Vocoding
from deployments.tts.xtts.voices import Timbre
from deployments.types import (
    AudioChunk,
    CustomVoice,
    ReplySentence,
    Samples,
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
        self._latents = Latents(self._model.gpt, _sampling(self._model.config, settings))
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
            for part in self._parts(sentence.text, language):
                for sound in self._sounds(part, language, timbre):
                    yield from cutter.push(Piece(sound))
            yield from cutter.finish()

    def _parts(self, text: str, language: str) -> list[str]:
        from deployments.tts.xtts.normalise import spoken

        words = spoken(text, language)
        return [
            part for part in parts(words, lambda p: self._fits(p, language)) if is_speakable(part)
        ]

    def _fits(self, text: str, language: str) -> bool:
        """Into what the model was trained on, and into its memory."""
        if len(text) > self._model.tokenizer.char_limits[language]:
            return False
        most = int(self._model.args.gpt_max_text_tokens)
        return len(self._tokens(text, language)) < most

    def _tokens(self, text: str, language: str) -> list[int]:
        tokens: list[int] = self._model.tokenizer.encode(text.lower(), lang=language)
        return tokens

    def _sounds(self, part: str, language: str, timbre: Timbre) -> Iterator[Samples]:
        """A part's speech in pieces, each when its latents are there and those after it."""
        vocoding = Vocoding(self._model.hifigan_decoder, timbre.speaker, self._settings.speed)
        seed = self._seed(part, language, timbre)
        size, waiting = self._settings.first_piece, []
        for latent in self._latents.of(self._tokens(part, language), timbre.prompt, seed):
            waiting.append(latent)
            if len(waiting) == size:
                yield vocoding.push(waiting, is_end=False)
                size, waiting = min(2 * size, self._settings.largest_piece), []
        yield vocoding.push(waiting, is_end=True)

    def _seed(self, part: str, language: str, timbre: Timbre) -> int:
        """By what is said, so that a repeated call says it in the same way."""
        said = hashlib.sha256(f"{self._settings.seed} {language} {part} ".encode())
        said.update(timbre.prompt.tobytes())
        return int.from_bytes(said.digest()[:8]) >> 1

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


def _sampling(config: Any, settings: XttsSettings) -> Sampling:
    return Sampling(
        temperature=settings.temperature or float(config.temperature),
        top_k=int(config.top_k),
        top_p=float(config.top_p),
        repetition_penalty=float(config.repetition_penalty),
    )


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
            raise EngineLoadError(text, stage="tts") from error
        raise
