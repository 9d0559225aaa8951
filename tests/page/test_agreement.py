"""The page's timeline and the operator's line tell of one turn in the same figures."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.page.avatar_page import SHORT
from tests.page.conftest import OpenPage
from tests.serving import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTS = {
    "Think": "llm_first_token_ms",
    "Speak": "tts_first_audio_ms",
    "Draw": "avatar_first_frame_ms",
    "TTFF": "ttff_ms",
    "TTFA": "ttfa_ms",
    "Total": "turn_ms",
}


def line_of(server: Server, turn_id: str) -> dict[str, Any]:
    """What the ingress logged when the turn was over."""
    (place,) = [line for line in server.lines if line.strip().startswith("Logs")]
    for file in Path(place.split()[1]).glob("replica_avatar_ingress_*.log"):
        for text in file.read_text().splitlines():
            line: dict[str, Any] = json.loads(text)
            if line.get("turn_id") == turn_id and line["message"] == "turn finished":
                return line
    raise AssertionError(f"no line tells of the turn {turn_id}")


async def test_the_timeline_shows_what_the_log_says(
    embedded_server: Server, open_page: OpenPage
) -> None:
    page = await (await open_page(url=embedded_server.url)).visit()
    await page.ask(SHORT)
    await page.finishes()
    (turn,) = await page.told()

    shown = dict(
        zip(
            await page.page.locator("#timeline dt").all_text_contents(),
            await page.page.locator("#timeline dd").all_text_contents(),
            strict=True,
        )
    )
    logged = line_of(embedded_server, turn["turn_id"])["timings"]
    as_shown = await page.page.evaluate(
        """async (timings) => {
            const { milliseconds } = await import("/js/timeline.js");
            const shown = ([name, ms]) => [name, milliseconds(ms)];
            return Object.fromEntries(Object.entries(timings).map(shown));
        }""",
        {name: logged[figure] for name, figure in PARTS.items()},
    )
    assert {name: shown[name] for name in PARTS} == as_shown
    assert logged == turn["timings"]
