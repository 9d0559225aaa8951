"""What somebody said, as far as rules can tell: intents, names, what to repeat.

Texts come from speech recognition too, so case, accents and punctuation are no evidence, and a
word that nearly is a word of the vocabulary is taken for it.
"""

import re
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches

from deployments.llm.rules.chinese import SIMPLIFIED
from deployments.llm.rules.phrases import Intent, Names, Phrases
from deployments.types import Message

MAX_NAME_CHARACTERS = 40
MIN_SIMILARITY = 0.85  # "repet" and "storey" pass; "against" is not "again" (0.83)

_HAN = r"\u3400-\u9fff"
_SUPERSCRIPTS = str.maketrans({"²": "**2", "³": "**3"})
_HAN_NAME = re.compile(
    rf"([{_HAN}·]{{1,6}}?)(?=$|[^{_HAN}·]|你|您|我|他|她|很|今年|是|吧|啊|呢|哦|请)"
)
_NAME_WORD = re.compile(r"[^\W\d_]+(?:['’\-·][^\W\d_]+)*\.?")


def plain(text: str) -> str:
    """``text`` in lower case, without accents and apostrophes; symbols of sums stay.

    Spaces between Chinese characters go, traditional ones that patterns know become simplified.
    """
    text = unicodedata.normalize("NFKD", text.translate(_SUPERSCRIPTS).lower())
    text = "".join(c for c in text if not unicodedata.combining(c) and c not in "'’")
    text = text.translate(SIMPLIFIED)
    text = re.sub(rf"(?<=[{_HAN}])\s+|\s+(?=[{_HAN}])", "", text)
    return re.sub(r"\s+", " ", text).strip()


def words(text: str) -> str:
    """``plain`` text without any symbol: words with single spaces between them."""
    text = re.sub(r"[^\w]+|_", " ", plain(text)).strip()
    return re.sub(rf"(?<=[{_HAN}]) | (?=[{_HAN}])", "", text)


def intents(text: str, phrases: Phrases) -> list[Intent]:
    """What ``text`` asks for, most particular first."""
    heard = _guessed(words(text), phrases.vocabulary)
    return [
        intent
        for intent in Intent
        if any(re.search(pattern, heard) for pattern in phrases.intents[intent])
    ]


def text_to_repeat(text: str, phrases: Phrases) -> str:
    """What comes after "repeat after me", as it was said; empty if nobody asks for that."""
    match = re.search(phrases.repeat_after, unicodedata.normalize("NFC", text), re.DOTALL)
    return match[1].strip(' \n\t"“”«»「」') if match else ""


def told_name(text: str, languages: Sequence[Phrases]) -> str:
    """The name that somebody gives as theirs; empty if none."""
    text = unicodedata.normalize("NFC", text).strip()
    for phrases in languages:
        for pattern in _name_patterns(text, phrases):
            for match in re.finditer(pattern, text):
                if name := _name_at_start(match[1], phrases.names):
                    return name
    return ""


def known_name(messages: Sequence[Message], languages: Sequence[Phrases]) -> str:
    """The name that the user last gave in the dialogue; empty if none."""
    for message in reversed(messages):
        if message.role == "user" and (name := told_name(message.content, languages)):
            return name
    return ""


def _guessed(heard: str, vocabulary: frozenset[str]) -> str:
    return " ".join(_guess(word, vocabulary) for word in heard.split())


def _guess(word: str, vocabulary: frozenset[str]) -> str:
    if len(word) < 4 or word in vocabulary:
        return word
    alike = [candidate for candidate in vocabulary if candidate[0] == word[0]]
    return (get_close_matches(word, sorted(alike), n=1, cutoff=MIN_SIMILARITY) or [word])[0]


def _name_patterns(text: str, phrases: Phrases) -> tuple[str, ...]:
    greets = any(re.search(p, words(text)) for p in phrases.intents[Intent.GREETING])
    return phrases.names.told + (phrases.names.greeted if greets else ())


def _name_at_start(text: str, names: Names) -> str:
    """The name that ``text`` begins with.

    Where the first word is capitalised, the following capitalised ones belong to the name;
    without capitals nobody can tell how far a name goes, so it is one word.
    """
    if match := _HAN_NAME.match(text):
        starts_badly = any(match[1].startswith(word) for word in names.no_names)
        return "" if starts_badly else match[1]
    taken: list[str] = []
    for word in re.split(r"[,.!?;:，。！？；：]", text, maxsplit=1)[0].split():
        belongs = _goes_on(taken, word, names) if taken else words(word) not in names.no_names
        if not belongs or not _NAME_WORD.fullmatch(word):
            break
        taken.append(word)
    while taken and taken[-1] in names.particles and len(taken) > 1:
        taken.pop()
    name = " ".join(taken)
    return name[:1].upper() + name[1:] if len(name) <= MAX_NAME_CHARACTERS else ""


def _goes_on(taken: list[str], word: str, names: Names) -> bool:
    return taken[0][0].isupper() and (word[0].isupper() or word in names.particles)
