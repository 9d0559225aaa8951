"""Asking and being answered, in a real browser."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from tests.page.avatar_page import LONG, SHORT, TURN_TIMEOUT_MS, AvatarPage
from tests.page.conftest import OpenPage

pytestmark = pytest.mark.asyncio(loop_scope="session")

WITHOUT_MEDIA_SOURCE = "delete window.MediaSource; delete window.ManagedMediaSource;"
MANAGED_ONLY = "window.ManagedMediaSource = window.MediaSource; delete window.MediaSource;"


async def assert_was_seen_whole(page: AvatarPage) -> None:
    """All that came was played, in one piece and to the end."""
    received, appended = await page.counts()
    reply = await page.reply()
    assert received == appended
    assert received >= 3  # the init segment, at least one fragment, the closing box
    assert reply["has_ended"]
    assert reply["position_s"] == pytest.approx(reply["duration_s"], abs=0.05)
    assert reply["n_stretches"] == 1


async def test_one_click_records_and_another_sends_what_was_said(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.at("main").click()
    await page.reaches("recording")
    await expect(page.at("elapsed")).to_have_text("0:03", timeout=10_000)
    await page.at("main").click()
    await page.finishes()
    await assert_was_seen_whole(page)
    (question,), (answer,) = await page.questions(), await page.answers()
    assert question
    assert answer
    assert [(t["user_text"], t["response_text"]) for t in await page.told()] == [(question, answer)]


async def test_the_meter_moves_while_somebody_speaks(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.at("main").click()
    loud = re.compile(r"^([3-9]\d|100)$")
    await expect(page.at("meter")).to_have_attribute("aria-valuenow", loud)
    await page.at("discard").click()
    await page.reaches("idle")
    assert await page.questions() == []


async def test_a_typed_question_is_answered(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.ask(SHORT)
    await page.finishes()
    await assert_was_seen_whole(page)
    assert await page.questions() == [SHORT]
    assert len(await page.answers()) == 1


async def test_the_answer_plays_before_all_of_it_has_come(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.page.evaluate(WATCH_FIRST_PICTURE)
    await page.ask(LONG)
    await page.reaches("speaking")
    at_first = int(await page.page.evaluate("document.body.dataset.atFirstPicture"))
    await page.at("main").click()
    await page.reaches("idle")
    received, _ = await page.counts()
    assert 2 <= at_first <= received


async def test_the_words_of_the_answer_come_before_its_picture(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.ask(SHORT)
    await page.reaches("speaking")
    (answer,) = await page.answers()
    assert answer.strip() not in ("", "…")
    await page.at("main").click()


async def test_without_media_source_the_whole_answer_plays_at_once(open_page: OpenPage) -> None:
    page = await (await open_page(script=WITHOUT_MEDIA_SOURCE)).visit()
    await page.ask(SHORT)
    await page.finishes()
    await assert_was_seen_whole(page)


async def test_managed_media_source_serves_where_it_is_the_only_one(open_page: OpenPage) -> None:
    page = await (await open_page(script=MANAGED_ONLY)).visit()
    await page.ask(SHORT)
    await page.finishes()
    await assert_was_seen_whole(page)
    assert await page.at("reply").evaluate("(video) => video.disableRemotePlayback")


async def test_stopping_ends_the_answer_here_and_at_the_server(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.ask(LONG)
    await page.reaches("speaking")
    async with page.page.expect_event("requestfailed", lambda r: r.url.endswith("/stream")):
        await page.at("main").click()
    await page.reaches("idle")
    reply = await page.reply()
    assert reply["is_paused"]
    assert not reply["has_ended"]
    await page.ask(SHORT)
    await page.finishes()
    await assert_was_seen_whole(page)


async def test_a_new_question_interrupts_the_answer_to_the_last(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.ask(LONG)
    await page.reaches("speaking")
    await page.ask(SHORT)
    await page.reaches("thinking")
    await page.finishes()
    await assert_was_seen_whole(page)
    assert await page.questions() == [LONG, SHORT]


async def test_two_pages_at_once_never_mix(open_page: OpenPage) -> None:
    names = ("Ada", "Boris")
    pages = [await (await open_page()).visit() for _ in names]

    async def talk(page: AvatarPage, name: str) -> list[str]:
        for text in (f"My name is {name}.", "Tell me the time"):
            await page.ask(text)
            await page.finishes()
            await assert_was_seen_whole(page)
        return await page.questions()

    asked = await asyncio.gather(*(talk(p, n) for p, n in zip(pages, names, strict=True)))
    assert asked == [[f"My name is {name}.", "Tell me the time"] for name in names]
    sessions = [await page.session() for page in pages]
    assert len(set(sessions)) == 2
    for page, name in zip(pages, names, strict=True):
        told = await page.told()
        assert [turn["user_text"] for turn in told] == asked[names.index(name)]
        assert [turn["response_text"] for turn in told] == await page.answers()


async def test_two_pages_that_speak_at_once_each_show_their_own_answer(
    open_page: OpenPage,
) -> None:
    questions = ["What can you do?", "¿Qué puedes hacer?"]
    pages = [await (await open_page(script=KEEP_WHAT_IS_PLAYED)).visit() for _ in questions]
    for page, question in zip(pages, questions, strict=True):
        await page.ask(question)
    await asyncio.gather(*(page.reaches("speaking") for page in pages))
    assert [(await page.reply())["is_paused"] for page in pages] == [False, False]
    await asyncio.gather(*(page.reaches("idle", TURN_TIMEOUT_MS) for page in pages))

    answers = []
    for page, question in zip(pages, questions, strict=True):
        await assert_was_seen_whole(page)
        (turn,) = await page.told()
        assert [turn["user_text"]] == await page.questions() == [question]
        assert [turn["response_text"]] == await page.answers()
        kept = await page.page.context.request.get(page.url + turn["video_url"])
        assert await page.played() == await kept.body()
        answers.append(turn["response_text"])
    assert len(set(answers)) == 2


async def test_a_reload_keeps_the_conversation(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.ask(SHORT)
    await page.finishes()
    before = await page.questions(), await page.answers(), await page.session()
    await page.page.reload()
    await page.reaches("idle")
    assert (await page.questions(), await page.answers(), await page.session()) == before


async def test_a_new_conversation_erases_the_old_one(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.ask(SHORT)
    await page.finishes()
    session = await page.session()
    async with page.page.expect_response(lambda r: r.request.method == "DELETE") as erased:
        await page.at("start-over").click()
    assert (await erased.value).status == 204
    assert (await page.questions(), await page.session()) == ([], "")
    status = await page.page.evaluate(
        "(id) => fetch(`/api/v1/sessions/${id}`).then((answer) => answer.status)", session
    )
    assert status == 404


async def test_a_question_to_an_expired_session_begins_a_new_one(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.page.evaluate("sessionStorage.setItem('realtime-avatar.session', 'expired-0000')")
    await page.ask(SHORT)
    await page.finishes()
    assert await page.session() not in ("", "expired-0000")


async def test_the_timeline_shows_where_the_time_went(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.ask(SHORT)
    await page.finishes()
    (turn,) = await page.told()
    shown = await page.page.locator("#timeline dt").all_inner_texts()
    assert [name for name in ("Think", "Speak", "Draw", "TTFF", "Total") if name in shown] == [
        "Think", "Speak", "Draw", "TTFF", "Total",
    ]  # fmt: skip
    assert "Listen" not in shown  # nobody spoke
    total = await page.page.locator("#timeline .figures div", has_text="Total").inner_text()
    ms = turn["timings"]["turn_ms"]
    assert (f"{ms:.0f} ms" in total) if ms < 999.5 else (f"{ms / 1000:.2f} s" in total)


KEEP_WHAT_IS_PLAYED = """
window.played = [];
const append = SourceBuffer.prototype.appendBuffer;
SourceBuffer.prototype.appendBuffer = function (bytes) {
    window.played.push(...new Uint8Array(bytes.buffer ?? bytes));
    return append.call(this, bytes);
};
"""
WATCH_FIRST_PICTURE = """() => new MutationObserver((_, observer) => {
    const { state, fragmentsReceived } = document.body.dataset;
    if (state !== "speaking") return;
    document.body.dataset.atFirstPicture = fragmentsReceived;
    observer.disconnect();
}).observe(document.body, { attributes: true })"""
