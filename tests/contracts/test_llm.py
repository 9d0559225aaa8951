"""What every language model engine does, whoever wrote it."""

from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.errors import (
    ConfigError,
    EngineInputError,
    EngineLoadError,
    EngineRuntimeError,
)
from deployments.llm.engine import LlmEngine
from deployments.llm.fake import FakeLlm
from deployments.llm.rules import RulesLlm
from deployments.registry import load_engine
from deployments.types import LlmCapabilities, Message


@pytest.fixture(params=["rules", "fake"])
def engine(request: pytest.FixtureRequest) -> LlmEngine:
    loaded: LlmEngine = load_engine("llm", request.param, {})
    return loaded


def asked(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def fake(**settings: Any) -> FakeLlm:
    return FakeLlm(FakeLlm.Settings(**settings))


def test_an_engine_replies_in_small_deltas_in_each_of_its_languages(engine: LlmEngine) -> None:
    for language in engine.capabilities.languages:
        deltas = list(engine.reply(asked("hello"), language))
        assert len(deltas) >= 3
        assert all(0 < len(delta) <= 24 for delta in deltas)
        assert "".join(deltas).strip() == "".join(deltas)


def test_the_same_dialogue_gets_the_same_reply(engine: LlmEngine) -> None:
    dialogue = (Message("user", "tell me a story"), Message("assistant", "No."), *asked("please"))
    first = list(engine.reply(dialogue, "en"))
    assert list(engine.reply(dialogue, "en")) == first


def test_replies_of_several_turns_may_be_open_at_once(engine: LlmEngine) -> None:
    expected = "".join(engine.reply(asked("hello"), "en"))
    left, right = engine.reply(asked("hello"), "en"), engine.reply(asked("hello"), "en")
    both = list(zip(left, right, strict=True))
    assert "".join(a for a, _ in both) == "".join(b for _, b in both) == expected


def test_a_closed_reply_says_nothing_more(engine: LlmEngine) -> None:
    deltas = engine.reply(asked("tell me a story"), "en")
    assert next(deltas)
    assert isinstance(deltas, Generator)
    deltas.close()
    assert list(deltas) == []


@pytest.mark.parametrize(
    "messages", [(), (Message("assistant", "Hello."),), (*asked("hi"), Message("assistant", "Hi."))]
)
def test_a_dialogue_that_does_not_end_with_the_user_is_refused(
    engine: LlmEngine, messages: tuple[Message, ...]
) -> None:
    with pytest.raises(EngineInputError):
        list(engine.reply(messages, "en"))


def test_a_language_that_the_engine_does_not_know_is_refused(engine: LlmEngine) -> None:
    with pytest.raises(EngineInputError, match="'xx'"):
        list(engine.reply(asked("hello"), "xx"))


def test_engines_say_what_they_are() -> None:
    languages = ("en", "zh", "es")
    assert load_engine("llm", "rules", {}).capabilities == LlmCapabilities("rules", languages)
    assert load_engine("llm", "fake", {}).capabilities == LlmCapabilities("fake", languages)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rules", {"timezone": "UTC"}),
        ("rules", {"time_zone": "Mars/Olympus"}),
        ("rules", {"time_zone": "../../etc/passwd"}),
        ("rules", {"delta_delay_s": -1}),
        ("fake", {"fail_on_call": 0}),
        ("fake", {"rule": "shout"}),
    ],
)
def test_a_wrong_option_is_found_before_anything_starts(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=name):
        load_engine("llm", name, options)


def test_the_rules_tell_the_time_of_the_place_they_are_set_to() -> None:
    settings = RulesLlm.Settings(time_zone="Asia/Tokyo")
    tokyo = RulesLlm(settings)
    # The clock is the real one here, so the minute may change between the two readings.
    candidates = set()
    for _ in range(2):
        candidates.add(f"{datetime.now(UTC).hour}")
        told = "".join(tokyo.reply(asked("what time is it"), "en"))
        candidates.add(f"{datetime.now(UTC).hour}")
    hours = {(int(hour) + 9 - 1) % 12 + 1 for hour in candidates}
    assert int(told.removeprefix("It is ").split(" ")[0].split(":")[0]) in hours


def test_the_fake_repeats_the_user_when_told_to() -> None:
    text = "Say  this,\nplease: 你好！ "
    assert "".join(fake(rule="echo").reply(asked(text), "en")) == text


@pytest.mark.parametrize(
    ("asked_for", "said"),
    [
        ("Repeat after me: one: two.", "one: two."),
        ("跟我说：你好。", "你好。"),
        ("What can you do?", "The text."),
    ],
)
def test_the_fake_says_what_it_is_asked_to_repeat_and_else_its_text(
    asked_for: str, said: str
) -> None:
    engine = fake(rule="repeat", text="The text.")
    assert "".join(engine.reply(asked(asked_for), "en")) == said


def test_the_fake_says_its_text() -> None:
    assert list(fake(text="One two. Three.").reply(asked("hi"), "en")) == [
        "One",
        " two.",
        " Three.",
    ]


def test_the_fake_fails_on_the_call_it_was_told_to() -> None:
    engine = fake(text="One two.", fail_on_call=2)
    assert list(engine.reply(asked("hi"), "en")) == ["One", " two."]
    with pytest.raises(EngineRuntimeError) as raised:
        next(engine.reply(asked("hi"), "en"))
    assert raised.value.retryable
    assert list(engine.reply(asked("hi"), "en")) == ["One", " two."]


def test_the_fake_fails_after_the_deltas_it_was_told_to() -> None:
    deltas = fake(text="One two three.", fail_after_deltas=2).reply(asked("hi"), "en")
    assert [next(deltas), next(deltas)] == ["One", " two"]
    with pytest.raises(EngineRuntimeError):
        next(deltas)


def test_the_fake_fails_at_the_end_of_a_reply_too() -> None:
    deltas = fake(text="One two.", fail_after_deltas=2).reply(asked("hi"), "en")
    assert [next(deltas), next(deltas)] == ["One", " two."]
    with pytest.raises(EngineRuntimeError):
        next(deltas)


def test_the_fake_that_hangs_says_nothing_and_then_fails() -> None:
    engine = fake(hang_on_call=1, hang_s=0.01)
    with pytest.raises(EngineRuntimeError):
        list(engine.reply(asked("hi"), "en"))
    assert list(engine.reply(asked("hi"), "en"))


def test_the_fake_does_not_load_when_told_so() -> None:
    with pytest.raises(EngineLoadError):
        load_engine("llm", "fake", {"fail_load": True})
