"""Text in words, in parts, as latents, as sound."""

import hashlib
from collections.abc import Iterator
from typing import Any

from deployments.tts.xtts.latents import Latents, Sampling
from deployments.tts.xtts.parts import is_speakable, parts
from deployments.tts.xtts.settings import XttsSettings
from deployments.tts.xtts.vocoder import Vocoding
from deployments.tts.xtts.voices import Timbre
from deployments.types import Samples


class Speech:
    """A loaded model, and how it is made to speak; keeps nothing of what was said."""

    def __init__(self, model: Any, settings: XttsSettings) -> None:
        self._model, self._settings = model, settings
        self._latents = Latents(model.gpt, _sampling(model.config, settings))

    def parts(self, text: str, language: str) -> list[str]:
        """The text in words, in parts that the model takes at once; none if nothing can be said."""
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
        return len(self.tokens(text, language)) < most

    def tokens(self, text: str, language: str) -> list[int]:
        """As the model's tokenizer writes it, Chinese in pinyin."""
        tokens: list[int] = self._model.tokenizer.encode(text.lower(), lang=language)
        return tokens

    def sounds(self, part: str, language: str, timbre: Timbre) -> Iterator[Samples]:
        """A part's speech in pieces, each when its latents are there and those after it."""
        vocoding = Vocoding(self._model.hifigan_decoder, timbre.speaker, self._settings.speed)
        seed = self._seed(part, language, timbre)
        size, waiting = self._settings.first_piece, []
        for latent in self._latents.of(self.tokens(part, language), timbre.prompt, seed):
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


def _sampling(config: Any, settings: XttsSettings) -> Sampling:
    return Sampling(
        temperature=settings.temperature or float(config.temperature),
        top_k=int(config.top_k),
        top_p=float(config.top_p),
        repetition_penalty=float(config.repetition_penalty),
    )
