"""What an operator is told of a turn: one line, one trace, the same figures as the client."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from deployments.caller import Caller as Ids
from deployments.errors import EngineRuntimeError
from graph.record import TurnRecord
from tests.web_fakes import QUESTION, REPLY, Caller, World, clip, make_world, multipart
from web.traces import TurnTraces
from web.turn_log import log_turn

TURN = "/api/v1/conversation"


class Watched:
    """A world with all observers of an ingress, and what they were told."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.records: list[TurnRecord] = []
        self._exporter = InMemorySpanExporter()
        self._traces = TurnTraces(self._exporter)
        observers = (self.records.append, log_turn, self._traces.record)
        self.world: World = make_world(folder, on_turn=observers, **settings)
        self._is_closed = False

    def spans(self) -> dict[str, ReadableSpan]:
        """All that were sent, by name; there is one turn in each test."""
        self.close()
        return {span.name: span for span in self._exporter.get_finished_spans()}

    def close(self) -> None:
        if not self._is_closed:
            self._traces.close()
        self._is_closed = True


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    one = Watched(tmp_path)
    yield one
    one.close()


async def ask(world: World, path: str, **fields: Any) -> Any:
    files = {k: ("file", v) if isinstance(v, bytes) else (None, v) for k, v in fields.items()}
    async with world.client() as client:
        return await client.post(path, files=files)


def done_of(answer: Any) -> dict[str, Any]:
    """The last event of a stream."""
    name, data = answer.text.strip().split("\n\n")[-1].split("\n")
    assert name == "event: done"
    done: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return done


def line_of(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The fields of the one line that tells of a turn."""
    (record,) = [r for r in caplog.records if r.getMessage().startswith("turn ")]
    assert record.name == "avatar.web"
    return vars(record)


def length_ms(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e6


def event_ms(span: ReadableSpan, name: str) -> float:
    """Since the span's beginning."""
    assert span.start_time is not None
    (event,) = [event for event in span.events if event.name == name]
    return (event.timestamp - span.start_time) / 1e6


async def test_client_line_and_trace_have_the_same_figures(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "avatar.web"):
        answer = await ask(watched.world, TURN + "/stream", audio=clip(1.0))

    timings = done_of(answer)["timings"]
    assert line_of(caplog)["timings"] == timings
    spans = watched.spans()
    traced = {
        "decode_ms": length_ms(spans["decode"]),
        "asr_ms": length_ms(spans["asr"]),
        "llm_first_token_ms": event_ms(spans["llm"], "llm_first_token"),
        "llm_ms": length_ms(spans["llm"]),
        "tts_first_audio_ms": event_ms(spans["tts"], "tts_first_audio"),
        "avatar_first_frame_ms": event_ms(spans["avatar"], "avatar_first_frame"),
        "ttfa_ms": event_ms(spans["turn"], "first_audio"),
        "ttff_ms": event_ms(spans["turn"], "first_fragment"),
        "turn_ms": length_ms(spans["turn"]),
    }
    told = {name: timings[name] for name in traced}
    assert traced == pytest.approx(told, abs=0.002)  # told to a thousandth of a millisecond


async def test_the_line_says_all_that_an_operator_may_know(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "avatar.web"):
        answer = await ask(watched.world, TURN, audio=clip(1.0))

    line = line_of(caplog)
    (record,) = watched.records
    ids = {name: line[name] for name in ("request_id", "turn_id", "session_id")}
    assert ids == {
        "request_id": answer.headers["x-request-id"],
        "turn_id": answer.headers["x-turn-id"],
        "session_id": answer.headers["x-session-id"],
    }
    assert record.caller == Ids(**ids)
    assert line["outcome"] == "finished"
    assert line["language"] == "en"
    assert line["engines"] == {s: f"fake-{s}" for s in ("asr", "llm", "tts", "avatar")}
    assert line["n_bytes"] == len(answer.content)
    assert line["n_frames"] == 20 + 8  # 0.8 s of speech and the tail
    assert line["n_late_frames"] == 0
    assert line["queue_ms"] >= 0
    assert not line["is_shortened"]


async def test_nothing_that_was_said_is_logged_or_traced(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await ask(watched.world, TURN, audio=clip(1.0))

    told = "".join(str(vars(record)) for record in caplog.records)
    told += "".join(span.to_json() for span in watched.spans().values())
    for said in (QUESTION, *(delta.strip() for delta in REPLY if len(delta.strip()) > 3)):
        assert said not in told


async def test_the_trace_is_one_tree_that_knows_the_turn(watched: Watched) -> None:
    answer = await ask(watched.world, TURN, text="hello", language="en")

    spans = watched.spans()
    assert list(spans) == ["queue", "llm", "tts", "avatar", "turn"]
    root = spans["turn"]
    assert root.parent is None
    assert {span.context.trace_id for span in spans.values()} == {root.context.trace_id}
    for name, span in spans.items():
        if name != "turn":
            assert span.parent is not None
            assert span.parent.span_id == root.context.span_id
    assert root.attributes is not None
    assert root.attributes["turn_id"] == answer.headers["x-turn-id"]
    assert root.attributes["engine.llm"] == "fake-llm"
    assert root.status.status_code is StatusCode.OK
    assert root.resource.attributes["service.name"] == "realtime-avatar"


async def test_the_operators_variables_name_the_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "lobby")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "floor=3")
    watched = Watched(tmp_path)
    await ask(watched.world, TURN, text="hello", language="en")

    attributes = watched.spans()["turn"].resource.attributes
    watched.close()
    assert (attributes["service.name"], attributes["floor"]) == ("lobby", "3")


async def test_a_stage_that_failed_is_the_error_in_the_trace(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.world.switches.fail["tts"] = EngineRuntimeError("secret", stage="tts")
    with caplog.at_level(logging.INFO, "avatar.web"):
        await ask(watched.world, TURN, text="hello", language="en")

    spans = watched.spans()
    failed = {n for n, s in spans.items() if s.status.status_code is StatusCode.ERROR}
    assert {"turn", "tts"} <= failed
    assert "queue" not in failed
    line = line_of(caplog)
    assert line["outcome"] == "engine_failed"
    assert line["timings"]["ttff_ms"] is None
    assert line["timings"]["turn_ms"] > 0


async def test_a_client_that_leaves_is_told_of_with_what_it_got(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    world = watched.world
    world.switches.hold, world.switches.hold_from_stretch = "avatar", 1
    body, content_type = multipart({"text": "hello", "language": "en"})
    caller = Caller(world.app, "POST", TURN, {"Content-Type": content_type})
    with caplog.at_level(logging.INFO, "avatar.web"):
        caller.start()
        await caller.upload(body)
        await caller.until_sent(b"moof")
        await asyncio.wait_for(world.switches.is_held.wait(), 5)
        await caller.leave()

    line = line_of(caplog)
    assert line["outcome"] == "cancelled"
    assert 0 < line["timings"]["ttff_ms"] <= line["timings"]["turn_ms"]
    assert line["n_frames"] == 10  # the first stretch
    assert watched.spans()["turn"].status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("path", [TURN, TURN + "/stream"])
async def test_every_stage_is_told_for_whom_it_works(watched: Watched, path: str) -> None:
    answer = await ask(watched.world, path, audio=clip(1.0))

    headers = answer.headers
    ids = Ids(headers["x-request-id"], headers["x-turn-id"], headers["x-session-id"])
    asked = watched.world.switches.asked
    assert {stage for stage, _ in asked} == {"asr", "llm", "tts", "avatar"}
    assert {caller for _, caller in asked} == {ids}
