"""What the stages can do: asked once each, since every question is a hop, then remembered."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from deployments.errors import UnusableInputError
from deployments.faces import why_missing
from deployments.types import (
    AsrCapabilities,
    AvatarCapabilities,
    AvatarCard,
    LlmCapabilities,
    TtsCapabilities,
)
from graph.stages import Stages

NO_VOICES = (
    "The voices of this server are built in: its engine ({engine}) cannot copy a voice. "
    "A profile whose engine clones voices can."
)

T = TypeVar("T")


class Catalogue:
    """Capabilities and built-in faces of the running stages."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._known: dict[str, Any] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def _once(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        if name not in self._known:
            async with self._locks.setdefault(name, asyncio.Lock()):
                if name not in self._known:
                    self._known[name] = await ask()
        return cast(T, self._known[name])

    async def asr(self) -> AsrCapabilities:
        return await self._once("asr", self._stages.asr.describe)

    async def llm(self) -> LlmCapabilities:
        return await self._once("llm", self._stages.llm.describe)

    async def tts(self) -> TtsCapabilities:
        return await self._once("tts", self._stages.tts.describe)

    async def avatar(self) -> AvatarCapabilities:
        return await self._once("avatar", self._stages.avatar.describe)

    async def why_no_voices(self) -> str:
        """Why nobody can add a voice here, in words for people; empty where they can."""
        facts = await self.tts()
        return "" if facts.clones_voices else NO_VOICES.format(engine=facts.engine)

    async def why_no_portraits(self) -> str:
        """Why nobody can add a face here, in words for people; empty where they can."""
        return why_missing()

    async def portraits(self) -> tuple[AvatarCard, ...]:
        """The built-in faces, the default one first."""
        return await self._once("portraits", self._stages.avatar.portraits)

    async def check_controls(self, controls: Mapping[str, float]) -> None:
        """Check each control against what the avatar engine offers.

        Raises:
            UnusableInputError: ``invalid_value``.
        """
        if not controls:
            return
        offered = {c.name: c for c in (await self.avatar()).controls}
        for name, value in controls.items():
            if name not in offered:
                names = ", ".join(offered) or "none"
                raise UnusableInputError(f"unknown control {name!r}; this avatar has: {names}")
            low, high = offered[name].minimum, offered[name].maximum
            if not low <= value <= high:
                raise UnusableInputError(f"control {name!r} goes from {low:g} to {high:g}")
