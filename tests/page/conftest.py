"""A real Chromium whose microphone hears a recorded question, in front of a running server."""

import os
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import pytest_asyncio
import yaml
from playwright.async_api import Browser, Playwright, ViewportSize, async_playwright

from deployments.registry import load_engine
from deployments.types import ReplySentence, Samples
from tests.page.avatar_page import AvatarPage
from tests.serving import ROOT, Server, running

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
QUESTION = "What can you do?"
SILENCE_BEFORE_S = 0.5
SILENCE_AFTER_S = 20.0  # Chromium plays the file in a loop; one question is enough
CAMERA_PX = (720, 1280)  # height and width
FAKE_DEVICES = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
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

MIRA = ROOT / "deployments" / "avatar" / "portraits" / "mira.png"
READ_ALOUD = "Every morning I walk down to the river and watch the boats go by. " * 3

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
    said, rate_hz = _said(QUESTION)
    silence = [
        np.zeros(round(s * rate_hz), np.float32) for s in (SILENCE_BEFORE_S, SILENCE_AFTER_S)
    ]
    path = tmp_path_factory.mktemp("microphone") / "question.wav"
    write_wav(path, np.concatenate([silence[0], said, silence[1]]), rate_hz)
    return path


@pytest.fixture(scope="session")
def sample_wav(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody reading aloud for some ten seconds."""
    path = tmp_path_factory.mktemp("sample") / "sample.wav"
    write_wav(path, *_said(READ_ALOUD))
    return path


def _said(text: str) -> tuple[Samples, int]:
    """Speech, and its samples per second."""
    engine = load_engine("tts", "espeak", {})
    chunks = [c.audio for c in engine.speak(ReplySentence(0, text, True), "en", None)]
    return np.concatenate([c.samples for c in chunks]), chunks[0].sample_rate_hz


def write_wav(path: Path, samples: Samples, rate_hz: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="session")
def studio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The fakes on real Serve: voices can be copied, and the language model is out."""
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    out = {"engine": "fake", "name": "large-model", "options": {"fail_load": True}}
    config["applications"][0]["args"] |= {
        "llm": {"engine": "chain", "options": {"engines": [out, {"engine": "rules"}]}},
        "tts": {"engine": "fake", "options": {"voice_format": "tones"}},
    }
    path: Path = tmp_path_factory.mktemp("profile") / "studio.yaml"
    path.write_text(yaml.safe_dump(config))
    with running(path) as server:
        yield server


@pytest.fixture(scope="session")
def camera_mjpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a camera sees that looks at the painted portrait, in a wide picture."""
    face = cv2.imread(str(MIRA))
    assert face is not None
    height, width = CAMERA_PX
    small = cv2.resize(face, (round(face.shape[1] * height / face.shape[0]), height))
    picture = np.full((height, width, 3), 200, np.uint8)
    left = (width - small.shape[1]) // 2
    picture[:, left : left + small.shape[1]] = small
    path = tmp_path_factory.mktemp("camera") / "portrait.mjpeg"
    path.write_bytes(bytes(cv2.imencode(".jpg", picture)[1]))
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def studio(
    playwright: Playwright, sample_wav: Path, camera_mjpeg: Path
) -> AsyncIterator[Browser]:
    """A browser whose microphone hears somebody read aloud, and whose camera sees a face."""
    launched = await _launch(
        playwright,
        *FAKE_DEVICES,
        f"--use-file-for-fake-audio-capture={sample_wav}",
        f"--use-file-for-fake-video-capture={camera_mjpeg}",
    )
    yield launched
    await launched.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright, question_wav: Path) -> AsyncIterator[Browser]:
    """A browser that lets pages hear the recorded question."""
    launched = await _launch(
        playwright, *FAKE_DEVICES, f"--use-file-for-fake-audio-capture={question_wav}"
    )
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


DESKTOP: ViewportSize = {"width": 1280, "height": 800}
