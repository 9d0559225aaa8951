"""A chain of language models: who answers when, who is kept out, and who is left out."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest

from deployments.config import LlmConfig
from deployments.errors import (
    ConfigError,
    EngineInputError,
    EngineLoadError,
    EngineRuntimeError,
    ReplyBlockedError,
)
from deployments.llm.chain import ChainLlm
from deployments.llm.deployment import Llm
from deployments.registry import check_options, load_engine
from deployments.types import LlmCapabilities, Message, ReplyDelta, TokenUsage
from graph.config import read_config
from tests.virtual_time import now, run

QUESTION = (Message("user", "hi"),)
FAILS: dict[str, Any] = {"fail_after_deltas": 0}
HANGS: dict[str, Any] = {"hang_on_call": 1, "hang_s": 60.0}
DEADLINE_S = 2.0


def link(name: str, **options: Any) -> dict[str, Any]:
    """A fake that says its name."""
    said = {"text": f"I am {name}.", **options}
    return {
        "engine": "fake", "name": name, "options": said, "first_token_timeout_s": DEADLINE_S,
    }  # fmt: skip


def chain_of(*links: dict[str, Any], n_failures: int = 2, cool_down_s: float = 30.0) -> ChainLlm:
    """In virtual time."""
    options = {"engines": links, "n_failures": n_failures, "cool_down_s": cool_down_s}
    return ChainLlm(ChainLlm.Settings.model_validate(options), now=now)


async def heard(engine: ChainLlm, language: str = "en") -> tuple[str, set[str], float]:
    """A whole reply, who spoke, and after how long the first word came."""
    began_s, first_s = now(), 0.0
    said, speakers = "", set()
    async for delta in engine.reply(QUESTION, language):
        first_s = first_s or now() - began_s
        said += delta.text
        speakers.add(delta.engine)
    return said, speakers, first_s


def test_the_first_engine_that_answers_speaks_the_whole_reply() -> None:
    engine = chain_of(link("first"), link("second"))
    assert run(heard(engine)) == ("I am first.", {"first"}, 0.0)
    assert engine.capabilities == LlmCapabilities("chain", ("en", "zh", "es"), ("first", "second"))


def test_an_engine_that_fails_is_followed_at_once_by_the_next() -> None:
    engine = chain_of(link("first", **FAILS), link("second"))
    assert run(heard(engine)) == ("I am second.", {"second"}, 0.0)


def test_an_engine_that_hangs_is_followed_by_the_next_at_its_deadline() -> None:
    engine = chain_of(link("first", **HANGS), link("second", **HANGS), link("third"))
    assert run(heard(engine)) == ("I am third.", {"third"}, 2 * DEADLINE_S)


def test_words_that_come_just_in_time_are_spoken() -> None:
    class Slow(Talker):
        async def before(self) -> None:
            for _ in range(19):
                await asyncio.sleep(DEADLINE_S / 20)
                self.thoughts += 1

    said, speakers, first_s = run(heard(chain_with(Slow(), link("second"))))
    assert (said, speakers) == ("Hm. Yes.", {"mine"})
    assert first_s == pytest.approx(1.9)


def test_thinking_is_no_answer() -> None:
    class Thinker(Talker):
        async def before(self) -> None:
            self.thoughts = 3
            await asyncio.sleep(60)

    assert run(heard(chain_with(Thinker(), link("second"))))[1:] == ({"second"}, DEADLINE_S)


def test_after_the_first_word_nobody_takes_over() -> None:
    engine = chain_of(link("first", fail_after_deltas=2), link("second"))

    async def listen() -> list[str]:
        deltas = engine.reply(QUESTION, "en")
        said = [(await anext(deltas)).text for _ in range(2)]
        with pytest.raises(EngineRuntimeError) as raised:
            await anext(deltas)
        assert raised.value.retryable  # by whoever has not spoken these words yet
        return said

    assert run(listen()) == ["I", " am"]


def test_an_engine_without_a_word_is_followed_by_the_next() -> None:
    assert run(heard(chain_with(Talker(words=()), link("second"))))[1] == {"second"}


def test_where_nobody_answers_all_reasons_are_told() -> None:
    engine = chain_of(link("first", **FAILS), link("second", **HANGS))
    with pytest.raises(EngineRuntimeError) as raised:
        run(heard(engine))
    assert raised.value.message == (
        "no engine answers: first: this fake was told to fail; second: second said nothing "
        "within 2 s"
    )
    assert not raised.value.retryable


def test_what_a_library_says_is_told_to_nobody() -> None:
    class Broken(Talker):
        async def before(self) -> None:
            raise ValueError("the secret words")

    engine = chain_with(Broken())
    with pytest.raises(EngineRuntimeError) as raised:
        run(heard(engine))
    assert raised.value.message == "no engine answers: mine: the engine failed: ValueError"


# Kept out


def test_an_engine_that_keeps_failing_is_not_waited_for() -> None:
    engine = chain_of(link("first", **FAILS), link("second"))

    async def ask() -> list[dict[str, str]]:
        return [(await heard(engine), dict(engine.outages()))[1] for _ in range(3)]

    out = {"first": "this fake was told to fail"}
    assert run(ask()) == [{}, out, out]


def test_while_it_is_kept_out_the_next_one_answers_at_once() -> None:
    class Dead(Talker):
        async def before(self) -> None:
            await asyncio.sleep(60)

    engine = chain_with(Dead(), link("second"))

    async def ask() -> list[float]:
        return [(await heard(engine))[2] for _ in range(4)]

    assert run(ask()) == [DEADLINE_S, DEADLINE_S, 0.0, 0.0]


def test_after_the_cool_down_one_reply_tries_it_and_finds_it_back() -> None:
    class Ill(Talker):
        async def before(self) -> None:
            if now() < 20:
                await asyncio.sleep(60)

    engine = chain_with(Ill(), link("second"))

    async def ask() -> list[set[str]]:
        speakers = [(await heard(engine))[1] for _ in range(3)]
        await asyncio.sleep(30)
        both = await asyncio.gather(heard(engine), heard(engine))
        return [*speakers, *(one[1] for one in both), (await heard(engine))[1]]

    spoke = run(ask())
    assert spoke[:3] == [{"second"}] * 3
    assert sorted(spoke[3:5], key=str) == [{"mine"}, {"second"}]  # one tries, one does not wait
    assert spoke[5] == {"mine"}
    assert engine.outages() == {}


def test_a_reply_that_is_left_before_its_first_word_blames_nobody() -> None:
    engine = chain_of(link("first", **HANGS), link("second"), n_failures=1)

    async def leave() -> None:
        reading = asyncio.ensure_future(heard(engine))
        await asyncio.sleep(1)
        reading.cancel()
        await asyncio.wait([reading])

    run(leave())
    assert engine.outages() == {}


def test_a_reply_that_is_left_later_counts_as_an_answer() -> None:
    class Unreliable(Talker):
        n = 0

        async def before(self) -> None:
            self.n += 1
            if self.n % 2 == 0:
                raise ValueError

    engine = chain_with(Unreliable(), link("second"))

    async def ask() -> None:
        for _ in range(4):
            deltas = engine.reply(QUESTION, "en")
            await anext(deltas)
            await deltas.aclose()

    run(ask())
    assert engine.outages() == {}


def test_an_engine_that_is_cut_off_each_time_is_kept_out_too() -> None:
    engine = chain_of(link("first", fail_after_deltas=1), link("second"))

    async def ask() -> list[str]:
        said = []
        for _ in range(3):
            try:
                said.append((await heard(engine))[0])
            except EngineRuntimeError as error:
                said.append(error.message)
        return said

    assert run(ask()) == ["this fake was told to fail"] * 2 + ["I am second."]


def test_where_all_are_kept_out_all_are_tried_since_there_is_nothing_to_lose() -> None:
    class Ill(Talker):
        async def before(self) -> None:
            if now() < 1:
                raise ValueError

    engine = chain_with(Ill(), link("second", **FAILS), n_failures=1)

    async def ask() -> tuple[str, set[str], float]:
        with pytest.raises(EngineRuntimeError):
            await heard(engine)
        assert set(engine.outages()) == {"mine", "second"}
        await asyncio.sleep(2)
        return await heard(engine)

    assert run(ask()) == ("Hm. Yes.", {"mine"}, 0.0)
    assert set(engine.outages()) == {"second"}


def test_what_an_engine_must_not_say_is_no_reason_to_keep_it_out() -> None:
    class Prim(Talker):
        async def before(self) -> None:
            raise ReplyBlockedError("not that", stage="llm")

    engine = chain_with(Prim(), link("second"), n_failures=1)
    assert run(heard(engine))[1] == {"second"}
    assert engine.outages() == {}


def test_a_language_that_an_engine_does_not_know_is_for_the_others() -> None:
    engine = chain_of(link("first", languages=["es"]), link("second", languages=["en", "es"]))
    assert engine.capabilities.languages == ("es", "en")
    assert run(heard(engine, "en"))[1] == {"second"}
    assert run(heard(engine, "es"))[1] == {"first"}
    with pytest.raises(EngineInputError):
        run(heard(engine, "zh"))


def test_what_comes_of_each_engine_is_told() -> None:
    engine = chain_of(link("a", **FAILS), link("b", **HANGS), link("c", fail_after_deltas=1))
    told: list[tuple[str, str]] = []
    engine.watch(lambda name, outcome: told.append((name, outcome)))

    async def ask() -> None:
        with pytest.raises(EngineRuntimeError):
            await heard(engine)
        for _ in range(2):
            await heard(engine)

    run(ask())
    assert told == [
        *(("a", "failed"), ("b", "late"), ("c", "answered"), ("c", "cut")),
        *(("a", "failed"), ("b", "answered")),
        *(("a", "kept_out"), ("b", "answered")),
    ]


# Loading


def test_an_engine_that_does_not_load_is_left_out_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = chain_of(link("first", fail_load=True), link("second"))
    assert run(heard(engine))[1] == {"second"}
    assert engine.outages() == {"first": "this fake was told not to load"}
    assert [r.getMessage() for r in caplog.records] == [
        "first is left out: this fake was told not to load"
    ]


def test_a_chain_of_which_nothing_loads_does_not_load() -> None:
    with pytest.raises(EngineLoadError) as raised:
        chain_of(link("first", fail_load=True), link("second", fail_load=True))
    assert raised.value.message == (
        "no engine loads: first: this fake was told not to load; "
        "second: this fake was told not to load"
    )


@pytest.mark.parametrize(
    ("engines", "words"),
    [
        ([], "engines"),
        ([{"engine": "rules"}, {"engine": "rules"}], "two engines have one name"),
        ([{"engine": "chain"}], "a chain is no link of a chain"),
        ([{"engine": "rules", "options": {"timezone": "UTC"}}], "'rules', timezone"),
        ([{"engine": "no-such"}], "unknown llm engine 'no-such'; this build has: chain, fake"),
        ([{"engine": "rules", "first_token_timeout": 1}], "first_token_timeout"),
    ],
)
def test_a_chain_that_cannot_work_is_found_before_anything_starts(
    engines: list[dict[str, Any]], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        check_options("llm", "chain", {"engines": engines})
    with pytest.raises(ConfigError, match=words):
        read_config({"llm": {"engine": "chain", "options": {"engines": engines}}})


def test_the_graph_waits_until_the_last_engine_has_had_its_time() -> None:
    options = {"engines": [{"engine": "fake"}, {"engine": "rules"}]}  # 3 s each
    read_config({"llm": {"engine": "chain", "options": options, "first_output_timeout_s": 7}})
    with pytest.raises(ConfigError, match=r"6 s together .*first_output_timeout_s is 6"):
        read_config({"llm": {"engine": "chain", "options": options, "first_output_timeout_s": 6}})


# On a replica


class Told:
    """What an observer is told."""

    def __init__(self) -> None:
        self.usages: list[tuple[str, TokenUsage]] = []
        self.outcomes: list[tuple[str, str]] = []
        self.standings: list[dict[str, bool]] = []

    def used(self, engine: str, usage: TokenUsage) -> None:
        self.usages.append((engine, usage))

    def attempted(self, engine: str, outcome: str) -> None:
        self.outcomes.append((engine, outcome))

    def standing(self, is_out: Any) -> None:
        self.standings.append(dict(is_out))


def replica(*links: dict[str, Any]) -> tuple[Llm, Told]:
    told = Told()
    options = {"engines": list(links), "n_failures": 1}
    return Llm(LlmConfig(engine="chain", options=options), lambda: told), told


async def said_by(llm: Llm) -> list[ReplyDelta]:
    return [delta async for delta in llm.reply(QUESTION, "en")]


async def test_a_replica_says_that_the_best_engine_is_out_until_it_is_back() -> None:
    llm, told = replica(link("first", fail_on_call=1), link("second"))
    assert (await llm.status()).trouble == ""
    await said_by(llm)
    status = await llm.status()
    assert status.trouble == "first is out, the next ones answer: this fake was told to fail"
    await llm.check_health()
    assert told.outcomes == [("first", "failed"), ("second", "answered")]
    assert told.standings == [{"first": True, "second": False}]


async def test_that_another_engine_is_out_troubles_nobody() -> None:
    llm, told = replica(link("first"), link("second", fail_load=True))
    await said_by(llm)
    assert (await llm.status()).trouble == ""
    await llm.check_health()
    assert told.standings == [{"first": False, "second": True}]


async def test_a_replica_whose_replies_fail_says_why_until_one_succeeds() -> None:
    llm = Llm(LlmConfig(engine="fake", options={"fail_on_call": 1}))
    with pytest.raises(EngineRuntimeError):
        await said_by(llm)
    assert (await llm.status()).trouble == "the last reply failed: this fake was told to fail"
    await said_by(llm)
    assert (await llm.status()).trouble == ""


async def test_what_a_reply_took_is_counted_once_and_goes_no_further() -> None:
    prices = {"usd_per_million_prompt_tokens": 1e6, "usd_per_million_output_tokens": 5e5}
    llm, told = replica(link("first", text="One two three.", prices=prices))
    deltas = await said_by(llm)
    assert "".join(delta.text for delta in deltas) == "One two three."
    assert {(delta.engine, delta.usage) for delta in deltas} == {("first", None)}
    assert told.usages == [("first", TokenUsage(1, 3, 2.5))]


async def test_a_reply_that_is_left_is_counted_too() -> None:
    llm, told = replica(link("first", text="One two three."))
    deltas = llm.reply(QUESTION, "en")
    await anext(deltas)
    await deltas.aclose()
    ((engine, usage),) = told.usages
    assert (engine, usage.n_prompt) == ("first", 1)
    assert usage.n_output >= 1


# Engines of the tests' own


class Talker:
    """Thinks ``thoughts`` times, and says ``words``."""

    capabilities = LlmCapabilities("talker", ("en",))

    def __init__(self, words: Sequence[str] = ("Hm.", " Yes.")) -> None:
        self.words, self.thoughts = words, 0

    async def before(self) -> None:
        """What it does first."""

    async def reply(
        self, messages: Sequence[Message], language: str
    ) -> AsyncGenerator[ReplyDelta, None]:
        await self.before()
        for _ in range(self.thoughts):
            yield ReplyDelta("")
        for word in self.words:
            yield ReplyDelta(word)


def chain_with(mine: Talker, *others: dict[str, Any], n_failures: int = 2) -> ChainLlm:
    """A chain in virtual time whose first engine, ``mine``, is the talker."""
    options = {"engines": [link("mine"), *others], "n_failures": n_failures, "cool_down_s": 30.0}
    settings = ChainLlm.Settings.model_validate(options)
    loads: dict[str, Callable[[], Any]] = {"I am mine.": lambda: mine}

    def load(stage: str, engine: str, options: dict[str, Any]) -> Any:
        return loads.get(options["text"], lambda: load_engine(stage, engine, options))()

    return ChainLlm(settings, load=load, now=now)
