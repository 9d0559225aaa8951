"""Several windows become texts in one go: encoded, their languages told, decoded, words timed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.asr.faster_whisper.judgement import Evidence, better, is_speech, needs_another_try
from deployments.asr.faster_whisper.settings import FasterWhisperSettings
from deployments.errors import EngineLoadError
from deployments.types import Samples, Word

SAMPLE_RATE_HZ = 16_000
LONGEST_S = 30.0
"""What the model hears at once; shorter sound is filled up with silence."""

_HOP = 160  # samples of a step of the spectrogram
_N_STEPS = 3_000
# Whisper writes at most half of its context of 448 tokens. Fast talkers say 7 syllables a second,
# for which Chinese takes up to 1.7 tokens each; so a loop on a short sound ends early.
_MAX_TOKENS = 224
_CONTEXT = 448
_TOKENS_PER_S = 12
_TOKENS_BESIDE = 40
_PREPENDED, _APPENDED = "\"'“¿¡([{-", "\"'.。,，!！?？:：”)]}、"  # punctuation that joins a word

Encoded = NDArray[Any]
"""(n, 1500, width) float16 or float32: what the encoder made of n windows."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A window's sound at 16 kHz, at most 30 s of it, and how much of it is speech."""

    samples: Samples
    speech_share: float
    language: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said in a window, and when, from its start; no text where nobody speaks."""

    text: str
    words: tuple[Word, ...]
    language: str


@dataclass(frozen=True, slots=True)
class _Try:
    tokens: list[int]
    evidence: Evidence


class Decoder:
    """A model and how to ask it; for one thread.

    The windows of a call may differ in language and length. Each comes out as it would alone: what
    cannot share a call of CTranslate2 (prompts and limits of another length) gets its own.
    """

    def __init__(self, model: Any, settings: FasterWhisperSettings) -> None:
        from faster_whisper.transcribe import get_suppressed_tokens

        self._model, self._whisper = model, model.model
        self._settings = settings
        self._tokenizers = _tokenizers(model, settings.languages)
        first = next(iter(self._tokenizers.values()))
        self._suppressed = list(get_suppressed_tokens(first, [-1]))
        self._prompts = {
            language: _prompt(tokenizer, settings.prompts.get(language, ""))
            for language, tokenizer in self._tokenizers.items()
        }

    def hear(self, pieces: Sequence[Piece]) -> list[Said]:
        """What was said in each."""
        encoded = self._encoded([piece.samples for piece in pieces])
        languages = self._languages(encoded, [piece.language for piece in pieces])
        kept = self._written(encoded, pieces, languages)
        heard = [i for i, one in enumerate(kept) if self._is_speech(one, pieces[i], languages[i])]
        words = self._words(encoded, pieces, languages, {i: kept[i].tokens for i in heard})
        return [
            Said(one.evidence.text.strip() if i in words else "", words.get(i, ()), languages[i])
            for i, one in enumerate(kept)
        ]

    def warm_up(self, n: int) -> None:
        """Have the library take all that it needs for ``n`` windows at once."""
        noise = np.random.default_rng(0).normal(0, 0.05, SAMPLE_RATE_HZ).astype(np.float32)
        pieces = [Piece(noise, 1.0, None)] * n
        encoded = self._encoded([noise] * n)
        self._languages(encoded, [None] * n)
        language = self._settings.languages[-1]
        self._tries(_picked(encoded, range(n)), [self._prompts[language]] * n, 8, 0.0)
        tokens = self._tokenizers[language].encode(" a")
        self._words(encoded, pieces, [language] * n, dict.fromkeys(range(n), tokens))

    def _encoded(self, sounds: Sequence[Samples]) -> Encoded:
        from faster_whisper.transcribe import get_ctranslate2_storage

        features = get_ctranslate2_storage(np.stack([self._features(sound) for sound in sounds]))
        # Back from the GPU, because only there can some be picked: 4 MB each, less than a
        # millisecond.
        return np.asarray(self._whisper.encode(features, to_cpu=self._whisper.device == "cuda"))

    def _features(self, sound: Samples) -> NDArray[np.float32]:
        """(n_mels, 3000) float32, the log-mel spectrogram."""
        from faster_whisper.audio import pad_or_trim

        features = self._model.feature_extractor(sound)[..., : ceil(len(sound) / _HOP)]
        return np.asarray(pad_or_trim(features, _N_STEPS), np.float32)

    def _languages(self, encoded: Encoded, asked: Sequence[str | None]) -> list[str]:
        """Those asked for, and of the others the likeliest one of ours."""
        ours = self._settings.languages
        unknown = [i for i, language in enumerate(asked) if language is None]
        if not unknown or len(ours) == 1:
            return [language or ours[0] for language in asked]
        likely = self._whisper.detect_language(_picked(encoded, unknown))
        found = dict(zip(unknown, likely, strict=True))
        return [language or likeliest(found[i], ours) for i, language in enumerate(asked)]

    def _written(
        self, encoded: Encoded, pieces: Sequence[Piece], languages: Sequence[str]
    ) -> list[_Try]:
        """The best try of each, which climbs the ladder of temperatures until one is good."""
        judgement = self._settings.judgement
        tries: list[list[_Try]] = [[] for _ in pieces]
        left = list(range(len(pieces)))
        for temperature in self._settings.temperatures:
            for group, n_tokens in self._groups(left, pieces, languages):
                prompts = [self._prompts[languages[i]] for i in group]
                made = self._tries(_picked(encoded, group), prompts, n_tokens, temperature)
                for i, one in zip(group, made, strict=True):
                    tries[i].append(one)
            left = [i for i in left if needs_another_try(tries[i][-1].evidence, judgement)]
        return [self._kept(of_piece) for of_piece in tries]

    def _kept(self, tries: Sequence[_Try]) -> _Try:
        """The last one if it is good, or else the best."""
        judgement = self._settings.judgement
        if not needs_another_try(tries[-1].evidence, judgement):
            return tries[-1]
        return tries[better([one.evidence for one in tries], judgement)]

    def _groups(
        self, indices: Iterable[int], pieces: Sequence[Piece], languages: Sequence[str]
    ) -> list[tuple[list[int], int]]:
        """Which windows can be decoded together, and how many tokens they may take."""
        groups: dict[tuple[int, int], list[int]] = {}
        for i in indices:
            key = (len(self._prompts[languages[i]]), _n_tokens(pieces[i].samples))
            groups.setdefault(key, []).append(i)
        return [(group, n_tokens) for (_, n_tokens), group in groups.items()]

    def _tries(
        self,
        features: Any,
        prompts: Sequence[list[int]],
        n_tokens: int,
        temperature: float,
    ) -> list[_Try]:
        sampling: dict[str, Any] = {"beam_size": self._settings.beam_size}
        if temperature > 0:
            sampling = {
                "beam_size": 1, "num_hypotheses": self._settings.beam_size,
                "sampling_topk": 0, "sampling_temperature": temperature,
            }  # fmt: skip
        results = self._whisper.generate(
            features,
            list(prompts),
            max_length=_max_length(len(prompts[0]), n_tokens),
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            **sampling,
        )
        return [self._try(result) for result in results]

    def _try(self, result: Any) -> _Try:
        tokens = list(result.sequences_ids[0])
        # The score is the mean over the tokens; the end's own is in the sum as well.
        log_prob = float(result.scores[0]) * len(tokens) / (len(tokens) + 1)
        text = str(next(iter(self._tokenizers.values())).decode(tokens))
        return _Try(tokens, Evidence(text, log_prob, float(result.no_speech_prob)))

    def _is_speech(self, one: _Try, piece: Piece, language: str) -> bool:
        settings = self._settings
        prompt = settings.prompts.get(language, "")
        return is_speech(one.evidence, piece.speech_share, prompt, settings.judgement)

    def _words(
        self,
        encoded: Encoded,
        pieces: Sequence[Piece],
        languages: Sequence[str],
        tokens: dict[int, list[int]],
    ) -> dict[int, tuple[Word, ...]]:
        """When the words of some windows were said, by the decoder's attention."""
        words: dict[int, tuple[Word, ...]] = {}
        for language in sorted({languages[i] for i in tokens}):
            group = [i for i in tokens if languages[i] == language]
            aligned = self._model.find_alignment(
                self._tokenizers[language],
                [[t for t in tokens[i] if t < self._tokenizers[language].eot] for i in group],
                _picked(encoded, group),
                [ceil(len(pieces[i].samples) / _HOP) for i in group],
            )
            for i, timings in zip(group, aligned, strict=True):
                words[i] = _timed_words(timings, len(pieces[i].samples) / SAMPLE_RATE_HZ)
        return words


def _tokenizers(model: Any, languages: Sequence[str]) -> dict[str, Any]:
    from faster_whisper.tokenizer import Tokenizer

    is_multilingual = bool(model.model.is_multilingual)
    known = set(model.supported_languages)
    if unknown := [language for language in languages if language not in known]:
        hint = "" if is_multilingual else ", it is English only: set languages: [en]"
        text = f"this Whisper does not know the languages {', '.join(unknown)}{hint}"
        raise EngineLoadError(text, stage="asr")
    return {
        language: Tokenizer(model.hf_tokenizer, is_multilingual, "transcribe", language)
        for language in languages
    }


def _prompt(tokenizer: Any, before: str) -> list[int]:
    """What the decoder begins with: what was said before, the language, the task, no times."""
    said = [tokenizer.sot_prev, *tokenizer.encode(f" {before.strip()}")] if before.strip() else []
    return [*said, *tokenizer.sot_sequence, tokenizer.no_timestamps]


def _n_tokens(sound: Samples) -> int:
    """The most that a window's text may take, by steps of 5 s so that many can share a call."""
    steps = ceil(len(sound) / SAMPLE_RATE_HZ / 5)
    return min(_MAX_TOKENS, _TOKENS_BESIDE + 5 * steps * _TOKENS_PER_S)


def _max_length(n_prompt: int, n_tokens: int) -> int:
    """What CTranslate2 makes ``n_tokens`` of: it writes the lesser of half of this, and of what is
    left of it after the prompt but for its last token."""
    return min(_CONTEXT, max(2 * n_tokens, n_tokens + n_prompt - 1))


def _picked(encoded: Encoded, indices: Sequence[int]) -> Any:
    """Some of the windows, as CTranslate2 takes them."""
    from ctranslate2 import StorageView

    return StorageView.from_array(np.ascontiguousarray(encoded[list(indices)]))


def likeliest(found: Sequence[tuple[str, float]], ours: Sequence[str]) -> str:
    """Of pairs such as ``("<|en|>", 0.9)``; the first of ours where none is among them."""
    probabilities = {mark.strip("<|>"): probability for mark, probability in found}
    return max(ours, key=lambda language: probabilities.get(language, 0.0))


def _timed_words(timings: Sequence[dict[str, Any]], duration_s: float) -> tuple[Word, ...]:
    """Without what is only punctuation, which joins the word that it stands beside."""
    from faster_whisper.transcribe import merge_punctuations

    merge_punctuations(timings, _PREPENDED, _APPENDED)
    words, latest_s = [], 0.0
    for timing in timings:
        if not (text := timing["word"].strip()):
            continue
        # A word may be timed into the silence that fills the window up, and before the last one.
        start_s = min(duration_s, max(latest_s, float(timing["start"])))
        latest_s = min(duration_s, max(start_s, float(timing["end"])))
        words.append(Word(text, start_s, latest_s))
    return tuple(words)
