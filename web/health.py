"""What /health says, and whether a request can be taken while models load."""

import asyncio
import tomllib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from web.problems import RefusedError

Status = Literal["loading", "ready", "failed"]

_SAID = "EngineLoadError: "
_PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


@cache
def version() -> str:
    """The project's version, from the one place where it is written."""
    return str(tomllib.loads(_PYPROJECT.read_text())["project"]["version"])


@dataclass(frozen=True, slots=True)
class Uploads:
    """Whether people can add voices (of ``tts``) or portraits (of ``avatar``) of their own.

    ``consent``: the sentence that ``consent=true`` agrees to. ``why_not``: what POST's
    ``not_supported`` says too; empty where they can.
    """

    consent: str
    why_not: str = ""

    def to_json(self) -> dict[str, Any]:
        """``{"supported": true, "consent"}``, or ``{"supported": false, "detail"}``."""
        if self.why_not:
            return {"supported": False, "detail": self.why_not}
        return {"supported": True, "consent": self.consent}


@dataclass(frozen=True, slots=True)
class DeploymentHealth:
    """One deployment. A stage scaled to zero is ``ready``; ``languages`` is empty until known.

    ``uploads`` is ``None`` until known, and for stages that take none.
    """

    status: Status
    engine: str
    replicas: int = 0
    languages: tuple[str, ...] = ()
    detail: str = ""
    uploads: Uploads | None = None

    def to_json(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "status": self.status,
            "engine": self.engine,
            "replicas": self.replicas,
        }
        if self.languages:
            answer["languages"] = list(self.languages)
        if self.detail:
            answer["detail"] = self.detail
        if self.uploads is not None:
            answer["uploads"] = self.uploads.to_json()
        return answer


@dataclass(frozen=True, slots=True)
class Health:
    """Every deployment on the way of a turn. ``is_degraded``: something stands in for one; its
    ``detail`` may say why."""

    deployments: Mapping[str, DeploymentHealth] = field(default_factory=dict)
    is_degraded: bool = False

    @property
    def is_ready(self) -> bool:
        return bool(self.deployments) and all(
            d.status == "ready" for d in self.deployments.values()
        )

    @property
    def status(self) -> Literal["ready", "loading", "degraded"]:
        if not self.is_ready:
            return "loading"
        return "degraded" if self.is_degraded else "ready"

    def to_json(self, profile: str) -> dict[str, Any]:
        return {
            "status": self.status,
            "profile": profile,
            "version": version(),
            "deployments": {name: d.to_json() for name, d in self.deployments.items()},
        }


def failure_in(message: str) -> str:
    """The line in which an engine says why it did not load, out of Serve's message about a
    deployment, which is a traceback; empty if there is none."""
    said = [line.partition(_SAID)[2] for line in message.splitlines() if _SAID in line]
    return said[-1].strip() if said else ""


class CachedHealth:
    """Asks ``source`` at most once in ``max_age_s``, whoever and how many may ask."""

    def __init__(
        self,
        source: Callable[[], Awaitable[Health]],
        now: Callable[[], float],
        max_age_s: float = 1.0,
    ) -> None:
        self._source = source
        self._now = now
        self._max_age_s = max_age_s
        self._lock = asyncio.Lock()
        self._asked_at_s = float("-inf")
        self._last = Health()

    async def __call__(self) -> Health:
        async with self._lock:
            if self._now() - self._asked_at_s >= self._max_age_s:
                self._last = await self._source()
                self._asked_at_s = self._now()
            return self._last


class Readiness:
    """Lets requests pass once the stages they need have been seen ready.

    After that nobody asks again, because the question costs time on every turn, and a stage that
    fails later says so itself, with its own error.
    """

    def __init__(self, health: Callable[[], Awaitable[Health]]) -> None:
        self._health = health
        self._seen: set[str] = set()

    async def require(self, stages: Iterable[str]) -> None:
        """Return when all ``stages`` have been ready.

        Raises:
            RefusedError: ``loading``, or ``engine_failed`` where one could not be started.
        """
        missing = set(stages) - self._seen
        if not missing:
            return
        health = await self._health()
        for name in sorted(missing):
            status = _status_of(health, name)
            if status == "failed":
                raise RefusedError(
                    f"The {name} stage could not be started; see /health and the logs.",
                    code="engine_failed",
                )
            if status == "loading":
                raise RefusedError(
                    f"The {name} stage is still loading; try again in a moment.",
                    code="loading",
                    retry_after_s=2,
                )
        self._seen |= missing


def _status_of(health: Health, name: str) -> Status:
    found = health.deployments.get(name)
    return "loading" if found is None else found.status
