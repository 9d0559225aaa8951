"""A real Chromium whose microphone hears a recorded question, in front of a running server."""

import os
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright

from deployments.registry import load_engine
from deployments.types import ReplySentence, Samples
from tests.page.avatar_page import AvatarPage
from tests.serving import Server

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
QUESTION = "What can you do?"
SILENCE_BEFORE_S = 0.5
SILENCE_AFTER_S = 20.0  # Chromium plays the file in a loop; one question is enough
QUIET_BROWSER = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

OpenPage = Callable[..., Awaitable[AvatarPage]]
LaunchBrowser = Callable[..., Awaitable[Browser]]


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The embedded profile on real Serve; ``AVATAR_TEST_URL`` names one that runs already."""
    given = os.environ.get("AVATAR_TEST_URL")
    if given:
        return given.rstrip("/")
    server: Server = request.getfixturevalue("embedded_server")
    return server.url


@pytest.fixture(scope="session")
def question_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody asking ``QUESTION``, as the microphone hears it."""
    engine = load_engine("tts", "espeak", {})
    chunks = [c.audio for c in engine.speak(ReplySentence(0, QUESTION, True), "en", None)]
    rate_hz = chunks[0].sample_rate_hz
    silence = [
        np.zeros(round(s * rate_hz), np.float32) for s in (SILENCE_BEFORE_S, SILENCE_AFTER_S)
    ]
    speech = np.concatenate([silence[0], *(c.samples for c in chunks), silence[1]])
    path = tmp_path_factory.mktemp("microphone") / "question.wav"
    _write_wav(path, speech, rate_hz)
    return path


def _write_wav(path: Path, samples: Samples, rate_hz: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright, question_wav: Path) -> AsyncIterator[Browser]:
    """A browser that lets pages hear the recorded question."""
    microphone = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={question_wav}",
    )
    launched = await _launch(playwright, *microphone)
    yield launched
    await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def launch(playwright: Playwright) -> AsyncIterator[LaunchBrowser]:
    """Starts browsers that have no microphone but what the given switches give them."""
    launched: list[Browser] = []

    async def start(*switches: str) -> Browser:
        launched.append(await _launch(playwright, *switches))
        return launched[-1]

    yield start
    for one in launched:
        await one.close()


async def _launch(playwright: Playwright, *switches: str) -> Browser:
    """Each launch has a profile folder of its own, which is deleted in the end."""
    return await playwright.chromium.launch(
        executable_path=CHROMIUM, args=[*QUIET_BROWSER, *switches]
    )


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, server_url: str) -> AsyncIterator[OpenPage]:
    """Opens the page as a new visitor; keyword arguments are those of a browser context."""
    pages: list[AvatarPage] = []

    async def open_one(
        *, within: Browser | None = None, url: str = server_url, script: str = "", **context: Any
    ) -> AvatarPage:
        visitor = await (within or browser).new_context(**{"viewport": DESKTOP, **context})
        pages.append(AvatarPage(await visitor.new_page(), url))
        if script:
            await visitor.add_init_script(script)
        return pages[-1]

    yield open_one
    for page in pages:
        await page.close()
        assert page.faults == []


DESKTOP = {"width": 1280, "height": 800}
