"""What a language model is told: who it is, how to speak, and what of the dialogue it can have.

The same for every engine, so that a chain's engines answer in one manner.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from deployments.types import Message

PERSONA = (
    "You are Avatar, a talking face on a screen: friendly, curious and brief. Your face and voice "
    "are generated and you are a machine, which you say whenever somebody asks."
)

_MANNER = """\
What you write is spoken aloud, at once and word for word, so write only what a person would say.
- Answer in {language}, whatever language you are spoken to in.
- Two to four sentences; the first one short. Only if a story or an explanation is asked for, more.
- Plain sentences: no lists, no headings, no Markdown, no emoji, no brackets, no stage directions.
- Write numbers, dates, times, prices, units and symbols as they are spoken in {language}.
- What you hear comes from speech recognition: where a word makes no sense, guess what was meant.
- Say so when you do not know something. You have no clock, no camera and no network."""

_LANGUAGES = {
    "en": "English",
    "zh": "Mandarin Chinese, in simplified characters",
    "es": "Spanish",
}

# A token is about four letters of English or Spanish; of Chinese it is one character, at the worst.
# Source: the count that Gemini's and OpenAI's documentation gives as a rule (four characters of
# English). Both models' tables pack common Chinese words tighter, so this is too much rather than
# too little.
_LETTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4  # for its role and its limits
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


@dataclass(frozen=True, slots=True)
class Prompt:
    """``instruction`` is the system's; ``messages`` take turns, and the user's come first and
    last."""

    instruction: str
    messages: tuple[Message, ...]

    @property
    def n_tokens(self) -> int:
        """By the estimate."""
        return n_tokens_of(self.instruction) + sum(_n_tokens(m) for m in self.messages)


def prompt_of(
    messages: Sequence[Message], language: str, persona: str, n_history_tokens: int
) -> Prompt:
    """What to ask a model.

    Args:
        messages: the dialogue; the last one is the user's, and always in the prompt.
        language: BCP 47 primary tag to answer in.
        persona: who the model is to be.
        n_history_tokens: how much of what was said before it may take, by the estimate; what was
            said first goes first.
    """
    name = _LANGUAGES.get(language, f"the language whose BCP 47 tag is {language!r}")
    said = [message for message in messages[:-1] if message.content.strip()]
    recent = _within(said, n_history_tokens)
    instruction = f"{persona}\n\n{_MANNER.format(language=name)}"
    return Prompt(instruction, _in_turns([*recent, messages[-1]]))


def n_tokens_of(text: str) -> int:
    """About how many tokens a model makes of ``text``; an estimate that needs no model."""
    n_wide = len(_WIDE.findall(text))
    return n_wide + -(-(len(text) - n_wide) // _LETTERS_PER_TOKEN)


def _n_tokens(message: Message) -> int:
    return n_tokens_of(message.content) + _TOKENS_PER_MESSAGE


def _within(messages: Sequence[Message], n_tokens: int) -> list[Message]:
    """The latest messages that fit; they begin with the user's, since an answer to what nobody
    knows any more misleads."""
    kept: list[Message] = []
    for message in reversed(messages):
        n_tokens -= _n_tokens(message)
        if n_tokens < 0:
            break
        kept.append(message)
    while kept and kept[-1].role != "user":
        kept.pop()
    return kept[::-1]


def _in_turns(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Of one speaker's messages in a row one is made, since servers refuse several."""
    turns: list[Message] = []
    for message in messages:
        if turns and turns[-1].role == message.role:
            message = Message(message.role, f"{turns.pop().content}\n{message.content}")
        turns.append(message)
    return tuple(turns)
