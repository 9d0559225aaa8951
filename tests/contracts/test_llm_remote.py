"""The engines that speak to a server: what they send, and what becomes of everything that it does.

The clients are the real ones; the server is on loopback.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from deployments.errors import (
    ConfigError,
    EngineLoadError,
    EngineRuntimeError,
    ReplyBlockedError,
    StageError,
    StageTimeoutError,
)
from deployments.registry import check_options, load_engine
from deployments.types import Message, ReplyDelta, TokenUsage
from tests.contracts.remote_llms import KEY, asked, credentials_of, options_of, remote, texts
from tests.serving import free_port
from tests.tiny_models.fake_llm_server import (
    N_PROMPT_TOKENS,
    TEXTS,
    TOKEN,
    FakeLlmServer,
    serving,
)

NAMES = ["gemini", "openai_compatible"]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine that runs the tests may have set is of no account."""
    for name in ("GOOGLE_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[FakeLlmServer]:
    with serving(FakeLlmServer()) as one:
        yield one


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def engine(name: str, server: FakeLlmServer) -> AsyncIterator[Any]:
    async with remote(name, server) as loaded:
        yield loaded


async def failure(engine: Any, text: str) -> tuple[StageError, str]:
    """How the reply fails, and what was said by then."""
    said: list[str] = []

    async def hear() -> None:
        async for delta in engine.reply(asked(text), "en"):
            said.append(delta.text)

    with pytest.raises((EngineRuntimeError, StageTimeoutError)) as raised:
        await hear()
    assert raised.value.stage == "llm"
    return raised.value, "".join(said)


# What is sent, and what comes back


@pytest.mark.parametrize("language", ["en", "zh", "es"])
async def test_the_reply_is_in_the_language_that_was_asked_for(
    engine: Any, server: FakeLlmServer, language: str
) -> None:
    name = {"en": "English", "zh": "Chinese", "es": "Spanish"}[language]
    assert "".join(await texts(engine, asked("hi"), language)) == TEXTS[name]
    assert f"Answer in {name}" in server.last.instruction.replace("Mandarin ", "")


async def test_the_dialogue_is_sent_as_it_was(
    engine: Any, name: str, server: FakeLlmServer
) -> None:
    said = (Message("user", "Hi."), Message("assistant", "Hello!"), Message("user", "And you?"))
    await texts(engine, said)
    answering = "model" if name == "gemini" else "assistant"
    assert server.last.dialogue == [("user", "Hi."), (answering, "Hello!"), ("user", "And you?")]


async def test_history_is_cut_to_the_budget(name: str, server: FakeLlmServer) -> None:
    said = (Message("user", "long " * 200), Message("assistant", "Yes."), Message("user", "Now?"))
    async with remote(name, server, n_history_tokens=50) as engine:
        await texts(engine, said)
    assert server.last.dialogue == [("user", "Now?")]


async def test_gemini_is_told_its_limits_and_who_asks(server: FakeLlmServer) -> None:
    async with remote("gemini", server, model="gemini-x", temperature=0.5) as engine:
        await texts(engine, asked("hi"))
    request = server.last
    assert request.path.endswith("/models/gemini-x:streamGenerateContent?alt=sse")
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["x-goog-api-key"] == KEY
    assert "x-server-timeout" not in headers  # it would be one of the whole reply
    assert request.body["generationConfig"] == {
        "maxOutputTokens": 1024,
        "temperature": 0.5,
        "thinkingConfig": {"thinking_level": "LOW"},
    }


async def test_other_servers_are_told_theirs_and_no_key_that_is_not_theirs(
    server: FakeLlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with remote("openai_compatible", server, reasoning_effort="low") as engine:
        await texts(engine, asked("hi"))
    headers = {name.lower(): value for name, value in server.last.headers.items()}
    assert headers["authorization"] == "Bearer none"
    sent = {name: value for name, value in server.last.body.items() if name != "messages"}
    assert sent == {
        "model": "some-model",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 1024,
        "reasoning_effort": "low",
    }


@pytest.mark.parametrize("base_url", [None, "", "{server}/v1"])
async def test_the_key_of_the_environment_is_for_the_server_of_the_environment(
    server: FakeLlmServer, monkeypatch: pytest.MonkeyPatch, base_url: str | None
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    url = base_url and base_url.format(server=server.url)
    async with remote("openai_compatible", server, base_url=url) as engine:
        await texts(engine, asked("hi"))
    headers = {name.lower(): value for name, value in server.last.headers.items()}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert server.last.body["max_tokens" if base_url else "max_completion_tokens"] == 1024


async def test_the_key_may_be_in_a_file(name: str, server: FakeLlmServer, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("key-of-the-file\n")
    async with remote(name, server, api_key_file=str(file)) as engine:
        await texts(engine, asked("hi"))
    headers = {name.lower(): value for name, value in server.last.headers.items()}
    assert "key-of-the-file" in (headers.get("x-goog-api-key") or headers["authorization"])


async def test_markdown_and_emoji_are_not_spoken(engine: Any, server: FakeLlmServer) -> None:
    server.texts = {"English": "**Well** 😀, here:\n- [a list](http://x)"}
    assert "".join(await texts(engine, asked("hi"))) == "Well, here:\na list"


async def test_tokens_are_counted_by_the_server_and_priced_by_the_profile(
    name: str, server: FakeLlmServer
) -> None:
    prices = {"usd_per_million_prompt_tokens": 1.0, "usd_per_million_output_tokens": 4.0}
    async with remote(name, server, prices=prices) as engine:
        deltas = [delta async for delta in engine.reply(asked("hi"), "en")]
    n = len(TEXTS["English"].split())
    cost_usd = (N_PROMPT_TOKENS + 4 * n) / 1e6
    assert [d.usage for d in deltas if d.usage][-1] == TokenUsage(N_PROMPT_TOKENS, n, cost_usd)


async def test_a_reply_that_is_left_has_taken_tokens_too(engine: Any) -> None:
    deltas = engine.reply(asked("stall"), "en")
    first: ReplyDelta = await anext(deltas)
    await deltas.aclose()
    assert first.text == "Hello"
    assert first.usage is not None
    assert first.usage.n_prompt > 0
    assert first.usage.n_output > 0


# Failures


@pytest.mark.parametrize(
    ("status", "words", "is_worth_repeating"),
    [
        (400, "the server refuses the request", False),
        (401, "the key is wrong, or not for this model", False),
        (403, "the key is wrong, or not for this model", False),
        (404, "there is no model '{model}' (any more); set another in the options", False),
        (429, "the quota is used up, or too much is asked at once", False),
        (500, "the server failed", True),
        (503, "the server failed", True),
    ],
)
async def test_a_refusal_is_one_clear_line(
    engine: Any, name: str, server: FakeLlmServer, status: int, words: str, is_worth_repeating: bool
) -> None:
    error, said = await failure(engine, f"fail-{status}")
    model = {"gemini": "gemini-3.8-flash", "openai_compatible": "some-model"}[name]
    assert error.message == f"{name} answered {status}: {words.format(model=model)}"
    assert error.retryable == is_worth_repeating
    assert len(server.requests) == (2 if is_worth_repeating else 1)
    assert said == ""


async def test_a_server_that_fails_once_is_asked_again(engine: Any, server: FakeLlmServer) -> None:
    assert "".join(await texts(engine, asked("once-503"))) == TEXTS["English"]
    assert len(server.requests) == 2


@pytest.mark.parametrize("wish", ["cut-first", "garbage"])
async def test_a_stream_without_a_word_that_breaks_is_asked_for_again(
    engine: Any, server: FakeLlmServer, wish: str
) -> None:
    error, said = await failure(engine, wish)
    assert "cannot be reached, or its answer not be read" in error.message
    assert (error.retryable, said, len(server.requests)) == (True, "", 2)


async def test_once_a_word_is_out_nothing_is_asked_again(
    engine: Any, server: FakeLlmServer
) -> None:
    error, said = await failure(engine, "cut")
    assert (type(error), error.retryable) == (EngineRuntimeError, True)
    assert (said, len(server.requests)) == ("Hello", 1)


async def test_a_reply_without_a_word_is_a_failure(engine: Any, name: str) -> None:
    error, _ = await failure(engine, "empty")
    assert error.message == f"{name} ended without a word"


async def test_what_the_provider_forbids_is_no_failure_of_the_server(
    engine: Any, name: str, server: FakeLlmServer
) -> None:
    error, _ = await failure(engine, "blocked")
    assert type(error) is ReplyBlockedError
    assert error.message == f"{name}: the provider forbids an answer to this"
    assert len(server.requests) == 1


@pytest.mark.parametrize(("wish", "said"), [("mute", ""), ("stall", "Hello")])
async def test_a_server_that_falls_silent_is_given_up(
    name: str, server: FakeLlmServer, wish: str, said: str
) -> None:
    async with remote(name, server, wait_timeout_s=0.2) as engine:
        error, heard = await failure(engine, wish)
    assert type(error) is StageTimeoutError
    assert (error.message, heard) == (f"{name} was silent for 0.2 s", said)
    assert await asyncio.to_thread(server.last.is_over.wait, 10)
    assert server.last.end == "client left"


async def test_neither_the_key_nor_the_servers_words_are_told(
    name: str, server: FakeLlmServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "key"
    file.write_text(KEY)
    async with remote(name, server, api_key_file=str(file)) as engine:
        errors = [(await failure(engine, f"fail-{status}"))[0] for status in (400, 401, 503)]
        errors.append((await failure(engine, "garbage"))[0])
    told = caplog.text + "".join(f"{e} {e.__cause__} {e.__reduce__()}" for e in errors)
    assert KEY not in told
    assert "told to fail" not in told


# Leaving


@pytest.mark.parametrize("wish", ["mute", "stall", "slow"])
async def test_leaving_closes_the_connection(engine: Any, server: FakeLlmServer, wish: str) -> None:
    """Whoever waits for the next words is cancelled, as a barge-in does."""
    server.delay_s = 0.02
    took_s = []
    for _ in range(5):
        reading = asyncio.ensure_future(texts(engine, asked(wish)))
        n_before = len(server.requests)
        while len(server.requests) == n_before:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        left_at_s = loop.time()
        reading.cancel()
        await asyncio.wait([reading])
        assert await asyncio.to_thread(server.last.is_over.wait, 10)
        assert server.last.end == "client left"
        took_s.append(server.last.ended_at_s - left_at_s)
    assert median(took_s) <= 0.2


async def test_closing_a_reply_between_two_words_closes_the_connection_too(
    engine: Any, server: FakeLlmServer
) -> None:
    deltas = engine.reply(asked("stall"), "en")
    assert (await anext(deltas)).text == "Hello"
    await deltas.aclose()
    assert await asyncio.to_thread(server.last.is_over.wait, 10)
    assert server.last.end == "client left"


# Loading


@pytest.mark.parametrize(
    ("name", "variable"), [("gemini", "GEMINI_API_KEY"), ("openai_compatible", "OPENAI_API_KEY")]
)
def test_without_a_key_one_line_says_how_to_give_it(
    name: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(EngineLoadError, match=f"{name} has no API key.*: set {variable}") as raised:
        load_engine("llm", name, {} if name == "gemini" else {"model": "m"})
    assert "\n" not in raised.value.message


def test_a_wrong_key_shows_when_the_engine_loads(
    name: str, server: FakeLlmServer, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("a wrong key")
    status = {"gemini": 400, "openai_compatible": 401}[name]
    with pytest.raises(EngineLoadError) as raised:
        load_engine("llm", name, options_of(name, server, api_key_file=str(file)))
    words = f"{name} answered {status}: the key is wrong, or not for this model"
    assert raised.value.message == words


def test_a_model_that_is_gone_shows_when_gemini_loads(server: FakeLlmServer) -> None:
    with pytest.raises(EngineLoadError, match="there is no model 'retired'"):
        load_engine("llm", "gemini", options_of("gemini", server, model="retired"))


async def test_a_model_that_another_server_lacks_shows_in_the_reply(server: FakeLlmServer) -> None:
    async with remote("openai_compatible", server, model="retired") as engine:
        error, _ = await failure(engine, "hi")
    assert "there is no model 'retired' (any more)" in error.message


async def test_a_server_that_is_not_up_yet_is_waited_for(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    later = FakeLlmServer(port=free_port())
    async with remote(name, later) as engine:
        (line,) = [r.getMessage() for r in caplog.records if "tried" in r.getMessage()]
        assert "cannot be reached" in line
        assert "cannot be reached" in (await failure(engine, "hi"))[0].message
        with serving(later):
            assert "".join(await texts(engine, asked("hi"))) == TEXTS["English"]


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (" \n", "is empty")])
def test_a_key_file_that_holds_none_is_named(
    name: str, server: FakeLlmServer, tmp_path: Path, content: str | None, words: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    with pytest.raises(EngineLoadError, match=f"api_key_file .*/key {words}"):
        load_engine("llm", name, options_of(name, server, api_key_file=str(file)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key_file": "key"},
        {"temperature": 3},
        {"max_output_tokens": 0},
        {"model": ""},
        {"x": 1},
    ],
)
def test_settings_that_cannot_work_are_found_without_loading(
    name: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        check_options("llm", name, {"model": "m", **wrong})


async def test_on_vertex_the_same_engine_uses_the_machines_credentials(
    server: FakeLlmServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "account.json"
    file.write_text(credentials_of(server))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    async with remote("gemini", server, vertex_project="my-project") as engine:
        assert "".join(await texts(engine, asked("hi"), "es")) == TEXTS["Spanish"]
    path = "projects/my-project/locations/global/publishers/google/models/gemini-3.8-flash"
    assert server.last.path.endswith(f"/{path}:streamGenerateContent?alt=sse")
    headers = {name.lower(): value for name, value in server.last.headers.items()}
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert "x-goog-api-key" not in headers


def test_on_vertex_missing_credentials_are_one_line(
    server: FakeLlmServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    with pytest.raises(EngineLoadError, match="gcloud auth application-default login"):
        load_engine("llm", "gemini", options_of("gemini", server, vertex_project="p"))
