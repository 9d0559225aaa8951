"""The dialogue that a language model gets."""

from deployments.types import Message
from graph.history import within

HELLO = (Message("user", "Hello."), Message("assistant", "Hi."))


def test_the_oldest_turns_go_first_and_the_dialogue_begins_with_the_user() -> None:
    dialogue = (*HELLO, Message("user", "1234"), Message("assistant", "5678"))
    assert within(dialogue, 8) == dialogue[2:]
    assert within(dialogue, 11) == dialogue[2:]
    assert within(dialogue, 16) == dialogue[2:]
    assert within(dialogue, 17) == dialogue


def test_an_exchange_that_does_not_fit_is_left_out_whole() -> None:
    assert within((Message("user", "x" * 99), Message("assistant", "Yes.")), 10) == ()
    assert within((*HELLO, Message("user", "x" * 99)), 10) == ()
    assert within((), 10) == ()
