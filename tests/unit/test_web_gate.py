"""Turns that wait for room, over HTTP: what they are told, and what they cost meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from deployments.errors import EngineRuntimeError, TurnRefusedError
from graph.events import Progress, QueueUpdated, ReplyFinished, Timings, TurnEvent
from graph.turn import TurnRequest
from tests.media import read_mp4
from tests.unit.test_web_turns import TURN, ask, events_in, events_of, form, problem
from tests.web_fakes import Caller, World, clip, make_world, multipart
from web.services import Services
from web.turns import PlannedTurn, run

API = "/api/v1/"
SECOND = QueueUpdated(position=2, predicted_wait_s=4.2)
FIRST = QueueUpdated(position=1, predicted_wait_s=1.0)
# Every way to ask for a turn: address, what is accepted, form fields or JSON.
WAYS: list[tuple[str, str, dict[str, Any]]] = [
    ("conversation", "video/mp4", {"text": "hello", "language": "en"}),
    ("conversation", "application/json", {"text": "hello", "language": "en"}),
    ("conversation", "*/*", {"audio": clip(1.0)}),
    ("conversation/stream", "text/event-stream", {"text": "hello", "language": "en"}),
    ("animate", "*/*", {"audio": clip(1.0)}),
    ("generate", "*/*", {"text": "hello", "language": "en"}),
]
SILENT_WAYS = [way for way in WAYS if not way[0].endswith("stream")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def refused(wait_s: float) -> TurnRefusedError:
    return TurnRefusedError("full", predicted_wait_s=wait_s)


async def post(world: World, way: tuple[str, str, dict[str, Any]]) -> Any:
    path, accept, fields = way
    async with world.client() as client:
        sent: Any = {"json": fields} if path == "generate" else {"files": form(**fields)}
        return await client.post(API + path, headers={"Accept": accept}, **sent)


async def start(world: World, path: str = TURN + "/stream", accept: str = "*/*") -> Caller:
    """A question on its way."""
    body, content_type = multipart({"text": "hello", "language": "en"})
    caller = Caller(world.app, "POST", path, {"Content-Type": content_type, "Accept": accept})
    caller.start()
    await caller.upload(body)
    return caller


async def until_it_waits(world: World) -> None:
    await asyncio.wait_for(world.gate.is_awaited.wait(), 5)


# Let in


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]} {way[1]}")
async def test_a_turn_that_is_let_in_at_once_hears_nothing_of_the_gate(
    world: World, way: tuple[str, str, dict[str, Any]]
) -> None:
    answer = await post(world, way)

    assert answer.status_code == 200
    assert b"event: queue" not in answer.content
    assert world.admissions == [("admitted", 0.0)]
    assert world.outcomes == ["finished"]
    assert (world.gate.inside, len(world.gate.left)) == ([], 1)


async def test_a_waiting_stream_tells_each_place_and_then_the_turn(world: World) -> None:
    world.gate.shut(SECOND, FIRST, None)

    answer = await ask(world, TURN + "/stream", text="hello", language="en")

    events = events_of(answer)
    assert events[:2] == [
        ("queue", {"position": 2, "predicted_wait_s": 4.2}),
        ("queue", {"position": 1, "predicted_wait_s": 1.0}),
    ]
    assert [name for name, _ in events[2:3] + events[-1:]] == ["transcript", "done"]
    assert world.gate.left == [answer.headers["x-turn-id"]]
    assert world.outcomes == ["finished"]
    ((admission, wait_ms),) = world.admissions
    assert admission == "queued"
    assert wait_ms is not None
    assert 0 < wait_ms < 5000


async def test_a_stream_opens_once_it_is_queued(world: World) -> None:
    world.gate.shut(SECOND)
    caller = await start(world)

    await caller.until_sent(b"event: queue")

    assert caller.sent[0]["status"] == 200
    assert events_in(caller.body.decode()) == [("queue", {"position": 2, "predicted_wait_s": 4.2})]
    await caller.leave()


@pytest.mark.parametrize("accept", ["video/mp4", "application/json"])
async def test_a_client_that_wants_no_events_waits_in_silence(world: World, accept: str) -> None:
    world.gate.shut(SECOND, FIRST)
    caller = await start(world, TURN, accept)
    await until_it_waits(world)
    assert caller.sent == []

    world.gate.tell(None)
    await caller.until_answered()

    assert caller.sent[0]["status"] == 200
    if accept == "video/mp4":
        assert len(read_mp4(caller.body).frame_times_s) == 28


@pytest.mark.parametrize("path", [TURN, TURN + "/stream"])
async def test_a_turn_that_waits_runs_nothing_and_holds_no_disk(world: World, path: str) -> None:
    world.gate.shut(SECOND)
    caller = await start(world, path)
    await until_it_waits(world)

    assert (world.switches.histories, world.switches.running) == ([], 0)
    assert world.media() == []
    assert world.outcomes == []
    await caller.leave()


async def test_the_time_in_the_queue_counts_until_the_first_picture(world: World) -> None:
    world.gate.shut(SECOND, None)

    answer = await ask(world, accept="application/json", text="hello", language="en")

    ((_, wait_ms),) = world.admissions
    assert wait_ms is not None
    assert answer.json()["timings"]["ttff_ms"] > wait_ms


# Refused


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]} {way[1]}")
async def test_a_refusal_at_once_is_a_status_that_says_when(
    world: World, way: tuple[str, str, dict[str, Any]]
) -> None:
    world.gate.shut(refused(2.2))

    answer = await post(world, way)

    assert problem(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "3"
    assert "about 3 s" in answer.json()["detail"]
    assert (world.admissions, world.outcomes) == ([("refused", None)], ["overloaded"])
    assert (world.switches.histories, world.media()) == ([], [])
    assert (world.gate.waiting, len(world.gate.left)) == ([], 1)


@pytest.mark.parametrize(("wait_s", "told"), [(0.0, "1"), (0.4, "1"), (12.0, "12"), (12.1, "13")])
async def test_what_is_predicted_is_rounded_up_to_at_least_a_second(
    world: World, wait_s: float, told: str
) -> None:
    world.gate.shut(refused(wait_s))

    answer = await ask(world, text="hello", language="en")

    assert answer.headers["retry-after"] == told


async def test_a_stream_that_waited_in_vain_ends_with_an_error_event(world: World) -> None:
    world.gate.shut(SECOND, refused(7.5))

    answer = await ask(world, TURN + "/stream", text="hello", language="en")

    assert answer.status_code == 200
    (queue, _), (name, told) = events_of(answer)
    assert (queue, name) == ("queue", "error")
    assert told == {
        "type": "urn:realtime-avatar:problem:overloaded",
        "title": "Overloaded",
        "status": 503,
        "detail": "There should be room for one more in about 8 s; try again then.",
        "code": "overloaded",
        "request_id": answer.headers["x-request-id"],
        "retry_after_s": 8,
    }
    assert (world.admissions, world.outcomes) == ([("expired", None)], ["overloaded"])
    assert world.gate.left == [answer.headers["x-turn-id"]]


@pytest.mark.parametrize("way", SILENT_WAYS, ids=lambda way: f"{way[0]} {way[1]}")
async def test_who_waited_in_silence_in_vain_still_gets_a_status(
    world: World, way: tuple[str, str, dict[str, Any]]
) -> None:
    world.gate.shut(SECOND, FIRST, refused(7.5))

    answer = await post(world, way)

    assert problem(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "8"
    assert world.admissions == [("expired", None)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"text": "hi", "avatar": "nobody"}, (404, "not_found")),
        ({"text": "?!"}, (400, "bad_request")),
        ({"audio": b"noise"}, (415, "unsupported_media")),
        ({"audio": clip(1.0, loudness=0.0)}, (422, "no_speech")),
    ],
)
async def test_what_could_never_be_answered_does_not_wait_for_room(
    world: World, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    world.gate.shut()

    assert problem(await ask(world, **fields)) == expected
    assert (world.admissions, world.gate.left) == ([], [])


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("transcribe", {"files": form(audio=clip(1.0))}),
        ("chat", {"json": {"message": "hello", "language": "en"}}),
        ("speak", {"json": {"text": "hello", "language": "en"}}),
    ],
)
async def test_a_single_stage_without_a_face_passes_no_gate(
    world: World, path: str, sent: dict[str, Any]
) -> None:
    world.gate.shut()

    async with world.client() as client:
        answer = await client.post(API + path, **sent)

    assert answer.status_code == 200
    assert (world.admissions, world.gate.left) == ([], [])


async def test_a_gate_that_fails_is_counted_as_a_failure_and_not_as_somebody_who_left(
    world: World,
) -> None:
    world.gate.shut(EngineRuntimeError("lost", stage="admission"))

    answer = await ask(world, text="hello", language="en")

    assert answer.status_code >= 500
    assert world.admissions == [("failed", None)]
    assert world.outcomes == ["engine_failed"]
    assert (world.gate.waiting, world.gate.inside) == ([], [])


# Left, and ended


@pytest.mark.parametrize("path", [TURN, TURN + "/stream"])
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
async def test_a_client_that_leaves_the_queue_gives_its_place_back(
    world: World, path: str, accept: str
) -> None:
    world.gate.shut(SECOND)
    caller = await start(world, path, accept)
    await until_it_waits(world)
    (turn_id,) = world.gate.waiting

    await caller.leave()

    assert (world.gate.waiting, world.gate.inside, world.gate.left) == ([], [], [turn_id])
    assert (world.admissions, world.outcomes) == ([("left", None)], ["cancelled"])
    assert (world.switches.histories, world.media()) == ([], [])


@pytest.mark.parametrize("path", [TURN, TURN + "/stream"])
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
@pytest.mark.parametrize("ending", ["finished", "engine_failed", "cancelled"])
async def test_the_gate_hears_that_a_turn_has_ended_however_it_ends(
    world: World, path: str, accept: str, ending: str
) -> None:
    world.switches.hold = "avatar"
    caller = await start(world, path, accept)
    await asyncio.wait_for(world.switches.is_held.wait(), 5)
    (turn_id,) = world.gate.inside

    if ending == "engine_failed":
        world.switches.fail["avatar"] = EngineRuntimeError("lost", stage="avatar")
    if ending == "cancelled":
        await caller.leave()
    else:
        world.switches.released.set()
        await caller.until_answered()

    assert (world.gate.inside, world.gate.left) == ([], [turn_id])
    assert world.outcomes == [ending]
    if ending == "finished":
        assert not Headers(raw=caller.sent[0]["headers"]).get("retry-after")


async def test_the_gate_hears_how_a_turn_comes_on(world: World) -> None:
    services: Services = world.services
    progress = Progress(spoken_s=2.0, sent_s=1.0, ahead_s=0.5, is_all_spoken=False)

    async def told_once(request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        request.on_progress(progress)
        yield ReplyFinished("hello", "Hello.", "en", Timings(), {})

    request = TurnRequest(None, "hello", "en", "grey", services.now())
    plan = PlannedTurn("turn-0001", "session-1", True, request, told_once, is_kept=False)
    async with aclosing(run(plan, services)) as events:
        assert [type(event).__name__ async for event in events] == ["TurnEnded"]

    assert world.gate.progress == [("turn-0001", progress)]
    request.on_progress(replace(progress, sent_s=2.0))  # the plan itself is as it was
    assert len(world.gate.progress) == 1
