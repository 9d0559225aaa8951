"""Text is cut to what the model takes at once: where somebody who speaks takes a breath."""

import re
from collections.abc import Callable

# After these a voice may pause, in this order: an end of a sentence, a clause, a word, anywhere.
_BREAKS = (
    re.compile(r"[.!?…][\"'”’)\]]*(?=\s)|[。！？…][”’」』）]*"),
    re.compile(r"[,;:](?=\s)|[，、；：]|\s[-–—](?=\s)|—+"),
    re.compile(r"(?<=\S)(?=\s)"),
    re.compile(r"(?<=.)(?=.)", re.DOTALL),
)


def parts(text: str, fits: Callable[[str], bool]) -> list[str]:
    """The text in parts that fit, none empty and none much shorter than its neighbours.

    Joined, they are the text but for spaces at the seams. One character is a part even if it does
    not fit.
    """
    text = text.strip()
    if not text:
        return []
    if len(text) == 1 or fits(text):
        return [text]
    cut = _cut(text)
    return [*parts(text[:cut], fits), *parts(text[cut:], fits)]


def _cut(text: str) -> int:
    """The best break in the middle half; of the best kind, the one nearest to the middle."""
    middle = len(text) / 2
    for breaks in _BREAKS:
        ends = [match.end() for match in breaks.finditer(text)]
        central = [end for end in ends if middle / 2 <= end <= middle * 1.5 and end < len(text)]
        if central:
            return min(central, key=lambda end: abs(end - middle))
    return len(text) // 2  # of two or three characters


def is_speakable(text: str) -> bool:
    """Whether there is anything in it that can be said."""
    return any(character.isalnum() for character in text)
