"""A face of one's own: photographed or chosen, looked at, sent, seen and deleted."""

from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.page.avatar_page import SHORT, AvatarPage
from tests.page.conftest import CAMERA_PX, DESKTOP, MIRA
from tests.page.own_dialog import OwnDialog, faces_of
from tests.page.test_look import PHONE
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(studio: Browser, studio_server: Server) -> AsyncIterator[AvatarPage]:
    """One page for all: what was added is deleted after each test."""
    visitor = await studio.new_context(viewport=DESKTOP)
    page = await AvatarPage(await visitor.new_page(), studio_server.url).visit()
    yield page
    await page.close()
    assert page.faults == []


@pytest_asyncio.fixture(loop_scope="session")
async def faces(page: AvatarPage) -> AsyncIterator[OwnDialog]:
    dialog = faces_of(page)
    yield await dialog.open()
    await dialog.clear()


async def test_a_face_before_the_camera_is_added_shown_and_speaks(faces: OwnDialog) -> None:
    page = faces.page
    await faces.part("shoot").click()
    await expect(faces.part("shoot-label")).to_have_text("Take the picture")
    await expect(faces.part("camera")).to_be_visible()
    await faces.part("shoot").click()
    await expect(faces.part("picture")).to_be_visible()
    await expect(faces.part("camera")).to_be_hidden()
    size = "(image) => [image.naturalHeight, image.naturalWidth]"
    assert await faces.part("picture").evaluate(size) == list(CAMERA_PX)
    assert await faces.part("camera").evaluate("(video) => video.srcObject") is None

    before = await page.at("idle").get_attribute("src")
    await faces.fill("Ada")
    await faces.send()
    await faces.is_done()
    (added,) = await faces.on_the_server()
    assert added["name"] == "Ada"
    assert await page.at("avatar").input_value() == added["id"]
    await expect(page.at("idle")).not_to_have_attribute("src", before or "")
    await page.ask(SHORT)
    await page.reaches("speaking")
    assert (await page.reply())["width_px"] == added["width"]


async def test_a_picture_is_deleted_by_two_presses(faces: OwnDialog) -> None:
    await faces.choose(MIRA)
    await faces.fill("Mira again")
    await faces.send()
    await faces.is_done()
    await faces.open()
    (line,) = await faces.part("list").locator("li").all()
    await expect(line.locator("img")).to_have_js_property("complete", True)
    for _ in range(2):
        await line.get_by_role("button").click()
    await expect(faces.part("list")).to_be_hidden()
    assert await faces.on_the_server() == []
    assert "Mira again" not in await faces.page.at("avatar").inner_text()


async def test_a_picture_without_a_face_is_told_in_the_servers_words(
    faces: OwnDialog, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((600, 400, 3), 128, np.uint8))
    await faces.choose(tmp_path / "grey.png")
    await faces.fill("Nobody")
    async with faces.page.page.expect_response("**/api/v1/avatars") as refused:
        await faces.send()
    problem = await (await refused.value).json()
    said = await faces.fails("no_face")
    assert "This picture will not do" in said
    assert problem["detail"] in said
    await expect(faces.part("picture")).to_be_visible()
    assert await faces.part("name").input_value() == "Nobody"


async def test_a_file_that_is_no_picture_does_not_travel(faces: OwnDialog) -> None:
    await faces.choose({"name": "a.png", "mimeType": "image/png", "buffer": b"not a picture"})
    assert "could not be read" in await faces.fails("unsupported_media")
    await expect(faces.part("picture")).to_be_hidden()


async def test_the_dialog_fits_a_phone(studio: Browser, studio_server: Server) -> None:
    visitor = await studio.new_context(**PHONE)
    page = await AvatarPage(await visitor.new_page(), studio_server.url).visit()
    await page.at("settings-toggle").tap()
    faces = await faces_of(page).open()
    await faces.choose(MIRA)
    for width_px in (390, 320):
        await page.page.set_viewport_size({"width": width_px, "height": 844})
        await expect(faces.part("picture")).to_be_visible()
        box = await faces.dialog.bounding_box()
        assert box is not None
        assert (box["x"], box["x"] + box["width"]) == (0, width_px)
        assert await faces.dialog.evaluate("(box) => box.scrollWidth - box.clientWidth") == 0
        await faces.part("submit").scroll_into_view_if_needed()
        await expect(faces.part("submit")).to_be_in_viewport(ratio=0.99)
        assert await page.overflow_px() == 0
    await page.close()
    assert page.faults == []
