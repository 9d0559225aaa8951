"""What the page says while a turn waits, when there is no room, and when drawing falls behind."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Request, Route, expect

from deployments.errors import TurnRefusedError
from graph.events import QueueUpdated
from tests.page.avatar_page import SHORT, AvatarPage
from tests.page.conftest import OpenPage
from tests.page.fake_server import FakeServer, fake_server
from tests.web_fakes import REPLY

pytestmark = pytest.mark.asyncio(loop_scope="session")

STREAM = "**/api/v1/conversation/stream"
REPLY_TEXT = "".join(REPLY)


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    async with fake_server(tmp_path) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(server: FakeServer, open_page: OpenPage) -> AvatarPage:
    return await (await open_page(url=server.url)).visit()


async def test_a_place_in_the_queue_is_told_in_words(server: FakeServer, page: AvatarPage) -> None:
    gate = server.world.gate
    gate.shut(QueueUpdated(3, 12.0))
    await page.ask(SHORT)
    await expect(page.at("status")).to_have_text("You are number 3 in line")
    await expect(page.at("wait")).to_have_text("about 12 s")
    await expect(page.at("announcement")).to_have_text("You are number 3 in line, about 12 s")
    await expect(page.at("main-label")).to_have_text("Stop")
    assert await page.overflow_px() == 0

    gate.tell(QueueUpdated(1, 40.0))
    await expect(page.at("status")).to_have_text("You are next in line")
    await expect(page.at("wait")).to_have_text("about 40 s")

    gate.tell(None)
    await page.finishes()
    await expect(page.at("wait")).to_be_empty()
    await expect(page.at("status")).to_have_text("Ready when you are")
    assert await page.answers() == [REPLY_TEXT]


async def test_the_wait_counts_down_between_what_the_server_says(
    server: FakeServer, page: AvatarPage
) -> None:
    server.world.gate.shut(QueueUpdated(2, 3.0))
    await page.ask(SHORT)
    for words in ("about 3 s", "about 2 s", "about 1 s", "any moment now"):
        await expect(page.at("wait")).to_have_text(words)
    await expect(page.at("status")).to_have_text("You are number 2 in line")
    server.world.gate.tell(None)
    await page.finishes()


async def test_the_words_of_the_queue_go_when_the_turn_begins(
    server: FakeServer, page: AvatarPage
) -> None:
    world = server.world
    world.switches.hold = "before llm"
    world.gate.shut(QueueUpdated(1, 30.0), None)
    await page.ask(SHORT)
    await asyncio.wait_for(world.switches.is_held.wait(), 5)
    await expect(page.at("status")).to_have_text("Thinking")
    await expect(page.at("wait")).to_be_empty()
    world.switches.released.set()
    await page.finishes()


async def test_a_queue_can_be_left(server: FakeServer, page: AvatarPage) -> None:
    world = server.world
    world.gate.shut(QueueUpdated(2, 30.0))
    await page.ask(SHORT)
    await expect(page.at("status")).to_have_text("You are number 2 in line")
    await page.at("main").click()
    await page.reaches("idle")
    await expect(page.at("status")).to_have_text("Ready when you are")
    await expect(page.at("wait")).to_be_empty()
    await asyncio.wait_for(world.gate.is_left.wait(), 5)
    assert (world.gate.waiting, world.outcomes) == ([], ["cancelled"])


async def test_a_new_question_takes_the_place_of_the_one_that_waits(
    server: FakeServer, page: AvatarPage
) -> None:
    gate = server.world.gate
    gate.shut(QueueUpdated(2, 30.0))
    await page.ask("The first")
    await expect(page.at("status")).to_have_text("You are number 2 in line")
    gate.shut(QueueUpdated(5, 50.0))
    await page.ask("The second")
    await expect(page.at("status")).to_have_text("You are number 5 in line")
    gate.tell(None)
    await page.finishes()
    assert await page.questions() == ["The first", "The second"]
    assert await page.answers() == [REPLY_TEXT]


@pytest.mark.parametrize("has_waited", [False, True], ids=["at once", "after waiting"])
async def test_a_refusal_says_when_to_try_again_and_then_lets_one(
    server: FakeServer, page: AvatarPage, has_waited: bool
) -> None:
    gate = server.world.gate
    places = [QueueUpdated(4, 1.0)] if has_waited else []
    gate.shut(*places, TurnRefusedError("full", predicted_wait_s=1.4))
    asked: list[str] = []

    def count(request: Request) -> None:
        asked.append(request.method)

    page.page.on("request", count)
    await page.ask(SHORT)
    await page.reaches("error")
    await expect(page.at("problem-title")).to_have_text("Many people are talking just now")
    await expect(page.at("problem-advice")).to_have_text(
        "There should be room in about 2 s. You can ask again then."
    )
    await expect(page.at("wait")).to_be_empty()
    retry = page.at("retry")
    await expect(retry).to_be_disabled()
    await expect(retry).to_have_text(re.compile(r"Try again in [12] s"))
    gate.tell(None)
    await retry.click()  # waits until the countdown has enabled it
    await page.finishes()
    assert (await page.questions(), await page.answers()) == ([SHORT], [REPLY_TEXT])
    # A session that came to nothing is not asked for.
    assert asked.count("POST") == 2


async def test_a_reduced_face_is_told_in_a_quiet_line_and_marked_in_the_timeline(
    page: AvatarPage,
) -> None:
    await tell_of(LADDER, page)
    await page.ask(SHORT)
    await page.finishes()
    await expect(page.at("ladder-note")).to_have_text(
        "Drawing fell behind: half the pictures from 0.2 s to 0.4 s, a face at rest from 0.4 s "
        "to 0.6 s. The voice was whole."
    )
    marks = page.page.locator("#timeline [data-reply] .part")
    classes = await marks.evaluate_all("(parts) => parts.map((part) => part.className)")
    assert classes == ["part whole", "part half_rate", "part idle_face", "part whole"]

    await tell_of([], page)
    await page.ask(SHORT)
    await page.finishes()
    await expect(page.at("ladder-note")).to_be_hidden()
    await expect(page.page.locator("#timeline [data-reply]")).to_be_hidden()


LADDER = [
    {"level": "half_rate", "from_s": 0.2, "to_s": 0.4},
    {"level": "idle_face", "from_s": 0.4, "to_s": 0.6},
]


async def tell_of(ladder: Sequence[Mapping[str, Any]], page: AvatarPage) -> None:
    """The server's own answers, told as those of turns on this ladder."""

    async def told(route: Route) -> None:
        answer = await route.fetch()
        if not answer.ok:
            return await route.fulfill(response=answer)
        *events, done, rest = (await answer.text()).split("\n\n")
        assert (done.split("\n")[0], rest) == ("event: done", "")
        turn = json.loads(done.partition("data: ")[2])
        turn["timings"]["ladder"] = ladder
        last = f"event: done\ndata: {json.dumps(turn)}\n\n"
        await route.fulfill(response=answer, body="\n\n".join([*events, last]))

    await page.page.unroute(STREAM)
    await page.page.route(STREAM, told)
