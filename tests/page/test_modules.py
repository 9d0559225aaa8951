"""The page's pure modules, run where they are meant to run: in the browser."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.page.avatar_page import AvatarPage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(browser: Browser, server_url: str) -> AsyncIterator[AvatarPage]:
    """One page for all: the modules keep nothing from test to test."""
    shared = await AvatarPage(await browser.new_page(), server_url).visit()
    yield shared
    await shared.close()
    assert shared.faults == []


PARSE = """async (pieces) => {
    const { SseParser } = await import("/js/sse.js");
    const parser = new SseParser();
    return pieces.flatMap((piece) => parser.push(piece)).map(({ name, data }) => [name, data]);
}"""


async def parse(page: AvatarPage, *pieces: str) -> list[list[str]]:
    events: list[list[str]] = await page.page.evaluate(PARSE, list(pieces))
    return events


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("event: reply\ndata: a\n\n", [["reply", "a"]]),
        ("data: a\n\n", [["message", "a"]]),
        ("data:a\n\n", [["message", "a"]]),
        ("data:  a\n\n", [["message", " a"]]),
        ("data: a\ndata: b\n\n", [["message", "a\nb"]]),
        ("data\n\n", [["message", ""]]),
        (": still here\n\n", []),
        ("event: reply\n\ndata: a\n\n", [["message", "a"]]),
        ("id: 7\nretry: 10\ndata: a\n\n", [["message", "a"]]),
        ("data: a: b\n\n", [["message", "a: b"]]),
        ("data: not ended\n", []),
        ("event: x\r\ndata: a\r\n\r\n", [["x", "a"]]),
        ("event: x\rdata: a\r\r", [["x", "a"]]),
        ("data: 你好\n\ndata: ¿qué?\n\n", [["message", "你好"], ["message", "¿qué?"]]),
    ],
)
async def test_events_are_read_as_the_standard_says(
    page: AvatarPage, text: str, events: list[list[str]]
) -> None:
    assert await parse(page, text) == events


async def test_events_are_the_same_wherever_the_text_is_cut(page: AvatarPage) -> None:
    text = ": hi\r\nevent: x\r\ndata: a\rdata: b\n\r\n\ndata: c\r\n\r\nevent: y\ndata: d\r\r"
    whole = await parse(page, text)
    assert whole == [["x", "a\nb"], ["message", "c"], ["y", "d"]]
    halves = [await parse(page, text[:i], text[i:]) for i in range(len(text) + 1)]
    assert halves == [whole] * (len(text) + 1)
    assert await parse(page, *text) == whole


async def test_characters_cut_between_bytes_arrive_whole(page: AvatarPage) -> None:
    events = await page.page.evaluate(
        """async (text) => {
            const { readEvents } = await import("/js/sse.js");
            const bytes = new TextEncoder().encode(text);
            const body = new ReadableStream({
                start(controller) {
                    for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
                    controller.close();
                },
            });
            const events = [];
            for await (const event of readEvents(body)) events.push(event.data);
            return events;
        }""",
        "data: 你好, ¿qué tal?\n\ndata: 😀\n\n",
    )
    assert events == ["你好, ¿qué tal?", "😀"]


async def test_leaving_the_events_closes_the_body(page: AvatarPage) -> None:
    is_closed = await page.page.evaluate(
        """async () => {
            const { readEvents } = await import("/js/sse.js");
            let isClosed = false;
            const body = new ReadableStream({
                start: (body) => body.enqueue(new TextEncoder().encode("data: a\\n\\n")),
                cancel: () => { isClosed = true; },
            });
            for await (const event of readEvents(body)) break;
            return isClosed;
        }"""
    )
    assert is_closed


TIMINGS = {
    "decode_ms": 6.0,
    "asr_ms": 120.0,
    "llm_first_token_ms": 1.0,
    "tts_first_audio_ms": 4.0,
    "avatar_first_frame_ms": 70.0,
    "ttff_ms": 220.0,
}


@pytest.mark.parametrize(
    ("timings", "parts"),
    [
        (TIMINGS, {"listen": 126, "think": 1, "speak": 4, "draw": 70, "other": 19}),
        (
            {**TIMINGS, "decode_ms": None, "asr_ms": None, "ttff_ms": 75.0},
            {"think": 1, "speak": 4, "draw": 70},
        ),
        ({}, {}),
    ],
)
async def test_the_timeline_has_a_part_for_every_stage_that_worked(
    page: AvatarPage, timings: dict[str, Any], parts: dict[str, float]
) -> None:
    found = await page.page.evaluate(
        """async (timings) => {
            const { partsOf } = await import("/js/timeline.js");
            return Object.fromEntries(partsOf(timings).map(({ id, ms }) => [id, ms]));
        }""",
        timings,
    )
    assert found == pytest.approx(parts)


async def test_loudness_is_full_for_a_square_wave_and_none_for_silence(
    page: AvatarPage,
) -> None:
    levels = await page.page.evaluate(
        """async () => {
            const { loudnessDb, levelOf } = await import("/js/meter.js");
            const square = Float32Array.from({ length: 64 }, (_, i) => (i % 2 ? 1 : -1));
            return [square, new Float32Array(64)].map((samples) => levelOf(loudnessDb(samples)));
        }"""
    )
    assert levels == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize(
    ("position", "seconds", "words"),
    [
        (1, 4.2, ["You are next in line", "about 5 s"]),
        (2, 1.0, ["You are number 2 in line", "about 1 s"]),
        (30, 90.0, ["You are number 30 in line", "about 90 s"]),
        (31, 150.0, ["You are number 31 in line", "about 3 min"]),
        (1, 0.0, ["You are next in line", "any moment now"]),
        (1, -3.0, ["You are next in line", "any moment now"]),
    ],
)
async def test_a_place_in_the_queue_has_words(
    page: AvatarPage, position: int, seconds: float, words: list[str]
) -> None:
    told = await page.page.evaluate(
        """async ([position, seconds]) => {
            const { placeWords, waitWords } = await import("/js/waiting.js");
            return [placeWords(position), waitWords(seconds)];
        }""",
        [position, seconds],
    )
    assert told == words


@pytest.mark.parametrize(
    ("ladder", "stretches"),
    [
        ([], [["", 10]]),
        ([("half_rate", 0, 2)], [["half_rate", 2], ["", 8]]),
        (
            [("half_rate", 1, 3), ("voice_only", 3, 4), ("half_rate", 6, 10)],
            [["", 1], ["half_rate", 2], ["voice_only", 1], ["", 2], ["half_rate", 4]],
        ),
        ([("voice_only", 8, 10.3)], [["", 8], ["voice_only", 2.3]]),  # into the tail
    ],
)
async def test_a_reply_is_shown_as_whole_and_reduced_stretches(
    page: AvatarPage, ladder: list[tuple[str, float, float]], stretches: list[list[Any]]
) -> None:
    found = await page.page.evaluate(
        """async (ladder) => {
            const { stretchesOf } = await import("/js/ladder.js");
            return stretchesOf(ladder, 10).map(({ level, s }) => [level, s]);
        }""",
        [{"level": level, "from_s": start, "to_s": end} for level, start, end in ladder],
    )
    assert [level for level, _ in found] == [level for level, _ in stretches]
    assert [s for _, s in found] == pytest.approx([s for _, s in stretches])


TROUBLES = """async (health) => {
    const { summary, troubles } = await import("/js/health.js");
    return [summary(health), troubles(health)];
}"""
SLOW = "makes 0.52 s of video per second, less than one person watches, so the picture gives way"


@pytest.mark.parametrize(
    ("status", "details", "words"),
    [
        ("ready", {}, ["Ready", ""]),
        (
            "degraded",
            {},
            ["Limited", "Something stands in for a part that failed."],
        ),
        ("degraded", {"avatar": SLOW}, ["Limited", f"Face: {SLOW}."]),
        (
            "degraded",
            {"llm": "gemini refuses the key.", "avatar": SLOW},
            ["Limited", f"Thinking: gemini refuses the key. Face: {SLOW}."],
        ),
    ],
)
async def test_a_server_that_does_not_do_its_best_says_why(
    page: AvatarPage, status: str, details: dict[str, str], words: list[str]
) -> None:
    parts = {
        name: {"status": "ready", "engine": "fake", "detail": details.get(name, "")}
        for name in ("asr", "llm", "tts", "avatar")
    }
    health = {"status": status, "deployments": parts}
    assert await page.page.evaluate(TROUBLES, health) == words


@pytest.mark.parametrize(
    ("engine", "spoke", "words"),
    [
        ("rules", "", "Demo brain (engine: rules), not a language model."),
        ("rules", "rules", "Demo brain (engine: rules), not a language model."),
        ("fake", "", ""),
        ("fake", "fake", "Answered by fake."),
        ("chain", "", ""),
        ("chain", "gemini", "Answered by gemini."),
        (
            "chain",
            "rules",
            "Answered by the demo brain (engine: rules): the language model is out.",
        ),
    ],
)
async def test_the_brain_that_answered_is_named(
    page: AvatarPage, engine: str, spoke: str, words: str
) -> None:
    found = await page.page.evaluate(
        "async ([a, b]) => (await import('/js/brain.js')).brainWords(a, b)", [engine, spoke]
    )
    assert found == words


@pytest.mark.parametrize(
    ("elapsed_s", "words"),
    [(0, "6 s more"), (5.1, "1 s more"), (6, "Enough; 24 s left"), (29.5, "Enough; 0 s left")],
)
async def test_a_recording_counts_down_to_enough_and_then_to_its_end(
    page: AvatarPage, elapsed_s: float, words: str
) -> None:
    found = await page.page.evaluate(
        "async (s) => (await import('/js/voice_sample.js')).countdownWords(s)", elapsed_s
    )
    assert found == words
