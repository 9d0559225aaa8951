"""What the page says when the server cannot."""

import json
from typing import Any

import pytest
from playwright.async_api import Route, expect

from tests.page.avatar_page import SHORT, AvatarPage
from tests.page.conftest import OpenPage

pytestmark = pytest.mark.asyncio(loop_scope="session")

STREAM = "**/api/v1/conversation/stream"


def problem(code: str, status: int, detail: str = "") -> dict[str, Any]:
    return {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}


async def refuse_turns(
    page: AvatarPage,
    code: str,
    status: int,
    detail: str = "",
    headers: dict[str, str] | None = None,
) -> None:
    """Every question is answered with this problem, as the interface describes it."""

    async def refuse(route: Route) -> None:
        await route.fulfill(
            status=status,
            body=json.dumps(problem(code, status, detail)),
            content_type="application/problem+json",
            headers=headers or {},
        )

    await page.page.route(STREAM, refuse)


REFUSALS = (
    ("no_speech", 422, "No speech was heard"),
    ("too_large", 413, "too long"),
    ("unsupported_media", 415, "could not be read"),
    ("rate_limited", 429, "Too many questions"),
    ("engine_failed", 503, "failed"),
    ("loading", 503, "still loading"),
    ("disk_full", 507, "disk is full"),
    ("internal", 500, "went wrong in the server"),
)


async def test_each_refusal_is_told_in_words(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    for code, status, words in REFUSALS:
        await refuse_turns(page, code, status)
        await page.ask(SHORT)
        await expect(page.at("problem")).to_have_attribute("data-code", code)
        await expect(page.at("problem")).to_contain_text(words)
        await expect(page.at("problem")).not_to_contain_text("_")  # no code, but words
        await page.at("dismiss").click()
        await page.reaches("idle")
        await page.page.unroute(STREAM)


async def test_what_only_the_server_knows_is_passed_on(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    detail = "Spanish needs the extra faster-whisper."
    await refuse_turns(page, "unsupported_language", 422, detail)
    await page.ask("Hola")
    await expect(page.at("problem")).to_contain_text(detail)


async def test_an_overloaded_server_is_asked_again_when_it_said(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await refuse_turns(page, "overloaded", 503, headers={"Retry-After": "2"})
    await page.ask(SHORT)
    await page.reaches("error")
    retry = page.at("retry")
    await expect(retry).to_be_disabled()
    await expect(retry).to_have_text("Try again in 2 s")
    await page.page.unroute(STREAM)
    await retry.click()  # waits until the countdown has enabled it
    await page.finishes()
    assert await page.questions() == [SHORT]


async def test_a_server_that_is_gone_is_noticed_and_found_again(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await page.page.context.set_offline(True)
    await page.ask(SHORT)
    await page.reaches("error")
    await expect(page.at("problem")).to_contain_text("cannot be reached")
    await page.page.context.set_offline(False)
    await page.at("retry").click()
    await page.finishes()


async def test_a_page_that_never_reached_its_server_says_so_and_goes_on(
    open_page: OpenPage,
) -> None:
    page = await open_page()
    await page.page.route("**/health", lambda route: route.abort())
    await page.visit("error")
    await expect(page.at("server")).to_have_text("No connection")
    await page.page.unroute("**/health")
    await page.reaches("idle")


async def test_what_is_still_loading_is_named(open_page: OpenPage) -> None:
    page = await open_page()
    loading = {name: {"status": "ready", "engine": "x", "replicas": 1} for name in ("llm", "tts")}
    loading["asr"] = {"status": "loading", "engine": "x", "replicas": 0}
    body = {"status": "loading", "profile": "x", "version": "1", "deployments": loading}
    await page.page.route("**/health", lambda route: route.fulfill(status=503, json=body))
    await page.visit("loading")
    await expect(page.at("server")).to_have_text("Loading: hearing")
    await expect(page.at("parts")).to_contain_text("hearing")
    await expect(page.at("main")).to_have_attribute("aria-disabled", "true")
    await page.page.unroute("**/health")
    await page.reaches("idle")


async def test_an_answer_that_fails_midway_is_played_as_far_as_it_came(
    open_page: OpenPage,
) -> None:
    page = await (await open_page()).visit()
    await cut_answers(page, n_fragments=4, end=f"event: error\ndata: {BROKEN}\n\n")
    await page.ask(SHORT)
    await page.reaches("speaking")
    await page.reaches("error")
    await expect(page.at("problem")).to_have_attribute("data-code", "engine_failed")
    assert (await page.reply())["has_ended"]


async def test_a_connection_lost_midway_is_told(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await cut_answers(page, n_fragments=4, end="")
    await page.ask(SHORT)
    await page.reaches("error")
    await expect(page.at("problem")).to_have_attribute("data-code", "cut")


async def cut_answers(page: AvatarPage, n_fragments: int, end: str) -> None:
    """The server's own answer, of which only the first fragments arrive."""

    async def cut(route: Route) -> None:
        answer = await route.fetch()
        events = (await answer.text()).split("\n\n")
        video = [i for i, event in enumerate(events) if event.startswith("event: video")]
        kept = events[: video[n_fragments]]
        await route.fulfill(response=answer, body="\n\n".join(kept) + "\n\n" + end)

    await page.page.route(STREAM, cut)


async def test_the_key_is_asked_for_only_when_the_server_wants_one(open_page: OpenPage) -> None:
    page = await open_page()

    async def guard(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer open sesame":
            await route.continue_()
        else:
            await route.fulfill(status=401, json=problem("unauthorized", 401))

    await page.page.route("**/api/v1/**", guard)
    await page.visit("loading")
    await expect(page.at("key-form")).to_be_visible()
    await page.at("key").fill("open sesame")
    await page.page.keyboard.press("Enter")
    await page.reaches("idle")
    await expect(page.at("key-form")).to_be_hidden()
    await page.ask(SHORT)
    await page.finishes()


async def test_no_key_is_asked_for_by_an_open_server(open_page: OpenPage) -> None:
    page = await (await open_page()).visit()
    await expect(page.at("key-form")).to_be_hidden()


async def test_a_browser_that_wants_a_click_before_sound_gets_a_button(
    open_page: OpenPage,
) -> None:
    page = await (await open_page(script=REFUSE_TO_PLAY_ONCE)).visit()
    await page.ask(SHORT)
    await page.at("play").click()
    await page.finishes()
    await expect(page.at("play")).to_be_hidden()


BROKEN = json.dumps(problem("engine_failed", 503))
REFUSE_TO_PLAY_ONCE = """
const play = HTMLMediaElement.prototype.play;
let refused = false;
HTMLMediaElement.prototype.play = function () {
    if (this.id !== "reply" || refused) return play.call(this);
    refused = true;
    return Promise.reject(new DOMException("a click is wanted", "NotAllowedError"));
};
"""
