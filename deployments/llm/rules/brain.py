"""The rules, as an engine: who says what to which message."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from deployments import config
from deployments.llm.engine import check_dialogue
from deployments.llm.rules import arithmetic, clock, understand
from deployments.llm.rules.chinese import PHRASES as CHINESE
from deployments.llm.rules.english import PHRASES as ENGLISH
from deployments.llm.rules.phrases import Intent, Phrases
from deployments.llm.rules.spanish import PHRASES as SPANISH
from deployments.types import LlmCapabilities, Message, ReplyDelta

LANGUAGES = {"en": ENGLISH, "zh": CHINESE, "es": SPANISH}

# As a language model's tokens come: a word with its punctuation, or two Chinese characters.
_DELTA = re.compile(
    r"\s*(?:[\u3400-\u9fff]{1,2}[，。！？；：、]*|[^\s\u3400-\u9fff]+)|\s+$", re.UNICODE
)


class RulesLlm:
    """Answers by rules, the same to the same dialogue at the same time; holds no conversation."""

    class Settings(config.Settings):
        """``time_zone``: IANA name of the place whose time is told; ``None`` is the machine's."""

        time_zone: str | None = None
        delta_delay_s: float = Field(default=0.0, ge=0)  # before each delta, to play a slow model

        @field_validator("time_zone")
        @classmethod
        def _is_known(cls, name: str | None) -> str | None:
            try:
                return ZoneInfo(name).key if name else name
            except (KeyError, ValueError, OSError):
                raise ValueError(
                    f"no such time zone: {name!r}; write one like Europe/Madrid"
                ) from None

    def __init__(self, settings: Settings, now: Callable[[], datetime] | None = None) -> None:
        """Args:
        now: the time with its zone; by default the clock of the machine.
        """
        self.capabilities = LlmCapabilities(engine="rules", languages=tuple(LANGUAGES))
        self._delta_delay_s = settings.delta_delay_s
        zone = ZoneInfo(settings.time_zone) if settings.time_zone else None
        self._now = now or (lambda: datetime.now(zone))
        self._warm_up()

    async def reply(
        self, messages: Sequence[Message], language: str
    ) -> AsyncGenerator[ReplyDelta, None]:
        """See ``LlmEngine.reply``."""
        # A long history takes 20 ms to read, in which the loop has others to serve.
        answer = await asyncio.to_thread(self.answer, messages, language)
        for match in _DELTA.finditer(answer):
            if self._delta_delay_s:
                await asyncio.sleep(self._delta_delay_s)
            yield ReplyDelta(match[0])

    def answer(self, messages: Sequence[Message], language: str) -> str:
        """Blocks. The whole reply.

        Raises:
            EngineInputError: as ``LlmEngine.reply``.
        """
        check_dialogue(messages, language, self.capabilities)
        return _Dialogue(messages, language, self._now()).answer()

    def _warm_up(self) -> None:
        """Load what the libraries load on first use, so that no turn waits for it."""
        for language in LANGUAGES:
            for text in ("2 + 2", "what time is it", "que hora es", "几点"):
                _Dialogue((Message("user", text),), language, self._now()).answer()


class _Dialogue:
    """One dialogue that waits for its answer."""

    def __init__(self, messages: Sequence[Message], language: str, now: datetime) -> None:
        self._heard = messages[-1].content
        self._messages = messages
        self._said = [m.content for m in messages[:-1] if m.role == "assistant"]
        self._language = language
        self._phrases: Phrases = LANGUAGES[language]
        self._now = now
        # People also introduce themselves in their own language.
        self._all_phrases = [self._phrases, *LANGUAGES.values()]

    def answer(self) -> str:
        if not any(character.isalnum() for character in self._heard):
            return self._phrases.nothing_heard
        if text := understand.text_to_repeat(self._heard, self._phrases):
            return text
        if text := arithmetic.answer(self._heard, self._language, self._phrases.arithmetic):
            return text
        return self._to_intents(understand.intents(self._heard, self._phrases))

    def _to_intents(self, intents: Sequence[Intent]) -> str:
        if not (name := understand.told_name(self._heard, self._all_phrases)):
            return self._to(intents)
        particular = [i for i in intents if i not in (Intent.GREETING, Intent.NAME_QUESTION)]
        if not particular:
            return self._to_user(self._phrases.met, name)
        gap = "" if self._language == "zh" else " "
        return self._to_user(self._phrases.met_briefly, name) + gap + self._to(particular)

    def _to(self, intents: Sequence[Intent]) -> str:
        if not intents:
            return self._next(self._phrases.unknown)
        if Intent.TIME in intents and Intent.DATE in intents:
            gap = "" if self._language == "zh" else " "
            return self._time() + gap + self._date()
        answers: dict[Intent, Callable[[], str]] = {
            Intent.NAME_QUESTION: self._name,
            Intent.REPEAT: self._repetition,
            Intent.STORY: self._story,
            Intent.JOKE: lambda: self._next(self._phrases.jokes),
            Intent.FACT: lambda: self._next(self._phrases.facts),
            Intent.TIME: self._time,
            Intent.DATE: self._date,
        }
        if intents[0] in answers:
            return answers[intents[0]]()
        return self._to_user(str(getattr(self._phrases, intents[0])), self._known_name())

    def _name(self) -> str:
        name = self._known_name()
        return self._phrases.your_name.format(name=name) if name else self._phrases.name_unknown

    def _repetition(self) -> str:
        return self._said[-1] if self._said else self._phrases.nothing_to_repeat

    def _story(self) -> str:
        gap = "" if self._language == "zh" else " "
        return self._phrases.before_story + gap + self._next(self._phrases.stories)

    def _time(self) -> str:
        return clock.time_of(self._now, self._language, self._phrases.clock)

    def _date(self) -> str:
        return clock.date_of(self._now, self._language, self._phrases.clock)

    def _known_name(self) -> str:
        return understand.known_name(self._messages, self._all_phrases)

    def _to_user(self, text: str, name: str) -> str:
        return text.format(name=self._phrases.vocative.format(name) if name else "")

    def _next(self, variants: tuple[str, ...]) -> str:
        """The one after those that this dialogue has heard already, in turn."""
        n_heard = sum(any(text in said for text in variants) for said in self._said)
        return variants[n_heard % len(variants)]
