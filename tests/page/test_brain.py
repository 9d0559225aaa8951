"""Who thought up the answer, where it was not the one who should have."""

import pytest
from playwright.async_api import Browser, expect

from tests.page.avatar_page import SHORT, AvatarPage
from tests.page.conftest import DESKTOP
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_page_says_that_the_model_is_out_and_who_answered_instead(
    studio: Browser, studio_server: Server
) -> None:
    visitor = await studio.new_context(viewport=DESKTOP)
    page = await AvatarPage(await visitor.new_page(), studio_server.url).visit()
    health = await page.page.context.request.get(f"{page.url}/health")
    detail = (await health.json())["deployments"]["llm"]["detail"]
    assert detail.startswith("large-model is out")
    await expect(page.at("server")).to_have_text("Limited")
    await expect(page.at("health-note")).to_contain_text(f"Thinking: {detail}")
    await expect(page.at("brain-note")).to_be_hidden()

    told = "Answered by the demo brain (engine: rules): the language model is out."
    await page.ask(SHORT)
    await page.finishes()
    (turn,) = await page.told()
    assert turn["engines"]["llm"] == "rules"
    await expect(page.at("brain-note")).to_have_text(told)
    await page.page.reload()
    await page.reaches("idle")
    await expect(page.at("brain-note")).to_have_text(told)  # as long as that answer is on the page
    await page.at("start-over").click()
    await expect(page.at("brain-note")).to_be_hidden()
    await page.close()
    assert page.faults == []
