"""The dialogue, as the language model will see it."""

from collections.abc import Sequence

from deployments.types import Message

MAX_CHARACTERS = 8000  # about 2,000 English tokens: some twenty turns, and little to read at once


def remember(
    history: Sequence[Message],
    user_text: str,
    reply_text: str,
    max_characters: int = MAX_CHARACTERS,
) -> tuple[Message, ...]:
    """The dialogue after one more turn; ``reply_text`` is what the user got of the reply."""
    turn = [Message("user", user_text)]
    if reply_text:
        turn.append(Message("assistant", reply_text))
    return within((*history, *turn), max_characters)


def within(
    messages: Sequence[Message], max_characters: int = MAX_CHARACTERS
) -> tuple[Message, ...]:
    """The newest messages that fit, beginning with the user's, since models expect that.

    The newest one always stays, however long.
    """
    first = len(messages) - 1
    n_characters = 0
    for i in range(len(messages) - 1, -1, -1):
        n_characters += len(messages[i].content)
        if n_characters > max_characters:
            break
        if messages[i].role == "user":
            first = i
    return tuple(messages[max(first, 0) :])
