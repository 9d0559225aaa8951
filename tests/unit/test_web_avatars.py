"""Faces of one's own over HTTP: looked at, drawn, kept with their consent, animated, erased."""

import asyncio
import hashlib
import io
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image

from deployments.errors import EngineRuntimeError, UnusableInputError
from deployments.faces import weights
from tests.portrait_files import beside, enlarged, in_file, needs_detector, painting, photograph
from tests.unit.test_web_turns import events_of, problem
from tests.web_fakes import SIZE_PX, Caller, World, clip, make_world, multipart
from web.consent import PORTRAIT
from web.library import Consent, Library
from web.portraits import find_portrait

AVATARS = "/api/v1/avatars"
NOW_S = 1_000_000.0
PICTURE = in_file(painting(), quality=90)

pytestmark = needs_detector


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path, clock=lambda: NOW_S)


async def add(
    world: World, picture: bytes = PICTURE, *, key: str = "", **fields: Any
) -> httpx.Response:
    form = {"name": "Ana", "consent": "true", **fields}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with world.client() as client:
        files = {"image": ("a", picture, "text/plain")}  # whatever it is called
        return await client.post(AVATARS, files=files, data=form, headers=headers)


async def added(world: World, picture: bytes = PICTURE) -> str:
    answer = await add(world, picture)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def get(world: World, path: str) -> httpx.Response:
    async with world.client() as client:
        return await client.get(path)


async def listed(world: World) -> list[str]:
    return [face["id"] for face in (await get(world, AVATARS)).json()]


async def delete(world: World, avatar: str) -> httpx.Response:
    async with world.client() as client:
        return await client.delete(f"{AVATARS}/{avatar}")


def kept(world: World) -> list[Path]:
    return [path for path in (world.data_dir / "avatars").rglob("*") if path.is_file()]


# adding


async def test_an_added_face_is_listed_behind_the_built_in_ones(world: World) -> None:
    answer = await add(world, name=" 小雨 ")

    face = answer.json()
    avatar = face["id"]
    assert answer.status_code == 201
    assert face == {
        "id": avatar,
        "name": "小雨",
        "width": SIZE_PX,
        "height": SIZE_PX,
        "thumbnail_url": f"{AVATARS}/{avatar}/thumbnail",
        "idle_url": f"{AVATARS}/{avatar}/idle",
        "builtin": False,
        "controls": face["controls"],
    }
    assert (await get(world, AVATARS)).json()[-1] == face
    assert await listed(world) == ["grey", "green", avatar]


async def test_who_agreed_to_what_and_when_is_kept_with_the_picture(world: World) -> None:
    item = world.services.library.find("avatar", await added(world))

    assert item is not None
    assert item.consent == Consent("local", NOW_S, PORTRAIT)
    assert (item.name, item.created_at) == ("Ana", NOW_S)


async def test_the_key_that_agreed_is_named_by_its_hash(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"a key").hexdigest()
    (tmp_path / "keys").write_text(digest)
    world = make_world(tmp_path / "data", api_keys_file=tmp_path / "keys")
    answer = await add(world, key="a key")
    item = world.services.library.find("avatar", answer.json()["id"])
    assert item is not None
    assert item.consent.given_by == f"key {digest[:12]}"


async def test_replicas_get_the_framed_picture_with_its_landmarks(world: World) -> None:
    avatar = await added(world)
    source = await find_portrait(world.services.library, avatar)

    assert source is not None
    assert (source.id, source.name, source.builtin) == (avatar, "Ana", False)
    assert source.image.shape[0] == source.image.shape[1] <= 2 * SIZE_PX  # the fake's frame
    assert source.landmarks is not None
    assert source.landmarks.shape == (478, 2)
    inside = source.landmarks / source.image.shape[0]
    assert (inside > 0.1).all()
    assert (inside < 0.9).all()
    assert await find_portrait(world.services.library, "grey") is None
    assert await find_portrait(world.services.library, "../../etc/passwd") is None


async def test_nothing_that_the_file_said_about_itself_is_kept(world: World) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x9003] = "taken at the secret place", "2026:11:21 09:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    picture = in_file(painting(), exif=exif, comment=b"secret place", quality=90)
    assert b"secret" in picture
    avatar = await added(world, picture)
    await get(world, f"{AVATARS}/{avatar}/idle")  # drawn by then, and kept

    files = kept(world)
    assert len(files) == 5
    for path in files:
        data = path.read_bytes()
        assert b"secret" not in data
        assert b"Exif" not in data
        if path.suffix in (".png", ".webp"):
            assert Image.open(io.BytesIO(data)).info.keys() <= {"loop", "background"}


async def test_a_picture_from_a_phone_that_was_held_sideways_is_turned(world: World) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = np.ascontiguousarray(np.rot90(painting()))
    avatar = await added(world, in_file(lying, exif=exif, quality=95))
    source = await find_portrait(world.services.library, avatar)
    assert source is not None
    assert source.landmarks is not None
    forehead, chin = source.landmarks[10], source.landmarks[152]
    assert chin[1] - forehead[1] > 2 * abs(chin[0] - forehead[0])


async def test_it_is_there_for_other_processes_and_after_a_restart(
    world: World, tmp_path: Path
) -> None:
    avatar = await added(world)
    other = make_world(tmp_path)
    assert await listed(other) == ["grey", "green", avatar]
    assert (await get(other, f"{AVATARS}/{avatar}/thumbnail")).status_code == 200


# refusing


REFUSED: dict[str, tuple[bytes, tuple[int, str]]] = {
    "no picture": (b"hello", (415, "unsupported_media")),
    "nothing": (b"", (415, "unsupported_media")),
    "sound": (clip(0.3), (415, "unsupported_media")),
    "cut in the middle": (PICTURE[:9000], (415, "unsupported_media")),
    "a wall": (in_file(np.full((300, 300, 3), 170, np.uint8)), (422, "no_face")),
    "one pixel": (in_file(np.zeros((1, 1, 3), np.uint8), "PNG"), (422, "no_face")),
    "two people": (in_file(beside(painting(), painting())), (422, "many_faces")),
    "somebody far away": (in_file(enlarged(painting(), 0.15)), (422, "too_small")),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_picture_that_cannot_be_animated_is_refused_and_not_kept(
    world: World, what: str
) -> None:
    picture, told = REFUSED[what]
    answer = await add(world, picture)
    assert problem(answer) == told
    assert answer.json()["detail"]
    assert kept(world) == []


async def test_limits_of_bytes_and_pixels_are_the_profiles(tmp_path: Path) -> None:
    small = make_world(tmp_path / "a", max_image_pixels=768 * 1152 - 1)
    light = make_world(tmp_path / "b", max_image_bytes=len(PICTURE) - 1)
    exact = make_world(tmp_path / "c", max_image_bytes=len(PICTURE), max_image_pixels=768 * 1152)
    assert problem(await add(small)) == (413, "too_large")
    assert problem(await add(light)) == (413, "too_large")
    assert (await add(exact)).status_code == 201


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"consent": "false"}, (422, "consent_required")),
        ({"consent": ""}, (422, "consent_required")),
        ({"name": " "}, (422, "invalid_value")),
        ({"name": "a\nb"}, (422, "invalid_value")),
        ({"style": "anime"}, (400, "bad_request")),
    ],
)
async def test_what_is_missing_or_unknown_is_named(
    world: World, fields: dict[str, Any], told: tuple[int, str]
) -> None:
    answer = await add(world, **fields)
    assert problem(answer) == told
    if told[1] == "consent_required":
        assert PORTRAIT in answer.json()["detail"]
    assert kept(world) == []


async def test_without_the_detector_the_command_is_named_before_anything_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    head = {"content-type": "multipart/form-data; boundary=x", "content-length": "9"}
    caller = Caller(world.app, "POST", AVATARS, head)
    caller.start()  # and sends nothing
    await caller.until_answered()
    assert caller.sent[0]["status"] == 501
    assert b"requirements-portraits.lock" in caller.body
    assert await world.services.stages.avatar.portraits()
    assert "pip install" in await add_detail(world)


async def add_detail(world: World) -> str:
    return str((await add(world)).json()["detail"])


async def test_what_the_engine_says_of_the_face_is_told_and_nothing_is_kept(world: World) -> None:
    world.switches.fail["still"] = UnusableInputError("too small for me", code="too_small")
    assert problem(await add(world)) == (422, "too_small")
    world.switches.fail["still"] = EngineRuntimeError("out of memory", stage="avatar")
    assert problem(await add(world)) == (503, "engine_failed")
    assert kept(world) == []


async def test_while_the_stage_loads_nothing_is_taken(world: World) -> None:
    from tests.web_fakes import ready

    world.health.append(ready(avatar="loading"))
    assert problem(await add(world)) == (503, "loading")


async def test_who_leaves_while_uploading_leaves_nothing(world: World) -> None:
    body, kind = multipart({"image": PICTURE, "name": "Ana", "consent": "true"})
    head = {"content-type": kind, "content-length": str(len(body))}
    caller = Caller(world.app, "POST", AVATARS, head)
    caller.start()
    await caller.upload(body[: len(body) // 2], is_last=False)
    await caller.until_read()
    await caller.leave()
    assert kept(world) == []


async def test_several_at_once_are_all_kept(world: World) -> None:
    smaller = in_file(enlarged(painting(), 0.5))
    answers = await asyncio.gather(*(add(world, smaller, name=f"Ana {i}") for i in range(4)))
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len(await listed(world)) == 6


# using


async def test_an_added_face_speaks_in_every_answer(world: World) -> None:
    avatar = await added(world)
    async with world.client() as client:
        form = {"text": "hello", "language": "en", "avatar": avatar}
        answered = await client.post("/api/v1/conversation", data=form)
        streamed = await client.post("/api/v1/conversation/stream", data=form)
        narrated = await client.post(
            "/api/v1/generate", json={"text": "Hello.", "language": "en", "avatar": avatar}
        )
        files = {"audio": ("a", clip())}
        animated = await client.post("/api/v1/animate", files=files, data={"avatar": avatar})

    assert [a.status_code for a in (answered, streamed, narrated, animated)] == [200] * 4
    assert events_of(streamed)[-1][0] == "done"
    assert world.switches.drawn_faces[-1:] == [avatar]
    assert set(world.switches.drawn_faces) == {avatar}


async def test_its_pictures_at_rest_are_drawn_once_and_kept_on_the_disk(
    world: World, tmp_path: Path
) -> None:
    avatar = await added(world)
    thumbnail = await get(world, f"{AVATARS}/{avatar}/thumbnail")
    idle = await get(world, f"{AVATARS}/{avatar}/idle")
    again = await get(make_world(tmp_path), f"{AVATARS}/{avatar}/idle")

    assert thumbnail.headers["content-type"] == "image/webp"
    picture = cv2.imdecode(np.frombuffer(thumbnail.content, np.uint8), cv2.IMREAD_COLOR)
    assert np.asarray(picture).shape == (288, 288, 3)
    assert idle.content == again.content == b"idle video of " + avatar.encode()
    assert world.drawn_faces == [avatar]


async def test_a_photograph_is_taken(world: World) -> None:
    assert await added(world, photograph())


# erasing


async def test_a_deleted_face_is_gone_with_all_that_belongs_to_it(world: World) -> None:
    avatar = await added(world)
    await get(world, f"{AVATARS}/{avatar}/idle")
    deleted = await delete(world, avatar)
    again = await delete(world, avatar)
    shown = [await get(world, f"{AVATARS}/{avatar}/{what}") for what in ("thumbnail", "idle")]

    assert (deleted.status_code, deleted.content) == (204, b"")
    assert [problem(answer) for answer in (again, *shown)] == [(404, "not_found")] * 3
    assert await listed(world) == ["grey", "green"]
    assert list((world.data_dir / "avatars").iterdir()) == []
    assert await find_portrait(world.services.library, avatar) is None
    async with world.client() as client:
        form = {"text": "hello", "avatar": avatar}
        assert problem(await client.post("/api/v1/conversation", data=form)) == (404, "not_found")


@pytest.mark.parametrize("avatar", ["nobody", "..", "a" * 64, "%2e%2e"])
async def test_what_is_not_there_cannot_be_deleted(world: World, avatar: str) -> None:
    answer = await delete(world, avatar)
    assert answer.status_code in (404, 405)


async def test_library_items_of_the_other_kind_are_untouched(world: World) -> None:
    consent = Consent("local", NOW_S, "yes")
    voice = world.services.library.add("voice", "Ana", consent, facts={}, files={})
    assert problem(await delete(world, voice.id)) == (404, "not_found")
    assert Library(world.data_dir).find("voice", voice.id) == voice
