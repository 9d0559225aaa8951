"""What a model is told: its manner, its language, and as much of the dialogue as fits."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.llm.prompt import PERSONA, n_tokens_of, prompt_of
from deployments.types import Message

ROLES = ("user", "assistant")


def dialogue(*texts: str) -> tuple[Message, ...]:
    """User, assistant, user ... in turn."""
    return tuple(Message("assistant" if i % 2 else "user", text) for i, text in enumerate(texts))


def kept(messages: tuple[Message, ...], n_tokens: int) -> list[str]:
    return [m.content for m in prompt_of(messages, "en", PERSONA, n_tokens).messages]


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("en", "English"),
        ("zh", "Mandarin Chinese"),
        ("es", "Spanish"),
        ("fi", "the language whose BCP 47 tag is 'fi'"),
    ],
)
def test_the_instruction_names_who_speaks_how_and_in_which_language(
    language: str, name: str
) -> None:
    instruction = prompt_of(dialogue("hi"), language, "You are a lighthouse.", 100).instruction
    assert instruction.startswith("You are a lighthouse.\n")
    assert f"Answer in {name}" in instruction
    for wish in ("Two to four sentences", "no Markdown, no emoji", "as they are spoken"):
        assert wish in instruction


@pytest.mark.parametrize(
    ("text", "n_tokens"), [("", 0), ("a", 1), ("four", 1), ("fours", 2), ("你好", 2), ("hi 你", 2)]
)
def test_tokens_are_estimated_by_letters_and_chinese_characters(text: str, n_tokens: int) -> None:
    assert n_tokens_of(text) == n_tokens


def test_what_was_said_first_goes_first() -> None:
    said = dialogue("one" * 8, "two" * 8, "three" * 4, "four" * 5, "now")  # 6, 6, 5, 5 tokens
    assert kept(said, 1000) == [m.content for m in said]
    assert kept(said, 4 * 4 + 22) == [m.content for m in said]
    assert kept(said, 4 * 4 + 21) == ["three" * 4, "four" * 5, "now"]
    assert kept(said, 0) == ["now"]


def test_what_the_user_says_now_is_asked_however_long_it_is() -> None:
    assert kept(dialogue("before", "yes", "long " * 5000), 10) == ["long " * 5000]


def test_a_history_never_begins_with_an_answer_to_what_is_forgotten() -> None:
    said = dialogue("a very long question" * 20, "yes", "now")
    assert kept(said, 50) == ["now"]


def test_turns_alternate_and_none_is_empty() -> None:
    said = (
        Message("user", "one"),
        Message("user", "two"),
        Message("assistant", "  "),
        Message("user", "three"),
    )
    assert prompt_of(said, "en", PERSONA, 100).messages == (Message("user", "one\ntwo\nthree"),)


@given(
    st.lists(st.tuples(st.sampled_from(ROLES), st.text(max_size=40)), max_size=12),
    st.integers(0, 60),
)
def test_whatever_was_said_the_prompt_can_be_sent(
    said: list[tuple[str, str]], n_tokens: int
) -> None:
    history = [Message("user" if role == "user" else "assistant", text) for role, text in said]
    sent = prompt_of([*history, Message("user", "now")], "en", PERSONA, n_tokens).messages
    assert (sent[0].role, sent[-1].role) == ("user", "user")
    assert sent[-1].content.endswith("now")
    assert all(one.role != other.role for one, other in pairwise(sent))
    assert all(message.content.strip() for message in sent)
