"""What was said against what was heard, and which language a text is in."""

import unicodedata
from functools import cache
from typing import Any

import jiwer

from benchmarks.words import words_of

CHARACTER_LANGUAGES = frozenset({"zh"})
"""Written without spaces: errors are counted in characters (CER), elsewhere in words (WER)."""

MIN_LETTERS = 4
"""Fewer tell no language: "ok" and "no" are words of many. Source: EMBEDDED.md, measured on
py3langid 0.4."""


def error_rate(said: str, heard: str, language: str) -> float:
    """Wrong, missing and invented words (Chinese: characters) over those that were said.

    Case, punctuation, hyphens and the width of characters do not count. Nothing else is made
    alike: "7" is not "seven", and a traditional character is not its simplified form.

    Raises:
        ValueError: nothing was said.
    """
    reference, hypothesis = _units(said, language), _units(heard, language)
    if not reference:
        raise ValueError("there is nothing that could be heard")
    return float(jiwer.wer(" ".join(reference), " ".join(hypothesis)))


def _units(text: str, language: str) -> list[str]:
    words = words_of(unicodedata.normalize("NFKC", text))
    if language not in CHARACTER_LANGUAGES:
        return words
    return [character for word in words for character in word]


def language_of(text: str) -> str | None:
    """The language of all that py3langid knows (BCP 47 primary tag) in which a text is most likely
    written; ``None`` where it is too short to tell. The first call takes about a second."""
    n_letters = sum(character.isalpha() for character in text)
    is_chinese = any("\u3400" <= character <= "\u9fff" for character in text)
    if n_letters < (1 if is_chinese else MIN_LETTERS):
        return None
    language, _ = _identifier().classify(text)
    return str(language)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
