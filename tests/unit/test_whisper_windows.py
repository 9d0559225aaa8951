"""Speech in a recording becomes windows that the model hears."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deployments.asr.faster_whisper.windows import Window, windows

LONGEST, PADDING = 3000, 20


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int]:
    """Speech and pauses in turn, and how long it all is."""
    at, spans = draw(st.integers(0, 500)), []
    for _ in range(draw(st.integers(0, 12))):
        end = at + draw(st.integers(1, LONGEST - 2 * PADDING))
        spans.append((at, end))
        at = end + draw(st.integers(0, 2000))
    return spans, at + draw(st.integers(0, 500))


@given(recordings())
def test_windows_hold_all_speech_and_lie_one_after_the_other(
    recording: tuple[list[tuple[int, int]], int],
) -> None:
    spans, n = recording
    found = windows(spans, n, PADDING, LONGEST)
    assert all(0 <= window.start < window.end <= n for window in found)
    assert all(window.end - window.start <= LONGEST for window in found)
    assert all(before.end <= after.start for before, after in pairwise(found))
    assert all(0 < window.speech_share <= 1 for window in found)
    for start, end in spans:
        assert any(window.start <= start and end <= window.end for window in found)


def test_no_speech_is_no_window() -> None:
    assert windows([], 1000, PADDING, LONGEST) == []


def test_phrases_that_fit_together_are_one_window_with_their_pauses() -> None:
    assert windows([(100, 500), (900, 1300)], 2000, PADDING, LONGEST) == [
        Window(start=80, end=1320, speech_share=800 / 1200)
    ]


def test_what_does_not_fit_is_cut_in_the_pause_between() -> None:
    assert windows([(0, 2000), (2010, 4000)], 4100, PADDING, LONGEST) == [
        Window(start=0, end=2005, speech_share=1.0),
        Window(start=2005, end=4020, speech_share=1.0),
    ]
