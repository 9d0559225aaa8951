"""Token deltas -> sentences that can be spoken: a stream in, a stream out.

``sentencex`` (MIT, Wikimedia) says where sentences end: it knows the abbreviations of the
language, and took 1 us a call (2026-11-20). It sees whole texts, and a reply arrives in pieces, so
what is added here is when its word can be trusted: an end counts once the word after it is
complete, because until then more text can change it ("J. R. To" ends a sentence, "J. R. Tolkien"
does not). The text is read character by character, so how it was cut into deltas never matters.
"""

import re
from collections.abc import AsyncGenerator, AsyncIterator

import sentencex

from deployments.errors import StageError
from deployments.types import ReplySentence

# Longer sentences are spoken in parts, or their first sound would wait for their last word. The
# first part of a reply is what the listener waits for, so it is cut sooner. In columns: a Chinese
# character is about as long to say as three letters.
FIRST_MAX_COLUMNS = 120
MAX_COLUMNS = 250
MIN_COLUMNS = 24  # a shorter part sounds torn off
HAN_COLUMNS = 3

_HAN = re.compile(r"[\u3400-\u9fff]")
_WHOLE_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_][^\w'’]")
_STOP = re.compile(r"[.!?。！？…]")
_OPENED = re.compile(r"(?:\A|(?<=\s))[\"'“‘«「『(\[（【¿¡]+\s*\Z")
_LATIN_STOP = re.compile(r"[A-Za-z]\.\s*\Z")
_CLAUSE = re.compile(r"[,;:](?=\s)|[，、；：]|—+|–(?=\s)")
_SPACE = re.compile(r"\s+")


async def sentences(
    deltas: AsyncIterator[str], language: str, turn_no: int = 0
) -> AsyncGenerator[ReplySentence, None]:
    """The sentences of a reply, each as soon as it is certain that it ended and is not the last.

    Joined, they are the deltas' text, white space aside. A piece without a letter or digit goes
    with its neighbour. Exactly the last sentence of a whole reply ``is_last``.

    Args:
        deltas: the reply's text; whoever made the stream closes it.
        language: BCP 47 primary tag; an unknown one is cut by general rules.

    Raises:
        StageError: what ``deltas`` raised, after the sentences that were whole by then; an
            unfinished one is dropped. The last of them ``is_last``, unless it had left before.
    """
    splitter = Splitter(language, turn_no)
    try:
        async for delta in deltas:
            for sentence in splitter.add(delta):
                yield sentence
    except StageError:
        for sentence in splitter.finish(whole_only=True):
            yield sentence
        raise
    for sentence in splitter.finish():
        yield sentence


class Splitter:
    """The text of a reply that has not left yet, cut as ``sentences`` says."""

    def __init__(self, language: str, turn_no: int = 0) -> None:
        self._language = language
        self._turn_no = turn_no
        self._text = ""
        self._n_sentences = 0

    def add(self, delta: str) -> list[ReplySentence]:
        """The sentences that certainly ended with ``delta``."""
        sentences = []
        for character in delta:
            self._text += character
            if end := self._certain_end():
                sentences.append(self._take(end))
        return sentences

    def finish(self, whole_only: bool = False) -> list[ReplySentence]:
        """What is left once the stream has ended; ``whole_only`` drops an unfinished sentence."""
        if whole_only:  # what a following name would not belong to was whole ("Dr." was not)
            ends = _ends(f"{self._text} Smith", self._language)
            self._text = self._text[: ends[-1] if ends else 0]
        ends = _ends(self._text, self._language)
        sentences = []
        taken = 0
        for end in ends:
            sentences.append(self._take(end - taken))
            taken = end
        if _is_speakable(self._text):
            sentences.append(self._take(len(self._text), is_last=True))
        return sentences

    def _take(self, end: int, is_last: bool = False) -> ReplySentence:
        text, self._text = self._text[:end].strip(), self._text[end:]
        index, self._n_sentences = self._n_sentences, self._n_sentences + 1
        return ReplySentence(index, text, is_last, self._turn_no)

    def _certain_end(self) -> int:
        """Where the first sentence certainly ends, 0 if that is not known yet."""
        if _WHOLE_WORD.match(self._text[-2:]) or _HAN.match(self._text[-1]):
            ends = _ends(self._text, self._language)
            if ends and _WHOLE_WORD.search(self._text, ends[0]):
                return ends[0]
        maximum = MAX_COLUMNS if self._n_sentences else FIRST_MAX_COLUMNS
        return _clause_end(self._text, maximum) if _columns(self._text) > maximum else 0


def _is_speakable(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _ends(text: str, language: str) -> list[int]:
    """Where sentences of ``text`` end, its own end left out; speakable text on both sides."""
    if not _STOP.search(text) and "\n\n" not in text:
        return []
    ends = _segment_ends(text, language)
    if language == "zh":  # its rules do not know "Dr." or "A.B."
        latin = _HAN.sub(" ", text)
        english = {len(latin[:end].rstrip()) for end in _segment_ends(latin, "en")}
        ends = [
            end
            for end in ends
            if len(text[:end].rstrip()) in english or not _LATIN_STOP.search(text, 0, end)
        ]
    return _speakable_ends(text, ends)


def _segment_ends(text: str, language: str) -> list[int]:
    ends = []
    end = 0
    for piece in sentencex.segment(language, text):
        end += len(piece)
        # A quote that has just been opened begins the next sentence.
        opened = _OPENED.search(text, 0, end)
        ends.append(opened.start() if opened else end)
    return ends


def _speakable_ends(text: str, ends: list[int]) -> list[int]:
    kept = []
    start = 0
    for end in ends:
        if _is_speakable(text[start:end]) and _is_speakable(text[end:]):
            kept.append(end)
            start = end
    return kept


def _columns(text: str) -> int:
    return len(text) + (HAN_COLUMNS - 1) * len(_HAN.findall(text))


def _clause_end(text: str, maximum: int) -> int:
    """The last good place to breathe: after a clause, else between words, else anywhere.

    0 while nothing speakable would be left on either side.
    """
    for boundary in (_CLAUSE, _SPACE):
        ends = _speakable_ends(text, [match.end() for match in boundary.finditer(text)])
        for end in reversed(ends):
            if MIN_COLUMNS <= _columns(text[:end]) <= maximum:
                return end
    end = len(text) - 1
    return end if _speakable_ends(text, [end]) else 0
