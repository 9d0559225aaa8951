"""How far a transcript is from what was said."""

import re
from collections.abc import Sequence

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def words_of(text: str) -> list[str]:
    """The words alone: no case, no punctuation, hyphens as spaces."""
    return _WORD.findall(text.lower().replace("’", "'"))


def n_word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words to insert, drop or replace (Levenshtein distance)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1]


def word_error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Errors of all (said, heard) pairs together over the number of words said."""
    n_errors = sum(n_word_errors(words_of(said), words_of(heard)) for said, heard in pairs)
    return n_errors / sum(len(words_of(said)) for said, _ in pairs)
