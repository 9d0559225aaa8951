"""The dialogue that a language model gets."""

from deployments.types import Message
from graph.history import remember, within

HELLO = (Message("user", "Hello."), Message("assistant", "Hi."))


def test_a_turn_is_added() -> None:
    assert remember(HELLO, "How?", "So.") == (
        *HELLO,
        Message("user", "How?"),
        Message("assistant", "So."),
    )


def test_a_turn_without_a_reply_leaves_only_the_question() -> None:
    assert remember((), "How?", "") == (Message("user", "How?"),)


def test_the_oldest_turns_go_first_and_the_dialogue_begins_with_the_user() -> None:
    dialogue = (*HELLO, Message("user", "1234"), Message("assistant", "5678"))
    assert within(dialogue, 10) == dialogue[2:]
    assert within(dialogue, 11) == dialogue[2:]
    assert within(dialogue, 17) == dialogue


def test_the_newest_message_stays_however_long() -> None:
    assert within((*HELLO, Message("user", "x" * 99)), 10) == (Message("user", "x" * 99),)
    assert within((), 10) == ()
