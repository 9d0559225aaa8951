"""What the page says when it cannot hear."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.page.avatar_page import SHORT
from tests.page.conftest import LaunchBrowser, OpenPage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_refused_microphone_is_explained_and_typing_still_works(
    open_page: OpenPage, launch: LaunchBrowser
) -> None:
    deaf = await launch("--use-fake-device-for-media-stream", "--deny-permission-prompts")
    page = await (await open_page(within=deaf)).visit()
    await page.at("main").click()
    await page.reaches("error")
    await expect(page.at("problem")).to_have_attribute("data-code", "microphone_refused")
    await expect(page.at("problem")).to_contain_text("address bar")
    await page.ask(SHORT)
    await page.finishes()
    await expect(page.at("problem")).to_be_hidden()


async def test_a_missing_microphone_is_explained(
    open_page: OpenPage, launch: LaunchBrowser
) -> None:
    without = await launch("--use-fake-ui-for-media-stream", "--disable-audio-input")
    page = await (await open_page(within=without)).visit()
    await page.at("main").click()
    await page.reaches("error")
    await expect(page.at("problem")).to_have_attribute("data-code", "microphone_missing")


async def test_an_insecure_address_says_that_https_or_localhost_is_needed(
    open_page: OpenPage, launch: LaunchBrowser, server_url: str
) -> None:
    elsewhere = await launch("--host-resolver-rules=MAP avatar.test 127.0.0.1")
    url = f"http://avatar.test:{urlsplit(server_url).port}"
    page = await (await open_page(within=elsewhere, url=url)).visit()
    await page.at("main").click()
    await page.reaches("error")
    await expect(page.at("problem")).to_contain_text("https")
    await expect(page.at("problem")).to_contain_text("localhost")


async def test_a_double_click_is_no_question(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.at("main").click()
    await page.reaches("recording")
    await page.page.evaluate("document.getElementById('main').click()")
    await page.reaches("error")
    await expect(page.at("problem")).to_have_attribute("data-code", "recorded_nothing")
    assert await page.questions() == []


async def test_the_microphone_is_closed_after_each_question(open_page: OpenPage) -> None:
    page = await (await open_page(script=KEEP_TRACKS)).visit()
    await page.at("main").click()
    await page.reaches("recording")
    await page.at("discard").click()
    assert await page.page.evaluate("tracks.map((track) => track.readyState)") == ["ended"]


async def test_a_language_that_is_not_heard_is_to_be_typed(open_page: OpenPage) -> None:
    page = await open_page()
    await page.page.route("**/health", lambda route: _hears_only_english(route))
    await page.visit()
    await expect(page.at("hearing-note")).to_contain_text("English")
    await page.at("language").select_option("es")
    await expect(page.at("hearing-note")).to_contain_text("Spanish is not understood")
    await page.at("main").click()
    await expect(page.at("words")).to_be_focused()
    assert await page.page.evaluate("document.body.dataset.state") == "idle"


async def _hears_only_english(route: Any) -> None:
    answer = await route.fetch()
    health = await answer.json()
    health["deployments"]["asr"]["languages"] = ["en"]
    await route.fulfill(response=answer, json=health)


KEEP_TRACKS = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.tracks = [];
navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    window.tracks.push(...stream.getTracks());
    return stream;
};
"""
