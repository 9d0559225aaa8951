"""Single stages over HTTP."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.errors import EngineRuntimeError
from deployments.types import Message, Transcript, Word
from tests.media import read_mp4
from tests.unit.test_web_turns import events_in, events_of, problem
from tests.web_fakes import QUESTION, REPLY, Caller, World, clip, make_world, multipart
from web.media_in import decode
from web.wire import segments_json

API = "/api/v1/"
REPLY_TEXT = "".join(REPLY)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


async def post(world: World, path: str, body: Any, **headers: str) -> Any:
    async with world.client() as client:
        return await client.post(API + path, json=body, headers=headers)


async def send_sound(world: World, path: str, sound: bytes, **fields: str) -> Any:
    async with world.client() as client:
        return await client.post(API + path, files={"audio": ("a", sound)}, data=fields)


# transcribe


async def test_speech_becomes_text(world: World) -> None:
    answer = await send_sound(world, "transcribe", clip(1.0))

    body = answer.json()
    timings = body.pop("timings")
    assert body == {
        "text": QUESTION,
        "language": "en",
        "duration": 1.0,
        "segments": [{"start": 0.0, "end": 3.5, "text": QUESTION}],
    }
    assert set(timings) == {"decode_ms", "asr_ms"}


def test_segments_end_with_a_sentence_or_a_pause() -> None:
    words = (
        Word("Yes.", 0.0, 0.4),
        Word("I", 0.5, 0.6),
        Word("am", 0.7, 0.8),
        Word("so", 2.0, 2.2),
    )

    assert segments_json(Transcript("Yes. I am so", True, words, "en"), 3.0) == [
        {"start": 0.0, "end": 0.4, "text": "Yes."},
        {"start": 0.5, "end": 0.8, "text": "I am"},
        {"start": 2.0, "end": 2.2, "text": "so"},
    ]


def test_without_times_of_words_there_is_one_segment() -> None:
    assert segments_json(Transcript("Yes.", True, (), "en"), 3.0) == [
        {"start": 0.0, "end": 3.0, "text": "Yes."}
    ]


@pytest.mark.parametrize(
    ("sound", "fields", "expected"),
    [
        (clip(1.0, loudness=0.0), {}, (422, "no_speech")),
        (b"", {}, (415, "unsupported_media")),
        (clip(1.0), {"language": "zh"}, (422, "unsupported_language")),
        (clip(121.0, rate_hz=8_000), {}, (413, "too_large")),
        (clip(1.0), {"text": "hello"}, (400, "bad_request")),
    ],
)
async def test_what_cannot_be_transcribed(
    world: World, sound: bytes, fields: dict[str, str], expected: tuple[int, str]
) -> None:
    assert problem(await send_sound(world, "transcribe", sound, **fields)) == expected


async def test_a_language_that_is_missing_says_what_to_do(world: World) -> None:
    answer = await send_sound(world, "transcribe", clip(1.0), language="zh-CN")

    assert "zh" in answer.json()["detail"]
    assert "install" in answer.json()["detail"]


# chat


async def test_text_is_answered_by_text(world: World) -> None:
    answer = await post(world, "chat", {"message": "Hello", "language": "en"})

    body = answer.json()
    timings = body.pop("timings")
    assert body == {
        "response": REPLY_TEXT,
        "language": "en",
        "session_id": answer.headers["x-session-id"],
        "engines": {"llm": "fake-llm"},
    }
    assert set(timings) == {"llm_first_token_ms", "llm_ms", "turn_ms", "ladder"}


async def test_an_answer_names_the_engine_of_a_chain_that_spoke(world: World) -> None:
    world.switches.spoken_by = "second"
    answer = await post(world, "chat", {"message": "Hello", "language": "en"})
    assert answer.json()["engines"] == {"llm": "second"}


async def test_a_chat_is_streamed_where_that_is_accepted(world: World) -> None:
    answer = await post(
        world, "chat", {"message": "Hello", "language": "en"}, Accept="text/event-stream"
    )

    events = events_of(answer)
    assert [data["text"] for name, data in events if name == "delta"] == list(REPLY)
    assert events[-1][0] == "done"
    assert events[-1][1]["response"] == REPLY_TEXT


async def test_a_chat_and_a_turn_share_a_session(world: World) -> None:
    first = await post(world, "chat", {"message": "I am Ada.", "language": "en"})
    session_id = first.json()["session_id"]

    async with world.client() as client:
        await client.post(API + "conversation", data={"text": "Who?", "session_id": session_id})
        session = (await client.get(API + f"sessions/{session_id}")).json()

    assert world.switches.histories[1][0] == Message("user", "I am Ada.")
    assert [turn["user_text"] for turn in session["turns"]] == ["I am Ada.", "Who?"]
    assert [turn["video_url"] is None for turn in session["turns"]] == [True, False]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat", {"message": "Hello.", "language": "", "session_id": ""}),
        ("speak", {"text": "Hello.", "language": "", "voice": ""}),
        ("generate", {"text": "Hello.", "language": "", "voice": "", "avatar": ""}),
    ],
)
async def test_an_empty_field_of_json_is_no_value(
    world: World, path: str, body: dict[str, str]
) -> None:
    assert (await post(world, path, body)).status_code == 200


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_chat_says_where_it_is_kept(world: World, accept: str) -> None:
    answer = await post(world, "chat", {"message": "Hi.", "language": "en"}, Accept=accept)

    async with world.client() as client:
        turn = (await client.get(API + f"turns/{answer.headers['x-turn-id']}")).json()
    assert turn["session_id"] == answer.headers["x-session-id"]


async def test_a_chat_that_is_not_kept_names_no_turn(tmp_path: Path) -> None:
    world = make_world(tmp_path, retention_s=0)

    answer = await post(world, "chat", {"message": "Hi.", "language": "en"})

    assert "x-turn-id" not in answer.headers
    assert answer.headers["x-session-id"] == answer.json()["session_id"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "bad_request")),
        ([], (400, "bad_request")),
        ({"message": 7}, (400, "bad_request")),
        ({"message": ""}, (400, "bad_request")),
        ({"message": "x" * 2001}, (413, "too_large")),
        ({"message": "x" * 300_000}, (413, "too_large")),
        ({"message": "hi", "history": [], "session_id": "abcdefgh"}, (400, "bad_request")),
        ({"message": "hi", "session_id": "abcdefgh"}, (404, "not_found")),
        ({"message": "hi", "language": "de"}, (422, "unsupported_language")),
        ({"message": "hi", "massage": "hi"}, (400, "bad_request")),
    ],
)
async def test_what_cannot_be_chatted_about(
    world: World, body: Any, expected: tuple[int, str]
) -> None:
    assert problem(await post(world, "chat", body)) == expected


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[" * 100_000, b'{"message": NaN}'])
async def test_malformed_json_is_a_bad_request(world: World, content: bytes) -> None:
    async with world.client() as client:
        answer = await client.post(API + "chat", content=content)

    assert problem(answer) == (400, "bad_request")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("chat", rb'{"message": "half a pair: \ud800", "language": "en"}'),
        ("chat", rb'{"message": "hi", "history": [{"role": "user", "content": "\udfff"}]}'),
        ("chat", rb'{"message": "hi", "\ud800": 1}'),
        ("speak", rb'{"text": "half a pair: \ud800", "language": "en"}'),
        ("generate", rb'{"text": "hi", "language": "en", "controls": {"\ud800": 1}}'),
    ],
)
async def test_text_that_is_no_unicode_is_a_bad_request(
    world: World, path: str, content: bytes
) -> None:
    async with world.client() as client:
        assert problem(await client.post(API + path, content=content)) == (400, "bad_request")


async def test_a_character_of_two_halves_is_a_character(world: World) -> None:
    content = rb'{"message": "hi \ud83d\ude00", "language": "en"}'
    async with world.client() as client:
        assert (await client.post(API + "chat", content=content)).status_code == 200

    assert world.switches.histories == [(Message("user", "hi \U0001f600"),)]


async def test_a_chat_whose_model_fails(world: World) -> None:
    world.switches.fail["llm"] = EngineRuntimeError("lost", stage="llm")

    body = {"message": "hi", "language": "en"}
    assert problem(await post(world, "chat", body)) == (503, "engine_failed")
    streamed = await post(world, "chat", body, Accept="text/event-stream")
    assert problem(streamed) == (503, "engine_failed")


async def test_a_chat_that_only_a_comment_has_opened_ends_with_an_error_event(
    tmp_path: Path,
) -> None:
    world = make_world(tmp_path, sse_keepalive_s=0.01)
    world.switches.hold = "before llm"
    caller = Caller(world.app, "POST", API + "chat", {"Accept": "text/event-stream"})

    caller.start()
    await caller.upload(json.dumps({"message": "hi", "language": "en"}).encode())
    await caller.until_sent(b": still here\n\n")
    world.switches.fail["before llm"] = EngineRuntimeError("lost", stage="llm")
    world.switches.released.set()
    await caller.until_answered()

    (name, told), *others = events_in(caller.body.decode())
    assert (name, told["code"], others) == ("error", "engine_failed", [])


# speak


@pytest.mark.parametrize(
    ("name", "media_type"), [("wav", "audio/wav"), ("mp3", "audio/mpeg"), ("opus", "audio/ogg")]
)
async def test_text_becomes_sound(world: World, name: str, media_type: str) -> None:
    answer = await post(
        world, "speak", {"text": "One thing. Another thing.", "language": "en", "format": name}
    )

    assert answer.headers["content-type"] == media_type
    assert decode(answer.content, 16_000, 120.0).duration_s == pytest.approx(0.8, abs=0.08)
    assert world.switches.running == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"text": " "}, (400, "bad_request")),
        ({"text": "hi", "format": "flac"}, (400, "bad_request")),
        ({"text": "hi", "voice": "nobody"}, (404, "not_found")),
        ({"text": "hi", "language": "en", "voice": "alta"}, (422, "unsupported_language")),
        ({"text": "hi", "language": "de"}, (422, "unsupported_language")),
    ],
)
async def test_what_cannot_be_spoken(
    world: World, body: dict[str, str], expected: tuple[int, str]
) -> None:
    assert problem(await post(world, "speak", body)) == expected


async def test_a_listener_who_leaves_stops_the_voice(world: World) -> None:
    world.switches.hold = "tts"
    caller = Caller(world.app, "POST", API + "speak", {})

    caller.start()
    await caller.upload(json.dumps({"text": "A long story.", "language": "en"}).encode())
    await asyncio.wait_for(world.switches.is_held.wait(), 5)
    await caller.leave()

    assert world.switches.running == 0


# animate, generate


async def test_a_script_becomes_a_video_that_is_not_kept(world: World) -> None:
    answer = await post(world, "generate", {"text": "Hello there.", "language": "en"})

    assert answer.headers["content-type"] == "video/mp4"
    assert len(read_mp4(answer.content).frame_times_s) == 10 + 8
    assert world.media() == []
    assert not {"x-turn-id", "x-session-id"} & set(answer.headers)


async def test_sound_becomes_a_face_that_says_it(world: World) -> None:
    answer = await send_sound(world, "animate", clip(1.0, rate_hz=44_100), avatar="green")

    video = read_mp4(answer.content)
    assert len(video.frame_times_s) == 25 + 8
    assert video.sample_rate_hz == 48_000
    assert float(np.abs(video.sound).max()) == pytest.approx(0.3, abs=0.1)
    assert world.media() == []
    assert not {"x-turn-id", "x-session-id"} & set(answer.headers)


async def test_a_face_may_move_to_silence_too(world: World) -> None:
    answer = await send_sound(world, "animate", clip(1.0, loudness=0.0))

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("controls", "expected"),
    [
        ({"smile": 1.0}, 200),
        ({}, 200),
        ({"smile": 1.5}, (422, "invalid_value")),
        ({"frown": 0.1}, (422, "invalid_value")),
        ({"smile": "broad"}, (400, "bad_request")),
        ([1], (400, "bad_request")),
    ],
)
async def test_controls_are_those_that_the_avatar_offers(
    world: World, controls: Any, expected: Any
) -> None:
    body = {"text": "Hello.", "language": "en", "controls": controls}
    generated = await post(world, "generate", body)
    animated = await send_sound(world, "animate", clip(0.5), controls=json.dumps(controls))

    for answer in (generated, animated):
        got = answer.status_code if expected == 200 else problem(answer)
        assert got == expected


async def test_animation_of_no_sound_is_refused(world: World) -> None:
    assert problem(await send_sound(world, "animate", b"x")) == (415, "unsupported_media")
    assert problem(await post(world, "animate", {"text": "x"})) == (400, "bad_request")


async def test_a_viewer_who_leaves_stops_the_face(world: World) -> None:
    world.switches.hold = "avatar"
    body, content_type = multipart({"audio": clip(1.0)})
    caller = Caller(world.app, "POST", API + "animate", {"Content-Type": content_type})

    caller.start()
    await caller.upload(body)
    await asyncio.wait_for(world.switches.is_held.wait(), 5)
    await caller.leave()

    assert world.switches.running == 0
