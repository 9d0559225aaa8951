"""The page without a mouse."""

import pytest
from playwright.async_api import expect

from tests.page.avatar_page import LONG
from tests.page.conftest import OpenPage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_space_records_sends_and_stops(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.page.keyboard.press("Space")
    await page.reaches("recording")
    await expect(page.at("elapsed")).to_have_text("0:03", timeout=10_000)
    await page.page.keyboard.press("Space")
    await page.reaches("speaking")
    await page.page.keyboard.press("Space")
    await page.reaches("idle")
    assert len(await page.questions()) == 1


async def test_enter_records_and_escape_discards(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.page.keyboard.press("Enter")
    await page.reaches("recording")
    await page.page.keyboard.press("Escape")
    await page.reaches("idle")
    assert await page.questions() == []


async def test_the_tab_key_reaches_every_control_and_shows_where_it_is(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    reached = []
    for _ in range(16):
        await page.page.keyboard.press("Tab")
        here = await page.page.evaluate(
            """() => {
                const here = document.activeElement;
                return [here.id, getComputedStyle(here).outlineWidth];
            }"""
        )
        reached.append(tuple(here))
    ids = [element for element, _ in reached if element]
    controls = {
        "start-over",
        "language",
        "own-voices",
        "voice",
        "own-faces",
        "log",
        "main",
        "words",
    }
    assert controls - set(ids) == set()
    assert {width for element, width in reached if element} == {"3px"}


async def test_typing_a_space_types_a_space(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.at("words").focus()
    await page.page.keyboard.type("two words")
    assert await page.at("words").input_value() == "two words"
    assert await page.page.evaluate("document.body.dataset.state") == "idle"


async def test_a_whole_turn_is_asked_and_stopped_from_the_buttons(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.at("words").focus()
    await page.page.keyboard.type(LONG)
    await page.page.keyboard.press("Enter")
    await page.reaches("speaking")
    await page.at("main").focus()
    await page.page.keyboard.press("Enter")
    await page.reaches("idle")
