"""A turn over HTTP: three kinds of answer, and what happens when something goes wrong."""

import asyncio
import base64
import errno
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from deployments.errors import (
    AvatarError,
    EngineRuntimeError,
    StageOverloadedError,
    StageTimeoutError,
)
from deployments.types import Message
from graph.events import QueueUpdated
from tests.media import read_mp4
from tests.web_fakes import (
    QUESTION,
    REPLY,
    Caller,
    World,
    clip,
    make_world,
    multipart,
    ready,
)
from web.streaming import AnswerCutError

TURN = "/api/v1/conversation"
REPLY_TEXT = "".join(REPLY)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def form(**fields: Any) -> dict[str, Any]:
    return {k: ("file", v) if isinstance(v, bytes) else (None, v) for k, v in fields.items()}


async def ask(world: World, path: str = TURN, *, accept: str = "*/*", **fields: Any) -> Any:
    async with world.client() as client:
        return await client.post(path, files=form(**fields), headers={"Accept": accept})


def events_of(answer: httpx.Response) -> list[tuple[str, Any]]:
    """The events of a stream; fails unless each is one event line and one data line."""
    return events_in(answer.text)


def events_in(text: str) -> list[tuple[str, Any]]:
    events = []
    for block in text.split("\n\n")[:-1]:
        if block.startswith(":"):
            continue
        first, second = block.split("\n")
        assert first.startswith("event: ")
        assert second.startswith("data: ")
        events.append((first.removeprefix("event: "), json.loads(second.removeprefix("data: "))))
    return events


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "request_id"}
    assert body["status"] == answer.status_code
    assert body["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, body["code"]


# The three answers


@pytest.mark.parametrize("accept", ["*/*", "video/mp4", "video/mp4, application/json;q=0.5"])
async def test_a_spoken_question_is_answered_by_a_whole_video(world: World, accept: str) -> None:
    answer = await ask(world, accept=accept, audio=clip(1.0))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    video = read_mp4(answer.content)
    assert video.codecs == ("h264", "aac")
    assert len(video.frame_times_s) == 20 + 8  # two sentences of 0.4 s, and the tail
    assert answer.content[-16:-8] == b"\x00\x00\x00\x10mfro"
    assert world.outcomes == ["finished"]


async def test_the_whole_turn_as_json(world: World) -> None:
    answer = await ask(world, accept="application/json", audio=clip(1.0))

    body = answer.json()
    turn_id, session_id = answer.headers["x-turn-id"], answer.headers["x-session-id"]
    timings = body.pop("timings")
    assert body == {
        "turn_id": turn_id,
        "session_id": session_id,
        "user_text": QUESTION,
        "response_text": REPLY_TEXT,
        "language": "en",
        "video_url": f"/api/v1/turns/{turn_id}/video",
        "engines": {
            "asr": "fake-asr", "llm": "fake-llm", "tts": "fake-tts", "avatar": "fake-avatar"
        },
    }  # fmt: skip
    assert timings["audio_s"] == pytest.approx(0.8)
    assert timings["ladder"] == []
    assert 0 < timings["decode_ms"] < timings["ttfa_ms"] <= timings["ttff_ms"]
    assert timings["ttff_ms"] <= timings["turn_ms"]
    assert timings["rtf"] == pytest.approx(timings["turn_ms"] / 800, abs=0.001)


async def test_the_turn_as_events(world: World) -> None:
    answer = await ask(world, TURN + "/stream", audio=clip(1.0))

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = events_of(answer)
    assert events[0] == ("transcript", {"text": QUESTION, "language": "en"})
    assert "".join(data["text"] for name, data in events if name == "reply") == REPLY_TEXT
    videos = [data for name, data in events if name == "video"]
    assert [video["index"] for video in videos] == list(range(len(videos)))
    assert [("mime" in video) for video in videos] == [True] + [False] * (len(videos) - 1)
    assert videos[0]["mime"].startswith('video/mp4; codecs="avc1.')
    whole = b"".join(base64.b64decode(video["data"]) for video in videos)
    assert len(read_mp4(whole).frame_times_s) == 28
    name, done = events[-1]
    assert name == "done"
    assert done["turn_id"] == answer.headers["x-turn-id"]
    assert done["session_id"] == answer.headers["x-session-id"]
    assert done["timings"]["audio_s"] == pytest.approx(0.8)
    assert done["engines"]["llm"] == "fake-llm"


async def test_a_typed_question_needs_no_sound(world: World) -> None:
    answer = await ask(world, accept="application/json", text="What is the time?")

    assert answer.json()["user_text"] == "What is the time?"
    assert answer.json()["timings"]["asr_ms"] is None


async def test_the_stored_video_is_the_one_that_was_sent(world: World) -> None:
    answer = await ask(world, text="hello", language="en-US")

    async with world.client() as client:
        stored = await client.get(f"/api/v1/turns/{answer.headers['x-turn-id']}/video")
    assert stored.content == answer.content


@pytest.mark.parametrize("container", ["wav", "mp3", "webm", "ogg", "flac", "mp4"])
async def test_any_common_container_may_be_sent(world: World, container: str) -> None:
    answer = await ask(world, accept="application/json", audio=clip(1.0, container))

    assert answer.json()["user_text"] == QUESTION


async def test_an_untouched_form_field_is_no_value(world: World) -> None:
    answer = await ask(world, text="hello", language="", session_id="", voice="", avatar="")

    assert answer.status_code == 200


# Sessions


async def test_a_session_remembers_its_turns(world: World) -> None:
    first = await ask(world, text="My name is Ada.")
    session_id = first.headers["x-session-id"]

    second = await ask(world, text="Who am I?", session_id=session_id)

    assert second.headers["x-session-id"] == session_id
    assert world.switches.histories[1] == (
        Message("user", "My name is Ada."),
        Message("assistant", REPLY_TEXT),
        Message("user", "Who am I?"),
    )


async def test_history_may_come_from_the_client(world: World) -> None:
    lines = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]

    await ask(world, text="And now?", history=json.dumps(lines))

    assert world.switches.histories == [
        (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "And now?"))
    ]


@pytest.mark.parametrize("is_a_session", [True, False])
async def test_a_model_reads_no_more_history_than_the_profile_allows(
    tmp_path: Path, is_a_session: bool
) -> None:
    newest = (Message("user", "Second."), Message("assistant", REPLY_TEXT))
    n_characters = sum(len(message.content) for message in newest)
    world = make_world(tmp_path, max_history_chars=n_characters + len(REPLY_TEXT))

    if is_a_session:
        first = await ask(world, text="First.", language="en")
        fields = {"session_id": first.headers["x-session-id"]}
        await ask(world, text="Second.", language="en", **fields)
    else:
        older = (Message("user", "First."), Message("assistant", REPLY_TEXT))
        lines = [{"role": m.role, "content": m.content} for m in (*older, *newest)]
        fields = {"history": json.dumps(lines)}
    await ask(world, text="Third.", language="en", **fields)

    assert world.switches.histories[-1] == (*newest, Message("user", "Third."))


async def test_two_sessions_know_nothing_of_each_other(world: World) -> None:
    await ask(world, text="My name is Ada.")
    await ask(world, text="Who am I?")

    assert world.switches.histories[1] == (Message("user", "Who am I?"),)


# What is refused


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (400, "bad_request")),
        ({"audio": b"x", "text": "y"}, (400, "bad_request")),
        ({"text": "hi", "colour": "blue"}, (400, "bad_request")),
        ({"text": "hi", "history": "{"}, (400, "bad_request")),
        ({"text": "hi", "history": '{"role": "user"}'}, (400, "bad_request")),
        ({"text": "hi", "history": '[{"role": "god", "content": ""}]'}, (400, "bad_request")),
        ({"text": "hi", "history": "[" * 100_000}, (400, "bad_request")),
        ({"text": "hi", "history": "[]", "session_id": "abcdefgh"}, (400, "bad_request")),
        ({"text": "?!"}, (400, "bad_request")),
        ({"text": "x" * 2001}, (413, "too_large")),
        ({"text": "hi", "avatar": "nobody"}, (404, "not_found")),
        ({"text": "hi", "avatar": "../../etc/passwd"}, (404, "not_found")),
        ({"text": "hi", "voice": "nobody"}, (404, "not_found")),
        ({"text": "hi", "session_id": "unknown-session"}, (404, "not_found")),
        ({"text": "hi", "session_id": "../../etc"}, (404, "not_found")),
        ({"text": "hi", "language": "fr"}, (422, "unsupported_language")),
        ({"text": "hi", "language": "not a tag"}, (422, "unsupported_language")),
        ({"text": "hi", "language": "en", "voice": "alta"}, (422, "unsupported_language")),
        ({"audio": clip(1.0), "language": "es"}, (422, "unsupported_language")),
        ({"audio": clip(1.0), "voice": "alta"}, (422, "unsupported_language")),
        ({"audio": clip(1.0, loudness=0.0)}, (422, "no_speech")),
        ({"audio": clip(0.1)}, (422, "no_speech")),
        ({"audio": clip(121.0, rate_hz=8_000)}, (413, "too_large")),
        ({"audio": b""}, (415, "unsupported_media")),
        ({"audio": b"noise" * 999}, (415, "unsupported_media")),
    ],
)
@pytest.mark.parametrize("path", [TURN, TURN + "/stream"])
async def test_what_cannot_be_answered_is_refused(
    world: World, path: str, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    # An empty form is still a form.
    answer = await ask(world, path, **(fields or {"text": ""}))

    assert problem(answer) == expected
    assert world.media() == []
    assert world.switches.running == 0


async def test_a_body_that_is_no_form_is_refused(world: World) -> None:
    async with world.client() as client:
        no_form = await client.post(TURN, content=b"hello")
        broken = await client.post(
            TURN, content=b"--x\r\nno header", headers={"Content-Type": "multipart/form-data"}
        )
        twice = await client.post(TURN, content="text=a&text=b", headers=_URLENCODED)

    assert [problem(a) for a in (no_form, broken, twice)] == [(400, "bad_request")] * 3


@pytest.mark.parametrize("name", ["text", "history"])
async def test_a_form_whose_text_is_no_unicode_is_refused(world: World, name: str) -> None:
    value = {"text": r"half a pair: \ud800", "history": r'[{"role": "user", "content": "\ud800"}]'}
    body, content_type = multipart({"text": "hello", **{name: value[name]}})
    async with world.client() as client:
        answer = await client.post(
            # The charset makes \ud800 half a pair before any JSON is read.
            TURN, content=body, headers={"Content-Type": f"{content_type}; charset=unicode_escape"}
        )  # fmt: skip
        plain = await ask(world, **{"text": "hello", "history": value["history"]})

    assert problem(answer) == (400, "bad_request")
    assert problem(plain) == (400, "bad_request")


_URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_plain_form_without_files_works_too(world: World) -> None:
    async with world.client() as client:
        answer = await client.post(
            TURN, content="text=hello", headers={**_URLENCODED, "Accept": "application/json"}
        )

    assert answer.json()["user_text"] == "hello"


async def test_words_that_nobody_understood_are_no_speech(world: World) -> None:
    world.switches.heard = "  "

    answer = await ask(world, accept="application/json", audio=clip(1.0))

    assert problem(answer) == (422, "no_speech")


# Limits hold while the upload arrives


async def test_a_declared_size_over_the_limit_is_refused_unread(world: World) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "26000000"}
    caller = Caller(world.app, "POST", TURN, headers)

    caller.start()
    assert caller.task is not None
    await asyncio.wait_for(caller.task, 5)  # nothing was uploaded

    assert caller.sent[0]["status"] == 413


async def test_an_endless_upload_is_refused_at_the_first_byte_over_the_limit(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path, max_audio_bytes=1000)
    body, content_type = multipart({"audio": b"x" * 1001})
    caller = Caller(world.app, "POST", TURN, {"Content-Type": content_type})

    caller.start()
    await caller.upload(body.removesuffix(body[-30:]), is_last=False)
    assert caller.task is not None
    await asyncio.wait_for(caller.task, 5)  # the end never came

    assert caller.sent[0]["status"] == 413


async def test_the_byte_limit_itself_passes(tmp_path: Path) -> None:
    sound = clip(1.0)
    world = make_world(tmp_path, max_audio_bytes=len(sound))

    assert (await ask(world, audio=sound)).status_code == 200
    assert problem(await ask(world, audio=sound + b"\0")) == (413, "too_large")


# What uploads may take up together


async def half_uploaded(world: World, body: bytes, content_type: str) -> Caller:
    """A client that has sent half of its question, and that half has been read."""
    caller = Caller(world.app, "POST", TURN, {"Content-Type": content_type})
    caller.start()
    await caller.upload(body[: len(body) // 2], is_last=False)
    await caller.until_read()
    return caller


async def test_uploads_over_the_memory_for_all_of_them_are_refused_until_there_is_room(
    tmp_path: Path,
) -> None:
    sound = clip(1.0)
    body, content_type = multipart({"audio": sound})
    world = make_world(tmp_path, max_audio_bytes=len(sound), upload_memory_bytes=2 * len(sound))
    first = await half_uploaded(world, body, content_type)
    second = await half_uploaded(world, body, content_type)

    refused = await ask(world, audio=sound)
    await second.leave()
    answered = await ask(world, audio=sound)
    await first.upload(body[len(body) // 2 :])
    await first.until_answered()

    assert problem(refused) == (503, "overloaded")
    assert refused.headers["retry-after"] == "2"
    assert world.admissions == [("admitted", 0.0)] * 2
    assert (answered.status_code, first.sent[0]["status"]) == (200, 200)


async def test_a_client_that_only_declares_its_upload_keeps_nobody_out(tmp_path: Path) -> None:
    sound = clip(1.0)
    world = make_world(tmp_path, max_audio_bytes=len(sound), upload_memory_bytes=2 * len(sound))
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(len(sound))}
    idle = [Caller(world.app, "POST", TURN, headers) for _ in range(3)]
    for caller in idle:
        caller.start()
        await caller.until_read()

    assert (await ask(world, audio=sound)).status_code == 200
    for caller in idle:
        await caller.leave()


async def test_a_turn_that_waits_for_room_keeps_no_upload_out(tmp_path: Path) -> None:
    sound = clip(1.0)
    world = make_world(tmp_path, max_audio_bytes=len(sound), upload_memory_bytes=2 * len(sound))
    world.gate.shut(QueueUpdated(1, 5.0))
    body, content_type = multipart({"audio": sound})
    waiting = [Caller(world.app, "POST", TURN, {"Content-Type": content_type}) for _ in range(3)]
    for caller in waiting:
        caller.start()
        await caller.upload(body)
        await asyncio.wait_for(world.gate.is_awaited.wait(), 5)
        world.gate.is_awaited.clear()
    for _ in waiting:
        world.gate.tell(None)
    for caller in waiting:
        await caller.until_answered()

    assert [caller.sent[0]["status"] for caller in waiting] == [200] * 3


async def test_a_field_as_large_as_a_film_is_refused(world: World) -> None:
    answer = await ask(world, text="x" * 300_000)

    assert problem(answer)[0] in (400, 413)


# Stages that fail


FAILURES: list[tuple[AvatarError, tuple[int, str]]] = [
    (EngineRuntimeError("CUDA exploded at /home/me", stage="tts"), (503, "engine_failed")),
    (StageTimeoutError("slow", stage="tts"), (503, "engine_failed")),
    (StageOverloadedError("full", stage="tts"), (503, "overloaded")),
]


@pytest.mark.parametrize(("error", "expected"), FAILURES)
@pytest.mark.parametrize("accept", ["video/mp4", "application/json"])
async def test_a_stage_that_fails_before_the_first_fragment_is_a_status(
    world: World, accept: str, error: AvatarError, expected: tuple[int, str]
) -> None:
    world.switches.fail["tts"] = error

    answer = await ask(world, accept=accept, text="hello", language="en")

    assert problem(answer) == expected
    assert error.message not in answer.text
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["x-turn-id"]
    assert world.media() == []
    assert world.outcomes == [expected[1]]


async def test_an_unforeseen_failure_tells_nothing_of_itself(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.switches.fail["asr"] = KeyError("the user said: secret words")

    answer = await ask(world, accept="application/json", audio=clip(1.0))

    assert problem(answer) == (500, "internal")
    assert "secret words" not in answer.text
    assert "secret words" not in caplog.text
    assert answer.headers["x-request-id"] in caplog.text


async def test_a_video_that_fails_later_is_cut_before_its_closing_box(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.switches.fail["avatar"] = EngineRuntimeError("lost", stage="avatar")
    world.switches.fail_from_stretch = 1
    body, content_type = multipart({"text": "hello", "language": "en"})
    caller = Caller(world.app, "POST", TURN, {"Content-Type": content_type})

    caller.start()
    await caller.upload(body)
    assert caller.task is not None
    with pytest.raises(AnswerCutError):  # the server underneath breaks the connection
        await asyncio.wait_for(caller.task, 5)

    assert caller.sent[0]["status"] == 200
    assert b"moof" in caller.body
    assert b"mfra" not in caller.body
    assert caller.sent[-1]["more_body"] is True
    assert world.media() == []
    assert world.outcomes == ["engine_failed"]
    assert world.switches.running == 0


async def test_an_event_stream_that_fails_later_ends_with_an_error_event(world: World) -> None:
    world.switches.fail["avatar"] = EngineRuntimeError("lost", stage="avatar")

    answer = await ask(world, TURN + "/stream", text="hello", language="en")

    events = events_of(answer)
    assert events[0][0] == "transcript"
    name, body = events[-1]
    assert name == "error"
    assert (body["status"], body["code"]) == (503, "engine_failed")
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "lost" not in answer.text
    assert world.media() == []


async def test_a_reply_that_is_lost_midway_says_what_was_spoken(world: World) -> None:
    world.switches.hold = "mid llm"
    body, content_type = multipart({"text": "hello", "language": "en"})
    caller = Caller(world.app, "POST", TURN + "/stream", {"Content-Type": content_type})

    caller.start()
    await caller.upload(body)
    await caller.until_sent(b"event: video")
    world.switches.fail["mid llm"] = EngineRuntimeError("lost", stage="llm")
    world.switches.released.set()
    await caller.until_answered()

    events = events_in(caller.body.decode())
    deltas = "".join(told["text"] for name, told in events if name == "reply")
    name, done = events[-1]
    assert (name, done["is_shortened"]) == ("done", True)
    assert done["response_text"] == REPLY[0].strip()
    assert deltas.startswith(done["response_text"])
    async with world.client() as client:
        turn = await client.get(f"/api/v1/turns/{done['turn_id']}")
    assert turn.json() == done  # told later as it was at first


async def test_the_description_says_what_a_shortened_reply_is(world: World) -> None:
    async with world.client() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]

    for path in (TURN, TURN + "/stream"):
        told = paths[path]["post"]["responses"]["200"]["description"]
        assert "is_shortened" in told
        assert "response_text" in told


async def test_a_failed_turn_makes_no_session(world: World) -> None:
    world.switches.fail["llm"] = EngineRuntimeError("lost", stage="llm")

    answer = await ask(world, accept="application/json", text="hello", language="en")

    async with world.client() as client:
        session = await client.get(f"/api/v1/sessions/{answer.headers['x-session-id']}")
    assert problem(session) == (404, "not_found")


@pytest.mark.parametrize(
    ("status", "expected"),
    [("loading", (503, "loading")), ("failed", (503, "engine_failed"))],
)
async def test_a_turn_waits_for_no_stage(
    world: World, status: str, expected: tuple[int, str]
) -> None:
    world.health.append(ready(avatar=status))

    answer = await ask(world, text="hello")

    assert problem(answer) == expected

    world.health.append(ready())
    assert (await ask(world, text="hello")).status_code == 200


# A disk that is full


def full_disk(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("accept", ["video/mp4", "application/json"])
async def test_a_full_disk_is_said_before_the_answer_starts(
    world: World, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.recordings.os.write", full_disk)

    answer = await ask(world, accept=accept, text="hello", language="en")

    assert problem(answer) == (507, "disk_full")
    assert world.media() == []
    assert world.switches.running == 0


async def test_too_little_room_is_said_before_any_stage_works(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.store._min_free_bytes = 1 << 62

    assert problem(await ask(world, text="hello", language="en")) == (507, "disk_full")
    assert world.switches.histories == []


async def test_a_disk_that_fills_up_later_costs_only_the_copy(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_writes = 0

    def filling(fd: int, data: memoryview) -> int:
        nonlocal n_writes
        n_writes += 1
        return len(data) if n_writes <= 2 else full_disk()

    monkeypatch.setattr("web.recordings.os.write", filling)

    answer = await ask(world, text="hello", language="en")

    assert answer.status_code == 200
    assert len(read_mp4(answer.content).frame_times_s) == 28
    assert world.media() == []
    async with world.client() as client:
        turn = await client.get(f"/api/v1/turns/{answer.headers['x-turn-id']}")
    assert problem(turn) == (404, "not_found")


async def test_nothing_is_kept_where_nothing_may_be(tmp_path: Path) -> None:
    world = make_world(tmp_path, retention_s=0)

    answer = await ask(world, accept="application/json", text="hello", language="en")

    assert answer.json()["video_url"] is None
    assert world.media() == []
    async with world.client() as client:
        turn = await client.get(f"/api/v1/turns/{answer.json()['turn_id']}")
    assert problem(turn) == (404, "not_found")


# Clients that leave


@pytest.mark.parametrize("path", [TURN, TURN + "/stream"])
@pytest.mark.parametrize("stage", ["asr", "llm", "tts", "avatar"])
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
async def test_a_client_that_leaves_stops_every_stage(
    world: World, path: str, stage: str, accept: str
) -> None:
    world.switches.hold = stage
    world.switches.hold_from_stretch = 1
    body, content_type = multipart({"audio": clip(1.0)})
    caller = Caller(world.app, "POST", path, {"Content-Type": content_type, "Accept": accept})

    caller.start()
    await caller.upload(body)
    await asyncio.wait_for(world.switches.is_held.wait(), 5)
    await caller.leave()

    assert world.switches.running == 0
    assert world.media() == []
    assert world.outcomes == ["cancelled"]
    assert not Headers(raw=caller.sent[0]["headers"]).get("retry-after") if caller.sent else True


async def test_a_client_that_leaves_while_it_uploads_leaves_nothing(world: World) -> None:
    body, content_type = multipart({"audio": clip(1.0)})
    caller = Caller(world.app, "POST", TURN, {"Content-Type": content_type})

    caller.start()
    await caller.upload(body[: len(body) // 2], is_last=False)
    await caller.leave()

    assert caller.sent == []
    assert world.media() == []
    assert world.outcomes == []


async def test_a_server_that_cancels_the_handler_stops_every_stage(world: World) -> None:
    world.switches.hold = "avatar"
    body, content_type = multipart({"audio": clip(1.0)})
    caller = Caller(world.app, "POST", TURN, {"Content-Type": content_type})

    caller.start()
    await caller.upload(body)
    await asyncio.wait_for(world.switches.is_held.wait(), 5)
    assert caller.task is not None
    caller.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller.task

    assert world.switches.running == 0
    assert world.media() == []


async def test_a_quiet_stream_is_kept_open_by_comments(tmp_path: Path) -> None:
    world = make_world(tmp_path, sse_keepalive_s=0.01)
    world.switches.hold = "llm"
    body, content_type = multipart({"text": "hello", "language": "en"})
    caller = Caller(world.app, "POST", TURN + "/stream", {"Content-Type": content_type})

    caller.start()
    await caller.upload(body)
    await caller.until_sent(b": still here\n\n")
    await caller.leave()

    assert world.switches.running == 0


async def test_a_stream_that_only_a_comment_has_opened_ends_with_an_error_event(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path, sse_keepalive_s=0.01)
    world.switches.hold = "asr"
    body, content_type = multipart({"audio": clip(1.0)})
    caller = Caller(world.app, "POST", TURN + "/stream", {"Content-Type": content_type})

    caller.start()
    await caller.upload(body)
    await caller.until_sent(b": still here\n\n")
    world.switches.fail["asr"] = StageTimeoutError("slow", stage="asr")
    world.switches.released.set()
    await caller.until_answered()

    (name, told), *others = events_in(caller.body.decode())
    assert (name, told["code"], others) == ("error", "engine_failed", [])
    assert caller.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert world.outcomes == ["engine_failed"]
