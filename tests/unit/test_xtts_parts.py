"""Cutting text to what a model takes at once."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.tts.xtts.parts import is_speakable, parts


def shorter_than(n: int) -> Callable[[str], bool]:
    return lambda text: len(text) < n


def test_what_fits_stays_whole() -> None:
    assert parts(" One, two. Three. ", shorter_than(99)) == ["One, two. Three."]


def test_a_sentence_is_the_best_place_then_a_clause_then_a_word() -> None:
    assert parts("One two, three. Four five, six.", shorter_than(20)) == [
        "One two, three.",
        "Four five, six.",
    ]
    assert parts("When it rains, we stay at home", shorter_than(20)) == [
        "When it rains,",
        "we stay at home",
    ]
    assert parts("when it rains we stay home", shorter_than(20)) == [
        "when it rains",
        "we stay home",
    ]


def test_a_clause_at_the_edge_is_no_place_to_breathe() -> None:
    assert parts("Yes, we stay at home when it rains hard", shorter_than(25)) == [
        "Yes, we stay at home",
        "when it rains hard",
    ]


def test_a_point_or_comma_within_a_word_is_no_break() -> None:
    assert parts("see example.com or a,b now and then", shorter_than(20)) == [
        "see example.com or",
        "a,b now and then",
    ]


def test_chinese_is_cut_at_its_own_punctuation_and_else_anywhere() -> None:
    assert parts("你好，今天天气怎么样？我很高兴认识你。", shorter_than(12)) == [
        "你好，今天天气怎么样？",
        "我很高兴认识你。",
    ]
    assert parts("今天天气怎么样我很高兴", shorter_than(7)) == ["今天天气怎", "么样我很高兴"]


def test_one_character_is_a_part_even_if_it_does_not_fit() -> None:
    assert parts("abc", lambda _: False) == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "  "])
def test_nothing_has_no_parts(text: str) -> None:
    assert parts(text, shorter_than(5)) == []


@given(st.text(st.sampled_from("abc ,.!好。，— "), max_size=80), st.integers(2, 20))
def test_parts_fit_and_joined_are_the_text(text: str, n: int) -> None:
    found = parts(text, shorter_than(n))
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(part and len(part) < n and part == part.strip() for part in found)


def test_punctuation_alone_cannot_be_said() -> None:
    assert not is_speakable("...")
    assert is_speakable("好")
    assert is_speakable("a.")
