"""The dialogue so far, as the language model will see it before the new question."""

from collections.abc import Sequence

from deployments.types import Message


def within(messages: Sequence[Message], max_characters: int) -> tuple[Message, ...]:
    """The newest messages that fit, beginning with the user's, since models expect that.

    Nothing where not even the last exchange fits.
    """
    first = len(messages)
    n_characters = 0
    for i in range(len(messages) - 1, -1, -1):
        n_characters += len(messages[i].content)
        if n_characters > max_characters:
            break
        if messages[i].role == "user":
            first = i
    return tuple(messages[first:])
