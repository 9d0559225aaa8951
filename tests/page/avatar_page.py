"""The page as its user sees it."""

import base64
from typing import Any, cast
from urllib.parse import urlsplit

from playwright.async_api import ConsoleMessage, Error, Locator, Page, Request, expect

SHORT = "What is two plus two?"  # answered in a few words
LONG = "Tell me a story"  # answered in half a minute
STATE_TIMEOUT_MS = 20_000
TURN_TIMEOUT_MS = 90_000  # the longest answer is a story of half a minute


class AvatarPage:
    """One visitor. ``faults`` gathers what no page should do: script errors, foreign requests."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        page.on("pageerror", self._on_error)
        page.on("console", self._on_console)
        page.on("request", self._on_request)

    def _on_error(self, error: Error) -> None:
        self.faults.append(f"script error: {error}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(BROWSERS_OWN):
            self.faults.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        target = urlsplit(request.url)
        is_local = target.scheme in ("blob", "data") or target.netloc == urlsplit(self.url).netloc
        if not is_local:
            self.faults.append(f"request to another server: {request.url}")

    async def visit(self, state: str = "idle") -> "AvatarPage":
        """Loads the page and waits for ``state``."""
        await self.page.goto(self.url)
        await self.reaches(state)
        return self

    async def reaches(self, state: str, timeout_ms: float = STATE_TIMEOUT_MS) -> None:
        body = self.page.locator("body")
        await expect(body).to_have_attribute("data-state", state, timeout=timeout_ms)

    async def finishes(self) -> None:
        """Waits until the answer was spoken to its end."""
        await self.reaches("speaking")
        await self.reaches("idle", TURN_TIMEOUT_MS)

    async def ask(self, text: str) -> None:
        await self.at("words").fill(text)
        await self.page.keyboard.press("Enter")

    def at(self, element_id: str) -> Locator:
        return self.page.locator(f"#{element_id}")

    async def questions(self) -> list[str]:
        return await self.page.locator("#exchanges .user p").all_inner_texts()

    async def answers(self) -> list[str]:
        return await self.page.locator("#exchanges .face p").all_inner_texts()

    async def counts(self) -> tuple[int, int]:
        """Fragments of the last answer: (received, appended)."""
        data = await self.page.evaluate("({...document.body.dataset})")
        return int(data["fragmentsReceived"]), int(data["fragmentsAppended"])

    async def reply(self) -> dict[str, Any]:
        """The reply's <video>."""
        return cast(dict[str, Any], await self.at("reply").evaluate(READ_VIDEO))

    async def played(self) -> bytes:
        """All that was given to the <video>, where the page was opened with a script that keeps it
        in ``window.played``."""
        encoded = await self.page.evaluate(READ_PLAYED)
        return base64.b64decode(encoded)

    async def told(self) -> list[dict[str, Any]]:
        """The session's turns as the server remembers them."""
        url = f"{self.url}/api/v1/sessions/{await self.session()}"
        answer = await self.page.context.request.get(url)
        return cast(list[dict[str, Any]], (await answer.json())["turns"])

    async def session(self) -> str:
        return cast(str, await self.page.evaluate(f"sessionStorage.getItem('{SESSION}') ?? ''"))

    async def overflow_px(self) -> int:
        """How much wider the page is than its window."""
        return cast(int, await self.page.evaluate("document.body.scrollWidth - innerWidth"))

    async def close(self) -> None:
        await self.page.context.close()


SESSION = "realtime-avatar.session"
# What the browser itself writes of an answer that is not ok, and of an address without https.
BROWSERS_OWN = (
    "Failed to load resource",
    "The Cross-Origin-Opener-Policy header has been ignored",
)
READ_PLAYED = """() => {
    let text = "";
    for (const byte of window.played) text += String.fromCharCode(byte);
    return btoa(text);
}"""
READ_VIDEO = """(video) => ({
    position_s: video.currentTime,
    duration_s: video.duration,
    has_ended: video.ended,
    is_paused: video.paused,
    n_stretches: video.buffered.length,
    width_px: video.videoWidth,
    height_px: video.videoHeight,
    n_dropped: video.getVideoPlaybackQuality().droppedVideoFrames,
    source: video.src.split(":")[0],
    opacity: getComputedStyle(video).opacity,
})"""
