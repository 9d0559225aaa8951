"""What is always to be seen, on a desktop and on a phone."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import cv2
import numpy as np
import pytest
from playwright.async_api import expect

from deployments.types import Frame
from tests.page.avatar_page import SHORT, AvatarPage
from tests.page.conftest import DESKTOP, OpenPage

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
SMALL = {"viewport": {"width": 320, "height": 568}, "has_touch": True, "is_mobile": True}
LARGE = {"viewport": DESKTOP}


@pytest.mark.parametrize("context", [PHONE, SMALL, LARGE], ids=["phone", "small phone", "desktop"])
async def test_nothing_is_wider_than_the_window_in_any_state(
    open_page: OpenPage, context: dict[str, Any]
) -> None:
    page = await (await open_page(**context)).visit()
    widths = [await page.overflow_px()]
    await page.at("main").click()
    await page.reaches("recording")
    widths.append(await page.overflow_px())
    await page.at("discard").click()
    await page.ask(SHORT)
    await page.reaches("speaking")
    widths.append(await page.overflow_px())
    await page.reaches("idle")
    await page.page.locator("#timeline").evaluate("(details) => { details.open = true; }")
    widths.append(await page.overflow_px())
    assert widths == [0, 0, 0, 0]


async def test_on_a_phone_the_talk_button_lies_under_the_thumb(open_page: OpenPage) -> None:
    page = await (await open_page(**PHONE)).visit()
    box = await page.at("main").bounding_box()
    assert box is not None
    assert box["y"] > 844 * 2 / 3
    assert box["y"] + box["height"] <= 844
    assert box["height"] >= 44
    assert box["width"] > 390 / 2


async def test_a_spoken_turn_works_at_a_phones_size(open_page: OpenPage) -> None:
    page = await (await open_page(**PHONE)).visit()
    await page.at("main").tap()
    await page.reaches("recording")
    await expect(page.at("elapsed")).to_have_text("0:03", timeout=10_000)
    await page.at("main").tap()
    await page.finishes()
    received, appended = await page.counts()
    reply = await page.reply()
    assert received == appended
    assert reply["has_ended"]


@pytest.mark.parametrize("context", [PHONE, LARGE], ids=["phone", "desktop"])
async def test_one_always_sees_that_it_is_a_machine(
    open_page: OpenPage, context: dict[str, Any]
) -> None:
    page = await (await open_page(**context)).visit()
    sentence = page.page.locator("figcaption")
    for state in ("idle", "speaking"):
        if state == "speaking":
            await page.ask(SHORT)
            await page.reaches(state)
        await expect(sentence).to_contain_text("AI")
        await expect(sentence).to_contain_text("You are talking to a machine")
        await expect(sentence).to_be_in_viewport(ratio=0.99)


async def test_the_idle_face_lives_while_nobody_speaks(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.at("idle").evaluate(UNTIL_IT_MOVES)
    assert await page.at("idle").evaluate("(video) => [video.loop, video.muted, video.paused]") == [
        True, True, False,
    ]  # fmt: skip


async def test_the_answer_lies_over_the_idle_face_and_gives_way_to_it(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    assert (await page.reply())["opacity"] == "0"
    await page.ask(SHORT)
    await page.reaches("speaking")
    await expect(page.at("reply")).to_have_css("opacity", "1")
    boxes = [await page.at(name).bounding_box() for name in ("idle", "reply")]
    assert boxes[0] == boxes[1]
    await page.reaches("idle", 60_000)
    await expect(page.at("reply")).to_have_css("opacity", "0")
    await page.at("idle").evaluate(UNTIL_IT_MOVES)


async def test_the_face_never_flashes_while_it_begins_and_ends_to_speak(
    open_page: OpenPage,
) -> None:
    page = await (await open_page()).visit()
    await page.at("idle").evaluate(UNTIL_IT_MOVES)
    async with screencast(page) as pictures:
        await page.ask(SHORT)
        await page.finishes()
        await expect(page.at("reply")).to_have_css("opacity", "0")
    brightness = [float(picture[60:330, 30:250].mean()) for picture in pictures]  # the face
    assert len(brightness) > 20
    # A black, white or empty picture differs by more than 40; a moving face by about 2.
    assert max(brightness) - min(brightness) < 12


@asynccontextmanager
async def screencast(page: AvatarPage) -> AsyncIterator[list[Frame]]:
    """What the browser shows at half its size, one picture whenever something has changed."""
    pictures: list[Frame] = []
    devtools = await page.page.context.new_cdp_session(page.page)

    async def keep(event: dict[str, Any]) -> None:
        data = np.frombuffer(base64.b64decode(event["data"]), np.uint8)
        pictures.append(cast(Frame, cv2.imdecode(data, cv2.IMREAD_COLOR)))
        await devtools.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    devtools.on("Page.screencastFrame", keep)
    size = {"maxWidth": DESKTOP["width"] // 2, "maxHeight": DESKTOP["height"] // 2}
    await devtools.send("Page.startScreencast", {"format": "jpeg", **size})
    yield pictures
    await devtools.send("Page.stopScreencast")
    await devtools.detach()


async def test_the_answer_has_the_shape_of_the_portrait(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.ask(SHORT)
    await page.finishes()
    reply = await page.reply()
    idle = await page.at("idle").evaluate("(video) => [video.videoWidth, video.videoHeight]")
    assert [reply["width_px"], reply["height_px"]] == idle


async def test_light_and_dark_follow_the_system(open_page: OpenPage) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page = await (await open_page(color_scheme=scheme)).visit()
        grounds.append(await page.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(244, 243, 239)", "rgb(18, 21, 23)"]


async def test_who_wants_no_motion_sees_the_idle_face_still(open_page: OpenPage) -> None:
    page = await (await open_page(reduced_motion="reduce")).visit()
    assert await page.at("idle").evaluate("(video) => video.paused")
    duration = "getComputedStyle(document.getElementById('reply')).transitionDuration"
    assert await page.page.evaluate(duration) == "0s"
    await page.ask(SHORT)
    await page.finishes()


async def test_the_engine_is_named_where_it_is_no_language_model(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    engine = await page.page.evaluate(
        "fetch('/health').then((a) => a.json()).then((health) => health.deployments.llm.engine)"
    )
    note = page.at("brain-note")
    if engine == "rules":
        await expect(note).to_have_text("Demo brain (engine: rules), not a language model.")
    else:
        await expect(note).to_be_hidden()


async def test_the_pickers_hold_what_the_server_offers(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    voices, avatars = await page.page.evaluate(
        "Promise.all(['voices', 'avatars'].map((n) => fetch(`/api/v1/${n}`).then((a) => a.json())))"
    )
    options = page.page.locator
    assert await options("#voice option").all_inner_texts() == [
        "Automatic", *(voice["name"] for voice in voices),
    ]  # fmt: skip
    assert await options("#avatar option").all_inner_texts() == [a["name"] for a in avatars]
    await page.at("language").select_option("en")
    english = [voice["name"] for voice in voices if "en" in voice["languages"]]
    assert await options("#voice option").all_inner_texts() == ["Automatic", *english]


UNTIL_IT_MOVES = """(video) => new Promise((resolve) => {
    const from = video.currentTime;
    video.addEventListener("timeupdate", () => video.currentTime !== from && resolve());
})"""
