"""The least number of cards that is enough, found by trying."""

from collections.abc import Callable
from math import ceil

from benchmarks.plan_calls import Talk
from benchmarks.plan_outcome import Outcome
from benchmarks.plan_profile import Layout

_STEP_SHARE = 0.12  # of the number, while the first enough (or too few) is looked for
_FINE_SHARE = 0.01  # the answer is exact to so much of it, and to one card
_MOST_TIMES = 4.0  # the first guess: if that is not enough, no number is


def first_guess(layout: Layout, talk: Talk, n_callers: int) -> int:
    """As many cards as the work takes if it came evenly and nobody ever waited."""
    speaking = talk.answer.mean_s / (talk.turn_s + 1.0)
    work_s = n_callers * speaking * layout.work_s_per_speech_s
    return max(1, ceil(work_s / layout.admission.target_utilisation))


def least_cards(attempt: Callable[[int], Outcome], guess: int) -> int | None:
    """The least number whose outcome is enough; ``None`` if none is.

    More cards are taken to be never worse, and of no use where some were never rented. ``attempt``
    is asked for each number once.
    """
    too_few, enough = 0, None
    n = max(1, guess)
    while enough is None or enough - too_few > max(1, int(_FINE_SHARE * enough)):
        outcome = attempt(n)
        if outcome.is_enough:
            enough = n
        else:
            too_few = n
        if enough is None:
            if n >= _MOST_TIMES * guess + 2 or outcome.cards_rented_most < n:
                return None
            n += _step(n)
        elif too_few == 0 and enough > 1:
            n = max(1, enough - _step(enough))
        else:
            n = (too_few + enough) // 2
    return enough


def _step(n: int) -> int:
    return max(1, int(_STEP_SHARE * n))
