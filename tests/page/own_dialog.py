"""The page's dialogs for what people add of their own, as their user sees them."""

from dataclasses import dataclass
from typing import Any, cast

from playwright.async_api import Locator, expect

from tests.page.avatar_page import AvatarPage

SENDING_TIMEOUT_MS = 20_000


@dataclass(frozen=True)
class OwnDialog:
    """``path`` is that of the routes; ``element_id`` that of the dialog."""

    page: AvatarPage
    element_id: str
    path: str

    async def open(self) -> "OwnDialog":
        """Opens it once the server has said what it can."""
        await self.opener.click()
        await expect(self.dialog).to_be_visible()
        return self

    @property
    def dialog(self) -> Locator:
        return self.page.at(self.element_id)

    @property
    def opener(self) -> Locator:
        return self.page.at(f"own-{self.element_id}")

    def part(self, name: str) -> Locator:
        """The element that is marked ``data-<name>``."""
        return self.dialog.locator(f"[data-{name}]")

    async def choose(self, file: Any) -> None:
        """Chooses a file, or one that is made up: ``{"name", "mimeType", "buffer"}``."""
        await self.part("file").set_input_files(file)

    async def fill(self, name: str) -> None:
        """Everything but the sample."""
        await self.part("name").fill(name)
        await self.part("agree").check()

    async def send(self) -> None:
        await self.part("submit").click()

    async def is_done(self) -> None:
        """Waits until the server has taken it, and the dialog is closed."""
        await expect(self.dialog).to_be_hidden(timeout=SENDING_TIMEOUT_MS)

    async def fails(self, code: str) -> str:
        """Waits for a failure and returns what it says."""
        await expect(self.part("problem")).to_have_attribute(
            "data-code", code, timeout=SENDING_TIMEOUT_MS
        )
        await expect(self.part("problem")).to_be_visible()
        return await self.part("problem").inner_text()

    async def on_the_server(self) -> list[dict[str, Any]]:
        """What was added and is there."""
        answer = await self.page.page.context.request.get(f"{self.page.url}/api/v1/{self.path}")
        return [
            item for item in cast(list[dict[str, Any]], await answer.json()) if not item["builtin"]
        ]

    async def clear(self) -> None:
        """Closes it and deletes what was added, so that the next test finds what it expects."""
        if await self.dialog.is_visible():
            await self.part("close").click()
        for item in await self.on_the_server():
            url = f"{self.page.url}/api/v1/{self.path}/{item['id']}"
            assert (await self.page.page.context.request.delete(url)).status == 204


def voices_of(page: AvatarPage) -> OwnDialog:
    return OwnDialog(page, "voices", "voices")


def faces_of(page: AvatarPage) -> OwnDialog:
    return OwnDialog(page, "faces", "avatars")
