"""A voice of one's own: recorded or chosen, listened to, sent, spoken with and deleted."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Request, Route, expect

from tests.page.avatar_page import SHORT, AvatarPage
from tests.page.conftest import DESKTOP, OpenPage, write_wav
from tests.page.own_dialog import OwnDialog, voices_of
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

VOICES = "**/api/v1/voices"
RECORDING_TIMEOUT_MS = 15_000
RATE_HZ = 16_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(studio: Browser, studio_server: Server) -> AsyncIterator[AvatarPage]:
    """One page for all: what was added is deleted after each test."""
    visitor = await studio.new_context(viewport=DESKTOP)
    await visitor.add_init_script(KEEP_TRACKS)
    page = await AvatarPage(await visitor.new_page(), studio_server.url).visit()
    yield page
    await page.close()
    assert page.faults == []


@pytest_asyncio.fixture(loop_scope="session")
async def voices(page: AvatarPage) -> AsyncIterator[OwnDialog]:
    dialog = voices_of(page)
    yield await dialog.open()
    await dialog.clear()


async def test_a_voice_read_aloud_is_added_chosen_and_spoken(voices: OwnDialog) -> None:
    page = voices.page
    await voices.part("record").click()
    await expect(voices.part("countdown")).to_have_text(re.compile(r"^[56] s more$"))
    loud = re.compile(r"^([3-9]\d|100)$")
    await expect(voices.part("meter")).to_have_attribute("aria-valuenow", loud)
    await expect(voices.part("countdown")).to_have_text(
        re.compile(r"^Enough; 2[34] s left$"), timeout=RECORDING_TIMEOUT_MS
    )
    await voices.part("record").click()
    await expect(voices.part("what")).to_have_text(re.compile(r"^Recorded, [67] s$"))
    assert await page.page.evaluate(ARE_CLOSED)

    await voices.part("listen").click()
    await expect(voices.part("listen-label")).to_have_text("Stop")
    await voices.part("listen").click()
    await expect(voices.part("listen-label")).to_have_text("Listen")

    await voices.fill("  Ada's voice ")
    await voices.send()
    await voices.is_done()
    (added,) = await voices.on_the_server()
    assert (added["name"], added["cloned"]) == ("Ada's voice", True)
    assert await page.at("voice").input_value() == added["id"]
    await expect(page.at("status")).to_have_text("Ada's voice was added and is chosen")
    await expect(voices.opener).to_be_focused()

    async with page.page.expect_request("**/conversation/stream") as asked:
        await page.ask(SHORT)
    assert added["id"].encode() in ((await asked.value).post_data_buffer or b"")
    await page.reaches("speaking")


async def test_what_is_wrong_with_a_sample_is_said_in_the_servers_words_and_nothing_is_lost(
    voices: OwnDialog, tmp_path: Path
) -> None:
    write_wav(tmp_path / "quiet.wav", np.zeros(8 * RATE_HZ, np.float32), RATE_HZ)
    await voices.choose(tmp_path / "quiet.wav")
    await expect(voices.part("what")).to_have_text("quiet.wav, 8 s")
    await voices.fill("Boris")
    async with voices.page.page.expect_response(VOICES) as refused:
        await voices.send()
    problem = await (await refused.value).json()
    assert problem["detail"] in await voices.fails(problem["code"])
    assert await voices.part("name").input_value() == "Boris"
    assert await voices.part("agree").is_checked()
    await expect(voices.part("what")).to_have_text("quiet.wav, 8 s")
    assert await voices.on_the_server() == []


@pytest.mark.parametrize(("length_s", "code"), [(2, "too_short"), (40, "too_long")])
async def test_a_file_of_the_wrong_length_does_not_travel(
    voices: OwnDialog, tmp_path: Path, length_s: int, code: str
) -> None:
    write_wav(tmp_path / "a.wav", np.zeros(length_s * RATE_HZ, np.float32), RATE_HZ)
    await voices.choose(tmp_path / "a.wav")
    assert "6 to 30 s" in await voices.fails(code)
    await expect(voices.part("what")).to_be_hidden()


async def test_nothing_leaves_before_sample_name_and_consent_are_there(
    voices: OwnDialog, sample_wav: Path
) -> None:
    sent: list[Request] = []
    voices.page.page.on("request", lambda r: sent.append(r) if r.method == "POST" else None)
    await voices.fill("Ada")
    await voices.send()
    assert "Record or choose a file first" in await voices.fails("sample_missing")
    await voices.choose(sample_wav)
    for field, undo in (("agree", "uncheck"), ("name", "clear")):
        await voices.fill("Ada")
        await getattr(voices.part(field), undo)()
        await voices.send()
        await expect(voices.part(field)).to_be_focused()
    assert sent == []


async def test_the_sentence_agreed_to_is_the_servers(voices: OwnDialog) -> None:
    health = await voices.page.page.context.request.get(f"{voices.page.url}/health")
    uploads = (await health.json())["deployments"]["tts"]["uploads"]
    await expect(voices.part("consent")).to_have_text(uploads["consent"])
    await expect(voices.dialog.get_by_label(uploads["consent"])).not_to_be_checked()


async def test_the_upload_shows_how_far_it_is_and_can_be_stopped(
    voices: OwnDialog, sample_wav: Path
) -> None:
    page, came, held = voices.page.page, asyncio.Event(), list[Route]()

    async def hold(route: Route) -> None:
        held.append(route)
        came.set()

    await page.route(VOICES, hold)
    await voices.choose(sample_wav)
    await voices.fill("Ada")
    await voices.send()
    await asyncio.wait_for(came.wait(), 10)
    await expect(voices.part("sending")).to_be_visible()
    await expect(voices.part("said")).to_have_text(re.compile("Sending|The server listens to it"))
    await voices.part("name").press("Enter")  # sends nothing more
    async with page.expect_event("requestfailed"):
        await voices.part("stop").click()
    await expect(voices.part("sending")).to_be_hidden()
    assert len(held) == 1
    await page.unroute(VOICES)
    await voices.send()
    await voices.is_done()
    assert [voice["name"] for voice in await voices.on_the_server()] == ["Ada"]


async def test_a_voice_is_deleted_by_two_presses_and_nothing_built_in_can_be(
    voices: OwnDialog, sample_wav: Path
) -> None:
    await voices.choose(sample_wav)
    await voices.fill("Ada")
    await voices.send()
    await voices.is_done()
    await voices.open()
    (line,) = await voices.part("list").locator("li").all()
    await expect(line.locator("span")).to_have_text("Ada")
    erase = line.get_by_role("button")
    await erase.click()
    await expect(erase).to_have_text("Really delete?")
    assert len(await voices.on_the_server()) == 1
    await erase.click()
    await expect(voices.part("list")).to_be_hidden()
    await expect(voices.part("said")).to_have_text("Ada was deleted")
    assert await voices.on_the_server() == []
    assert await voices.page.at("voice").input_value() == ""
    assert "Ada" not in await voices.page.at("voice").inner_text()


async def test_a_voice_that_somebody_else_deleted_is_chosen_no_more(
    voices: OwnDialog, sample_wav: Path
) -> None:
    page = voices.page
    await voices.choose(sample_wav)
    await voices.fill("Ada")
    await voices.send()
    await voices.is_done()
    await voices.clear()
    await page.ask(SHORT)
    await expect(page.at("problem")).to_have_attribute("data-code", "not_found")
    await expect(page.at("problem-advice")).to_contain_text("No such voice")
    await expect(page.at("voice")).to_have_value("")
    await page.at("retry").click()
    await page.reaches("speaking")


async def test_the_text_to_read_follows_the_language(voices: OwnDialog) -> None:
    begins = {"en": "Every morning", "zh": "每天早上", "es": "Cada mañana"}
    for language, words in begins.items():
        await voices.part("reading-language").select_option(language)
        await expect(voices.part("reading")).to_have_attribute("lang", language)
        await expect(voices.part("reading")).to_contain_text(words)
    await voices.part("close").click()
    await voices.page.at("language").select_option("zh")
    await voices.open()
    await expect(voices.part("reading")).to_contain_text(begins["zh"])
    await voices.part("close").click()
    await voices.page.at("language").select_option("")


async def test_the_keyboard_stays_in_the_dialog_and_escape_leaves_it(voices: OwnDialog) -> None:
    page = voices.page.page
    await voices.part("record").focus()
    await page.keyboard.press("Enter")
    await expect(voices.part("countdown")).to_be_visible()
    for _ in range(12):
        await page.keyboard.press("Tab")
        assert await page.evaluate("!document.activeElement.closest('main, header')")
    await page.keyboard.press("Escape")
    await expect(voices.dialog).to_be_hidden()
    await expect(voices.opener).to_be_focused()
    assert await page.evaluate(ARE_CLOSED)
    assert await page.evaluate("document.body.dataset.state") == "idle"


async def test_a_server_that_cannot_copy_voices_says_so_and_offers_nothing(
    open_page: OpenPage,
) -> None:
    page = await (await open_page()).visit()
    health = await page.page.context.request.get(f"{page.url}/health")
    uploads = (await health.json())["deployments"]["tts"]["uploads"]
    refused = await page.page.context.request.post(f"{page.url}/api/v1/voices")
    assert (refused.status, (await refused.json())["detail"]) == (501, uploads["detail"])
    voices = await voices_of(page).open()
    await expect(voices.part("why-not")).to_have_text(uploads["detail"])
    await expect(voices.part("form")).to_be_hidden()
    await expect(voices.opener).to_have_text("Built in")


KEEP_TRACKS = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.tracks = [];
navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    window.tracks.push(...stream.getTracks());
    return stream;
};
"""
ARE_CLOSED = "tracks.length > 0 && tracks.every((track) => track.readyState === 'ended')"
