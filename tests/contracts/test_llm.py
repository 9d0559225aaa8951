"""What every language model engine does, whoever wrote it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.errors import (
    ConfigError,
    EngineInputError,
    EngineLoadError,
    EngineRuntimeError,
)
from deployments.llm.chain import ChainLlm, Link
from deployments.llm.engine import LlmEngine
from deployments.llm.fake import FakeLlm
from deployments.llm.rules import RulesLlm
from deployments.registry import load_engine
from deployments.types import LlmCapabilities, Message
from tests.contracts.remote_llms import KEY, asked, remote, texts
from tests.tiny_models.fake_llm_server import FakeLlmServer, serving


@pytest.fixture
def server() -> Iterator[FakeLlmServer]:
    with serving(FakeLlmServer()) as one:
        yield one


@pytest.fixture(params=["rules", "fake", "gemini", "openai_compatible", "chain"])
async def engine(
    request: pytest.FixtureRequest, server: FakeLlmServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LlmEngine]:
    """Of a chain, the one that reaches over the network comes first."""
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    if request.param in ("rules", "fake"):
        yield load_engine("llm", request.param, {})
        return
    name = "gemini" if request.param == "chain" else request.param
    async with remote(name, server) as loaded:
        if request.param != "chain":
            yield loaded
            return
        links = [Link(engine="gemini"), Link(engine="rules")]
        settings = ChainLlm.Settings(engines=tuple(links))
        known = {"gemini": loaded, "rules": load_engine("llm", "rules", {})}
        yield ChainLlm(settings, load=lambda stage, engine, options: known[engine])


def fake(**settings: Any) -> FakeLlm:
    return FakeLlm(FakeLlm.Settings(**settings))


async def test_an_engine_replies_in_small_deltas_in_each_of_its_languages(
    engine: LlmEngine,
) -> None:
    for language in engine.capabilities.languages:
        deltas = await texts(engine, asked("hello"), language)
        assert len(deltas) >= 3
        assert all(len(delta) <= 24 for delta in deltas)
        assert "".join(deltas).strip() == "".join(deltas)


async def test_the_same_dialogue_gets_the_same_reply(engine: LlmEngine) -> None:
    dialogue = (Message("user", "tell me a story"), Message("assistant", "No."), *asked("please"))
    first = await texts(engine, dialogue)
    assert await texts(engine, dialogue) == first


async def test_replies_of_several_turns_may_be_open_at_once(engine: LlmEngine) -> None:
    expected = await texts(engine, asked("hello"))
    both = await asyncio.gather(texts(engine, asked("hello")), texts(engine, asked("hello")))
    assert list(both) == [expected, expected]


async def test_a_closed_reply_says_nothing_more(engine: LlmEngine) -> None:
    deltas = engine.reply(asked("tell me a story"), "en")
    assert (await anext(deltas)).text
    await deltas.aclose()
    assert [delta async for delta in deltas] == []


async def test_a_reply_whose_reader_is_cancelled_ends(engine: LlmEngine) -> None:
    deltas = engine.reply(asked("tell me a story"), "en")
    assert (await anext(deltas)).text
    reading = asyncio.ensure_future(anext(deltas))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    await deltas.aclose()
    assert [delta async for delta in deltas] == []


@pytest.mark.parametrize(
    "messages", [(), (Message("assistant", "Hello."),), (*asked("hi"), Message("assistant", "Hi."))]
)
async def test_a_dialogue_that_does_not_end_with_the_user_is_refused(
    engine: LlmEngine, messages: tuple[Message, ...]
) -> None:
    with pytest.raises(EngineInputError):
        await texts(engine, messages)


async def test_a_language_that_the_engine_does_not_know_is_refused(engine: LlmEngine) -> None:
    with pytest.raises(EngineInputError, match="'xx'"):
        await texts(engine, asked("hello"), "xx")


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
        told = tokyo.answer(asked("what time is it"), "en")
        candidates.add(f"{datetime.now(UTC).hour}")
    hours = {(int(hour) + 9 - 1) % 12 + 1 for hour in candidates}
    assert int(told.removeprefix("It is ").split(" ")[0].split(":")[0]) in hours


async def test_the_fake_repeats_the_user_when_told_to() -> None:
    text = "Say  this,\nplease: 你好！ "
    assert "".join(await texts(fake(rule="echo"), asked(text))) == text


@pytest.mark.parametrize(
    ("asked_for", "said"),
    [
        ("Repeat after me: one: two.", "one: two."),
        ("跟我说：你好。", "你好。"),
        ("What can you do?", "The text."),
    ],
)
async def test_the_fake_says_what_it_is_asked_to_repeat_and_else_its_text(
    asked_for: str, said: str
) -> None:
    engine = fake(rule="repeat", text="The text.")
    assert "".join(await texts(engine, asked(asked_for))) == said


async def test_the_fake_says_its_text() -> None:
    engine = fake(text="One two. Three.")
    assert await texts(engine, asked("hi")) == ["One", " two.", " Three."]


async def test_the_fake_fails_on_the_call_it_was_told_to() -> None:
    engine = fake(text="One two.", fail_on_call=2)
    assert await texts(engine, asked("hi")) == ["One", " two."]
    with pytest.raises(EngineRuntimeError) as raised:
        await anext(engine.reply(asked("hi"), "en"))
    assert raised.value.retryable
    assert await texts(engine, asked("hi")) == ["One", " two."]


@pytest.mark.parametrize("text", ["One two three.", "One two."])
async def test_the_fake_fails_after_the_deltas_it_was_told_to_even_at_the_end(text: str) -> None:
    deltas = fake(text=text, fail_after_deltas=2).reply(asked("hi"), "en")
    assert [(await anext(deltas)).text for _ in range(2)] == text.replace(" ", "| ").split("|")[:2]
    with pytest.raises(EngineRuntimeError):
        await anext(deltas)


async def test_the_fake_that_hangs_says_nothing_and_then_fails() -> None:
    engine = fake(hang_on_call=1, hang_s=0.01)
    with pytest.raises(EngineRuntimeError):
        await texts(engine, asked("hi"))
    assert await texts(engine, asked("hi"))


def test_the_fake_does_not_load_when_told_so() -> None:
    with pytest.raises(EngineLoadError):
        load_engine("llm", "fake", {"fail_load": True})
