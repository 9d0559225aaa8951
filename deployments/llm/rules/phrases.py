"""What the rules know of a language, as data: patterns they listen for and texts they say."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Intent(StrEnum):
    """What somebody may want. In this order: the first that matches is answered."""

    NAME_QUESTION = "name_question"
    REPEAT = "repeat"
    STORY = "story"
    JOKE = "joke"
    FACT = "fact"
    TIME = "time"
    DATE = "date"
    IDENTITY = "identity"
    CONNECT = "connect"
    ABILITIES = "abilities"
    HOW_ARE_YOU = "how_are_you"
    THANKS = "thanks"
    GOODBYE = "goodbye"
    AGREED = "agreed"
    GREETING = "greeting"


def words_of(text: str) -> tuple[str, ...]:
    """The words of ``text``: a long list, written so that it can be read."""
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class Numerals:
    """Number words. ``small`` are added up, ``scales`` multiply what stands before them.

    ``joiners`` may stand inside a number after a word of ``joined_after`` ("hundred and five");
    elsewhere they add ("two and two"). Chinese numerals need no table: Unicode knows them.
    """

    small: Mapping[str, int]
    scales: Mapping[str, int]
    joiners: frozenset[str]
    joined_after: frozenset[str]
    point: frozenset[str]
    decimal_comma: bool


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How sums are asked for and told.

    ``rewrites``: (pattern, replacement) in turn, on plain text, until only numbers and the
    symbols stand for the sum (``arithmetic.PYTHON`` has them all). What is left must
    be ``fillers``, or it was no sum. ``spoken``: how a symbol is said; ``{}`` in it is what the
    symbol stands before.
    """

    numerals: Numerals
    rewrites: tuple[tuple[str, str], ...]
    fillers: frozenset[str]
    spoken: Mapping[str, str]
    exact: str
    rounded: str
    by_zero: str
    too_big: str
    undefined: str


@dataclass(frozen=True, slots=True)
class Names:
    """How people say their name. ``told`` is believed always, ``greeted`` only after a greeting,
    because "I am ..." says many things. Groups hold the name and what follows it."""

    told: tuple[str, ...]
    greeted: tuple[str, ...]
    no_names: frozenset[str]
    particles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Clock:
    """Patterns of Babel's date formats (Unicode TR 35); ``{}`` in the texts is the value."""

    time: str
    whole_hour: str
    says_time: str
    says_one_o_clock: str
    says_date: str


@dataclass(frozen=True, slots=True)
class Phrases:
    """One language. Every answer begins with a short sentence, so that the face starts early.

    ``vocabulary``: words worth guessing when they are misspelt or misheard. ``{name}`` in a text
    is the user's name, dressed by ``vocative``, or nothing.
    """

    intents: Mapping[Intent, tuple[str, ...]]
    vocabulary: frozenset[str]
    repeat_after: str
    names: Names
    arithmetic: Arithmetic
    clock: Clock
    vocative: str
    greeting: str
    met: str
    met_briefly: str
    your_name: str
    name_unknown: str
    identity: str
    abilities: str
    connect: str
    how_are_you: str
    agreed: str
    thanks: str
    goodbye: str
    nothing_heard: str
    nothing_to_repeat: str
    before_story: str
    stories: tuple[str, ...]
    jokes: tuple[str, ...]
    facts: tuple[str, ...]
    unknown: tuple[str, ...]
