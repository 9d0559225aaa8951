"""When the eyes blink: a row of the blink table for every frame.

The table (n, 63) is one blink, as shifts of the key points; its first row is the open eye.

Source: the published implementation (goldens 10), which chooses gaps at random, seeded by nothing;
here a seed of the session chooses them.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle
from random import Random
from typing import TypeAlias

Gaps: TypeAlias = int | Sequence[int]  # frames; 0: at random; negative: no blinks

_SHORTEST_GAP, _LONGEST_GAP = 60, 100
_N_UNKNOWN = 3000  # frames after which it begins again, where the length is not known


def blink_rows(
    n_frames: int, n_rows: int, gaps: Gaps, random: Random, rate: float = 1.0
) -> tuple[int, ...]:
    """The table's row for each of ``n_frames`` (3000 where that is -1, to be used cyclically).

    The first and the last of several ``gaps`` are those before the first blink and after the last.
    Blinks come ``rate`` times as often as with these gaps, and at 0 never.
    """
    n = _N_UNKNOWN if n_frames == -1 else n_frames
    rows = [0] * n
    if not rate or (isinstance(gaps, int) and gaps < 0):
        return tuple(rows)
    start, end, between = _gaps(gaps, random)
    at = round(start / rate)
    while at < n - max(round(end / rate), n_rows):
        rows[at : at + n_rows] = range(n_rows)
        at += n_rows + round(next(between) / rate)
    return tuple(rows)


def _gaps(gaps: Gaps, random: Random) -> tuple[int, int, Iterator[int]]:
    """Before the first blink, after the last and between them."""
    if not isinstance(gaps, int):
        return gaps[0], gaps[-1], cycle((*gaps[1:], gaps[0]))
    between = cycle((gaps,)) if gaps else _chosen(random)
    return next(between), next(between), between


def _chosen(random: Random) -> Iterator[int]:
    while True:
        yield random.randint(_SHORTEST_GAP, _LONGEST_GAP)
