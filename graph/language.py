"""Which language somebody writes, and whether a stage can do it."""

import copy
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from deployments.errors import UnusableInputError

_TAG = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{1,8})*", re.IGNORECASE)
_HAN = re.compile(r"[\u3400-\u9fff]")
_WORD = re.compile(r"[^\W\d_\u3400-\u9fff]+")

# Below this the detector only leans ("hello" 0.51, "chiste" 0.54 between English and Spanish);
# phrases of three words get 0.88 and more (py3langid 0.4.0, 2026-11-20).
MIN_PROBABILITY = 0.6

# What people say alone, or nearly, and the detector gets wrong: it takes "hola" for English (0.84).
_TELLING = {"hola": "es", "vale": "es", "repite": "es", "chiste": "es", "hello": "en", "hi": "en"}
_MAX_TELLING_WORDS = 3

_HOW_TO_ADD = {
    "asr": "Write instead of speaking, or install an engine for it, such as faster-whisper",
    "llm": "Use one of these, or choose a profile with another language model",
    "tts": "Use one of these, or choose a profile with another voice",
}


def normalise(tag: str) -> str:
    """The primary tag, in lower case: ``zh-CN`` -> ``zh``.

    Raises:
        UnusableInputError: ``unsupported_language``, not a BCP 47 tag.
    """
    match = _TAG.fullmatch(tag.strip())
    if match is None:
        raise UnusableInputError(
            "The language must be a tag such as en, zh or es.", code="unsupported_language"
        )
    return match[1].lower()


def require(language: str, languages: Sequence[str], stage: str) -> None:
    """Check that a stage can do a language.

    Args:
        language: primary tag.
        languages: what the stage can do.
        stage: ``asr``, ``llm``, ``tts`` or ``avatar``.

    Raises:
        UnusableInputError: ``unsupported_language``, with what to do about it.
    """
    if language in languages:
        return
    advice = _HOW_TO_ADD.get(stage, "Use one of these")
    raise UnusableInputError(
        f"This server's {stage} engine knows {', '.join(languages)}, not {language}. {advice}.",
        code="unsupported_language",
        stage=stage,
    )


def require_of_voice(language: str, languages: Sequence[str], voice_id: str) -> None:
    """Check that a voice speaks a language.

    Raises:
        UnusableInputError: ``unsupported_language``.
    """
    if language not in languages:
        raise UnusableInputError(
            f"the voice {voice_id!r} speaks {', '.join(languages)}, not {language}; "
            "GET /api/v1/voices lists the others",
            code="unsupported_language",
            stage="tts",
        )


def detect(text: str, languages: Sequence[str]) -> str:
    """The one of ``languages`` that ``text`` is in; the first where nothing speaks for another
    (Chinese aside, if there are only Latin letters).

    The first call loads the detector (1.2 s, 80 MB) unless ``load_detector`` did; then about
    0.1 ms. Safe to call from several threads.

    Args:
        text: what somebody wrote.
        languages: primary tags, at least one.
    """
    words = _WORD.findall(text.lower())
    n_han, n_words = len(_HAN.findall(text)), len(words)
    if "zh" in languages and n_han and n_han >= n_words:
        return "zh"
    if "es" in languages and ("¿" in text or "¡" in text):
        return "es"
    if not n_words:
        return languages[0]
    told = [_TELLING[word] for word in words[:_MAX_TELLING_WORDS] if word in _TELLING]
    if told and n_words <= _MAX_TELLING_WORDS and told[0] in languages:
        return told[0]
    candidates = tuple(language for language in languages if language != "zh")
    return _most_likely(text, candidates) if candidates else languages[0]


def _most_likely(text: str, candidates: tuple[str, ...]) -> str:
    if len(candidates) == 1:
        return candidates[0]
    identifier = _identifier(candidates)
    if len(identifier.nb_classes) < 2:  # languages that the detector never learnt
        return candidates[0]
    best, probability = identifier.classify(text)
    return str(best) if probability >= MIN_PROBABILITY else candidates[0]


@lru_cache(maxsize=1)
def load_detector() -> Any:
    """The whole detector; call it while starting, so that no turn pays for it."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=8)
def _identifier(languages: tuple[str, ...]) -> Any:
    # `set_languages` changes the object, so it is done once, on a copy that nobody has seen yet;
    # `classify` only reads, which makes it safe to share. The copies share the large tables.
    identifier = copy.copy(load_detector())
    known = set(identifier.nb_classes)
    identifier.set_languages([language for language in languages if language in known])
    return identifier
