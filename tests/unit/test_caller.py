"""Ids travel with a call and stand in its line; what was said does not."""

import asyncio
import logging
from collections.abc import Iterator

import numpy as np
import pytest

from deployments.asr.deployment import Asr
from deployments.caller import CALLER, NOBODY, Call, Caller, logger_of
from deployments.config import AsrConfig, LlmConfig, TtsConfig
from deployments.errors import EngineRuntimeError
from deployments.llm.deployment import Llm
from deployments.tts.deployment import Tts
from deployments.types import AudioChunk, Effort, Message, ReplySentence

SOMEBODY = Caller("request-1", "turn-1", "session-1")
IDS = {"request_id": "request-1", "turn_id": "turn-1", "session_id": "session-1"}
STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime"}


class _Kept(logging.Handler):
    """Keeps records as a process's own handler would get them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def fields(self) -> list[dict[str, object]]:
        """What a JSON line would show beside the standard ones."""
        return [{k: v for k, v in vars(r).items() if k not in STANDARD} for r in self.records]


@pytest.fixture
def kept() -> Iterator[_Kept]:
    logger, handler = logging.getLogger("ray.serve.avatar"), _Kept()
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)
    logger.propagate = propagates


class _Ticks:
    """A clock that is a second further each time it is read."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


async def test_a_line_says_for_whom_it_was_written_and_so_do_those_of_tasks() -> None:
    logger, handler = logger_of("avatar.test_caller"), _Kept()
    logger.addHandler(handler)

    async def inner() -> None:
        logger.warning("inner")

    async def outer() -> None:
        CALLER.set(SOMEBODY)
        logger.warning("outer")
        await asyncio.create_task(inner())

    await asyncio.create_task(outer())
    logger.warning("nobody")
    logger.removeHandler(handler)

    assert handler.fields == [IDS, IDS, CALLER.get().fields()]


async def test_a_call_is_one_line_with_its_ids_and_times(kept: _Kept) -> None:
    async def work() -> None:
        with Call("tts", SOMEBODY, _Ticks()) as call:
            call.made(Effort("r", 0.25, 1.5))
            call.made(Effort("r", 0.5, 2.0))

    await asyncio.create_task(work())

    assert [record.getMessage() for record in kept.records] == ["tts call: finished"]
    assert kept.fields == [
        {
            **IDS,
            "stage": "tts",
            "outcome": "finished",
            "n_outputs": 2,
            "took_ms": 2000.0,
            "first_output_ms": 1000.0,
            "busy_ms": 750.0,
            "media_s": 3.5,
        }
    ]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (EngineRuntimeError("secret words"), "EngineRuntimeError"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
    ],
)
async def test_a_call_that_fails_says_how_but_not_what_was_said(
    kept: _Kept, error: BaseException, outcome: str
) -> None:
    with pytest.raises(type(error)), Call("llm", SOMEBODY):
        raise error

    (fields,) = kept.fields
    assert fields["outcome"] == outcome
    assert "secret" not in str(fields) + kept.records[0].getMessage()


async def test_work_for_nobody_is_not_logged(kept: _Kept) -> None:
    with Call("avatar", NOBODY):
        pass
    assert kept.records == []


async def test_each_stage_logs_the_calls_that_are_made_for_somebody(kept: _Kept) -> None:
    sound = AudioChunk(np.full(16_000, 0.1, np.float32), 16_000)

    async def work() -> None:
        await Asr(AsrConfig(engine="fake")).transcribe(sound, "en", SOMEBODY)
        question = (Message("user", "secret words"),)
        llm = Llm(LlmConfig(engine="fake"))
        assert [delta async for delta in llm.reply(question, "en", SOMEBODY)]
        tts = Tts(TtsConfig(engine="fake"))
        sentence = ReplySentence(0, "Secret words.", True)
        assert [chunk async for chunk in tts.speak(sentence, "en", None, SOMEBODY)]

    await asyncio.create_task(work())

    told = [(f["stage"], f["outcome"], f["turn_id"]) for f in kept.fields]
    assert told == [(stage, "finished", "turn-1") for stage in ("asr", "llm", "tts")]
    lines = str(kept.fields) + str([r.getMessage() for r in kept.records])
    assert "ecret" not in lines
