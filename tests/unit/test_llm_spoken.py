"""Markdown, emoji and thoughts do not reach the voice, however the text was cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.llm.spoken import SpokenText

CASES = {
    "Hello there, friend.": "Hello there, friend.",
    "  Hello. \n": "Hello.",
    "It is **very** nice, and *so* are _you_.": "It is very nice, and so are you.",
    "Call snake_case or `print`.": "Call snake_case or print.",
    "## Title\nText.": "Title\nText.",
    "Take:\n- bread\n* milk\n• salt": "Take:\nbread\nmilk\nsalt",
    "> So he said.": "So he said.",
    "See [the page](https://example.org/a_b), please.": "See the page, please.",
    "Hi 😀 there! 👍🏽": "Hi there!",
    "你好😀，朋友。": "你好，朋友。",
    "👨‍👩‍👧 family, 🇪🇸 flag, ❤️ heart": "family, flag, heart",
    "5 - 3 is two, and 2 > 1.": "5 - 3 is two, and 2 > 1.",
    "An open [bracket and (another": "An open [bracket and (another",
    "```python\nx = 1\n```\nDone.": "x = 1\n\nDone.",
    "<think>They want\n a story.</think>\n\nOnce upon": "Once upon",
    "<thing> is a tag.": "<thing> is a tag.",
    "<thi": "<thi",
    "<think>For ever": "",
    "😀": "",
    "": "",
}


def spoken(pieces: list[str]) -> list[str]:
    text = SpokenText()
    return [*(text.add(piece) for piece in pieces), text.finish()]


@pytest.mark.parametrize(("written", "said"), CASES.items())
def test_only_what_can_be_spoken_is_left(written: str, said: str) -> None:
    assert "".join(spoken([written])) == said
    assert "".join(spoken(list(written))) == said


@given(
    st.text("ab _*`#[]()!<>/\n-~😀你。\u200d", max_size=60),
    st.lists(st.integers(1, 6), max_size=60),
)
def test_how_a_text_is_cut_never_matters(text: str, lengths: list[int]) -> None:
    pieces, start = [], 0
    for length in lengths:
        pieces.append(text[start : start + length])
        start += length
    assert "".join(spoken([*pieces, text[start:]])) == "".join(spoken([text]))


def test_ordinary_words_are_not_held_back() -> None:
    pieces = ["Well", ", I", " think", " so.", " Really"]
    assert spoken(pieces) == [*pieces, ""]


def test_what_is_undecided_for_long_is_text() -> None:
    text = "[" + "word " * 200
    said = spoken(list(text))
    assert "".join(said) == text.rstrip()
    assert len(said[-1]) <= 400
