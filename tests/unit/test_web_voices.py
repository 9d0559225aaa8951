"""Voices of one's own over HTTP: judged, cloned, kept with their consent, spoken, erased."""

import asyncio
import hashlib
import io
import json
import tracemalloc
import wave
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from deployments.errors import (
    EngineInputError,
    EngineRuntimeError,
    StageTimeoutError,
    UnusableInputError,
)
from deployments.types import CustomVoice
from tests.unit.test_web_turns import events_of, problem
from tests.web_fakes import Caller, World, in_file, make_world, multipart, murmur
from web.consent import VOICE, checked_name
from web.library import Consent, Library
from web.problems import RefusedError
from web.voices import examined

VOICES = "/api/v1/voices"
NOW_S = 1_000_000.0
SAMPLE = in_file(murmur())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return cloning(tmp_path)


def cloning(data_dir: Path, voice_format: str = "tone-1", **settings: Any) -> World:
    world = make_world(data_dir, clock=lambda: NOW_S, **settings)
    world.switches.voice_format = voice_format
    return world


async def add(
    world: World, sample: bytes = SAMPLE, *, key: str = "", **fields: str
) -> httpx.Response:
    form = {"name": "Ana", "consent": "true", **fields}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with world.client() as client:
        files = {"audio": ("a", sample)}
        return await client.post(VOICES, files=files, data=form, headers=headers)


async def added(world: World) -> str:
    answer = await add(world)
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def listed(world: World) -> list[str]:
    async with world.client() as client:
        return [voice["id"] for voice in (await client.get(VOICES)).json()]


async def speak(world: World, voice: str, **body: str) -> httpx.Response:
    asked = {"text": "Hello.", "language": "en", "voice": voice, **body}
    async with world.client() as client:
        return await client.post("/api/v1/speak", json=asked)


async def delete(world: World, voice: str) -> httpx.Response:
    async with world.client() as client:
        return await client.delete(f"{VOICES}/{voice}")


def kept(world: World) -> list[str]:
    return sorted(path.name for path in (world.data_dir / "voices").iterdir())


# adding


async def test_an_added_voice_is_listed(world: World) -> None:
    answer = await add(world, name="  Ana Luci\u0301a ")

    voice = answer.json()
    assert answer.status_code == 201
    assert voice == {
        "id": voice["id"],
        "name": "Ana Lucía",
        "languages": ["en", "es"],
        "builtin": False,
        "cloned": True,
    }
    async with world.client() as client:
        assert (await client.get(VOICES)).json()[-1] == voice
    assert await listed(world) == ["low", "alta", voice["id"]]


async def test_who_agreed_to_what_and_when_is_kept_with_the_sample(world: World) -> None:
    item = world.services.library.find("voice", await added(world))

    assert item is not None
    assert item.consent == Consent("local", NOW_S, VOICE)
    assert (item.name, item.created_at) == ("Ana", NOW_S)
    assert dict(item.facts) == {
        "duration_s": 8.0,
        "speech_s": pytest.approx(6.2, abs=0.5),
        "level_db": pytest.approx(-13.5, abs=0.5),
        "snr_db": pytest.approx(100, abs=20),
        "clipped_share": 0.0,
    }


async def test_a_key_that_agrees_is_known_by_the_beginning_of_its_hash(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"open sesame").hexdigest()
    (tmp_path / "keys").write_text(digest)
    world = cloning(tmp_path / "data", api_keys_file=tmp_path / "keys")

    answer = await add(world, key="open sesame")

    item = world.services.library.find("voice", answer.json()["id"])
    assert item is not None
    assert item.consent.given_by == f"key {digest[:12]}"


@pytest.mark.parametrize("container", ["wav", "mp3", "webm", "ogg", "flac", "mp4"])
async def test_any_common_file_will_do(world: World, container: str) -> None:
    answer = await add(world, in_file(murmur(), container))

    assert answer.status_code == 201
    (sample,) = world.switches.cloned
    assert sample.sample_rate_hz == 48_000
    assert sample.duration_s == pytest.approx(8.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(sample.samples[: 6 * 48_000]))
    assert int(spectrum.argmax()) / 6 == pytest.approx(220, abs=1)


@pytest.mark.parametrize(
    ("sample", "fields", "expected", "advice"),
    [
        (in_file(murmur(5.8)), {}, (422, "too_short"), "6 to 30 s"),
        (in_file(murmur(31.0)), {}, (422, "too_long"), "Cut out"),
        (in_file(murmur(loudness=0.004)), {}, (422, "invalid_value"), "too quiet"),
        (in_file(murmur(loudness=0.0)), {}, (422, "invalid_value"), "microphone"),
        (in_file(murmur(noise=0.08)), {}, (422, "too_noisy"), "quiet room"),
        (in_file(murmur(loudness=1.4)), {}, (422, "clipped"), "microphone down"),
        (b"no sound", {}, (415, "unsupported_media"), "WAV"),
        (SAMPLE, {"consent": ""}, (422, "consent_required"), VOICE),
        (SAMPLE, {"consent": "false"}, (422, "consent_required"), "consent=true"),
        (SAMPLE, {"consent": "1"}, (422, "consent_required"), "consent=true"),
        (SAMPLE, {"name": "  "}, (422, "invalid_value"), "1 to 60"),
        (SAMPLE, {"name": "A" * 61}, (422, "invalid_value"), "1 to 60"),
        (SAMPLE, {"name": "two\nlines"}, (422, "invalid_value"), "line breaks"),
        (SAMPLE, {"name": "!?"}, (422, "invalid_value"), "letter"),
        (SAMPLE, {"nick": "Ana"}, (400, "bad_request"), "unknown field"),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_says_what_to_do_and_leaves_nothing(
    world: World, sample: bytes, fields: dict[str, Any], expected: tuple[int, str], advice: str
) -> None:
    answer = await add(world, sample, **fields)

    assert problem(answer) == expected
    assert advice in answer.json()["detail"]
    assert (kept(world), world.switches.cloned) == ([], [])


def test_a_name_may_be_in_any_script() -> None:
    for name in ("Ana-Lucía (casa)", "小雨", "Zoë’s 2nd 🎙 voice", "a" * 60):
        assert checked_name(f" {name} ") == name
    for name in ("a\u202eb", "a\u2028b", "a\x00b", "🎙"):
        with pytest.raises(Exception, match="Give it a name"):
            checked_name(name)


def forty_minutes() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 1, 8_000, 0, "NONE", ""))
        file.writeframes(b"\x80\x90\x80\x70" * (40 * 60 * 2_000))  # 19 MB, a tone of 2 kHz
    return out.getvalue()


async def test_of_a_sample_of_forty_minutes_only_the_first_half_minute_is_decoded(
    world: World,
) -> None:
    sample = forty_minutes()
    tracemalloc.start()
    with pytest.raises(UnusableInputError):
        examined(sample, world.services.vad, 0.5)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 30_000_000  # all of it would be 460 MB at 48 kHz
    assert problem(await add(world, sample)) == (422, "too_long")


async def test_an_upload_over_the_limit_is_refused_while_it_arrives(tmp_path: Path) -> None:
    world = cloning(tmp_path, max_audio_bytes=100_000)

    assert problem(await add(world)) == (413, "too_large")
    assert world.switches.cloned == []


async def test_where_voices_cannot_be_cloned_the_upload_is_not_even_read(tmp_path: Path) -> None:
    world = cloning(tmp_path, voice_format="")
    caller = Caller(world.app, "POST", VOICES, {"content-type": "multipart/form-data"})

    caller.start()
    await caller.until_answered()

    answer = json.loads(caller.body)
    assert (answer["status"], answer["code"]) == (501, "not_supported")
    assert "fake-tts" in answer["detail"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EngineInputError("no voice"), (422, "invalid_value")),
        (EngineRuntimeError("it broke", stage="tts"), (503, "engine_failed")),
        (StageTimeoutError("too late", stage="tts"), (503, "engine_failed")),
    ],
)
async def test_a_voice_that_cannot_be_cloned_is_not_kept(
    world: World, error: Exception, expected: tuple[int, str]
) -> None:
    world.switches.fail["clone"] = error

    answer = await add(world)

    assert problem(answer) == expected
    assert "it broke" not in answer.text
    assert kept(world) == []


async def test_one_who_leaves_while_uploading_leaves_nothing(world: World) -> None:
    body, content_type = multipart({"name": "Ana", "consent": "true", "audio": SAMPLE})
    caller = Caller(world.app, "POST", VOICES, {"content-type": content_type})
    caller.start()
    await caller.upload(body[: len(body) // 2], is_last=False)
    await caller.until_read()
    await caller.leave()

    assert (kept(world), world.switches.cloned) == ([], [])
    assert (await add(world)).status_code == 201


async def test_one_who_leaves_while_the_voice_is_cloned_leaves_nothing(world: World) -> None:
    world.switches.hold = "clone"
    body, content_type = multipart({"name": "Ana", "consent": "true", "audio": SAMPLE})
    caller = Caller(world.app, "POST", VOICES, {"content-type": content_type})
    caller.start()
    await caller.upload(body)
    await world.switches.is_held.wait()
    await caller.leave()

    assert kept(world) == []
    world.switches.hold = ""
    assert (await add(world)).status_code == 201


async def test_voices_are_cloned_one_at_a_time(world: World) -> None:
    switches = world.switches
    switches.hold = "clone"
    both = [asyncio.create_task(add(world)) for _ in range(2)]
    await switches.is_held.wait()
    await listed(world)  # whatever else is asked meanwhile

    assert [stage for stage, _ in switches.asked] == ["clone"]
    switches.released.set()
    assert [answer.status_code for answer in await asyncio.gather(*both)] == [201, 201]
    assert len(kept(world)) == 2


# speaking


async def test_an_added_voice_speaks_in_every_answer(world: World) -> None:
    voice = await added(world)
    async with world.client() as client:
        form = {"text": "Hello.", "voice": voice}
        narrated = await client.post("/api/v1/generate", json=form)
        answered = await client.post("/api/v1/conversation", data=form)
        streamed = await client.post("/api/v1/conversation/stream", data=form)

    assert (await speak(world, voice)).content.startswith(b"RIFF")
    assert narrated.headers["content-type"] == answered.headers["content-type"] == "video/mp4"
    assert events_of(streamed)[-1][0] == "done"
    expected = CustomVoice(voice, ("en", "es"), b"tone-1: 8.0 s")
    assert set(world.switches.voices) == {expected}
    assert len(world.switches.voices) >= 4
    assert len(world.switches.cloned) == 1


async def test_another_process_speaks_it_at_once_and_without_cloning(world: World) -> None:
    voice = await added(world)
    other = cloning(world.data_dir)

    assert await listed(other) == ["low", "alta", voice]
    assert (await speak(other, voice)).status_code == 200
    assert other.switches.cloned == []


async def test_an_engine_of_another_format_clones_it_once_more(world: World) -> None:
    voice = await added(world)
    newer = cloning(world.data_dir, "tone-2")
    (sample,) = world.switches.cloned

    await speak(newer, voice)
    await speak(newer, voice)

    (again,) = newer.switches.cloned
    np.testing.assert_array_equal(again.samples, sample.samples)
    assert {v.state for v in newer.switches.voices if isinstance(v, CustomVoice)} == {
        b"tone-2: 8.0 s"
    }
    assert (await speak(world, voice)).status_code == 200  # the former engine has it still
    assert len(world.switches.cloned) == 1


async def test_those_who_need_it_at_once_wait_for_the_same_cloning(world: World) -> None:
    voice = await added(world)
    newer = cloning(world.data_dir, "tone-2")
    newer.switches.hold = "clone"
    asking = [asyncio.create_task(speak(newer, voice)) for _ in range(3)]
    await newer.switches.is_held.wait()
    asking.pop().cancel()

    newer.switches.released.set()
    assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200, 200]
    assert len(newer.switches.cloned) == 1


async def test_cloning_anew_that_fails_is_tried_again_by_the_next(world: World) -> None:
    voice = await added(world)
    newer = cloning(world.data_dir, "tone-2")
    newer.switches.fail["clone"] = EngineRuntimeError("it broke", stage="tts")
    assert problem(await speak(newer, voice)) == (503, "engine_failed")

    del newer.switches.fail["clone"]
    assert (await speak(newer, voice)).status_code == 200


async def test_what_is_cloned_anew_is_spoken_even_if_it_cannot_be_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = await added(world)
    newer = cloning(world.data_dir, "tone-2")

    def full(*args: Any) -> bool:
        raise RefusedError("full", code="disk_full")

    monkeypatch.setattr(newer.services.library, "put", full)

    assert (await speak(newer, voice)).status_code == 200
    assert (await speak(newer, voice)).status_code == 200
    assert len(newer.switches.cloned) == 2


async def test_an_engine_that_cannot_clone_offers_none_but_erases_any(world: World) -> None:
    voice = await added(world)
    other = cloning(world.data_dir, "")

    assert await listed(other) == ["low", "alta"]
    assert problem(await speak(other, voice)) == (501, "not_supported")
    assert (await delete(other, voice)).status_code == 204
    assert kept(world) == []


async def test_a_language_that_the_voice_does_not_speak_is_refused(world: World) -> None:
    assert problem(await speak(world, "low", language="es")) == (422, "unsupported_language")


# erasing


async def test_an_erased_voice_is_gone_everywhere(world: World) -> None:
    voice = await added(world)
    other = cloning(world.data_dir)
    await speak(other, voice)

    assert (await delete(world, voice)).status_code == 204

    for one in (world, other):
        assert problem(await delete(one, voice)) == (404, "not_found")
        assert problem(await speak(one, voice)) == (404, "not_found")
        assert await listed(one) == ["low", "alta"]
    assert kept(world) == []


async def test_what_is_built_in_stays(world: World) -> None:
    assert problem(await delete(world, "low")) == (403, "forbidden")
    assert problem(await delete(world, "nobody")) == (404, "not_found")
    assert problem(await delete(world, "..")) == (404, "not_found")


async def test_an_answer_in_an_erased_voice_goes_on_to_its_end(world: World) -> None:
    voice = await added(world)
    world.switches.hold = "tts"
    speaking = asyncio.create_task(speak(world, voice))
    await world.switches.is_held.wait()

    assert (await delete(world, voice)).status_code == 204
    world.switches.released.set()

    assert (await speaking).status_code == 200


async def test_one_that_is_erased_while_it_is_cloned_anew_is_not_kept(world: World) -> None:
    voice = await added(world)
    newer = cloning(world.data_dir, "tone-2")
    newer.switches.hold = "clone"
    speaking = asyncio.create_task(speak(newer, voice))
    await newer.switches.is_held.wait()

    Library(world.data_dir).delete("voice", voice)
    newer.switches.released.set()

    assert (await speaking).status_code == 200  # it was asked for before
    assert kept(world) == []
