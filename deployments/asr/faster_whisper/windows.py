"""Speech in a recording becomes windows that the model hears, cut at pauses. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]
"""First sample of a stretch of speech, and the first one after it."""


@dataclass(frozen=True, slots=True)
class Window:
    """Samples ``start`` to ``end`` of a recording.

    ``speech_share``: how much of the time from its first speech to its last is speech, from 0 to 1.
    """

    start: int
    end: int
    speech_share: float


def windows(spans: Sequence[Span], n_samples: int, n_padding: int, n_longest: int) -> list[Window]:
    """As few windows as hold all speech, none longer than ``n_longest``, none over another.

    Args:
        spans: where somebody speaks, in order; each at most ``n_longest - 2 * n_padding`` long.
        n_samples: of the whole recording.
        n_padding: what a window takes of the silence on both sides, where there is as much.
        n_longest: what the model hears at once.
    """
    groups: list[list[Span]] = []
    for span in spans:
        if groups and span[1] - groups[-1][0][0] + 2 * n_padding <= n_longest:
            groups[-1].append(span)
        else:
            groups.append([span])
    edges = [0, *_between(groups), n_samples]
    return [_window(group, n_padding, edges[i], edges[i + 1]) for i, group in enumerate(groups)]


def _between(groups: Sequence[Sequence[Span]]) -> list[int]:
    """The middle of each pause between two groups."""
    return [(groups[i][-1][1] + groups[i + 1][0][0]) // 2 for i in range(len(groups) - 1)]


def _window(group: Sequence[Span], n_padding: int, earliest: int, latest: int) -> Window:
    first, last = group[0][0], group[-1][1]
    n_speech = sum(end - start for start, end in group)
    return Window(
        start=max(earliest, first - n_padding),
        end=min(latest, last + n_padding),
        speech_share=n_speech / max(1, last - first),
    )
