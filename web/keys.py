"""Who may ask, and how often: keys by their hashes, a quota for each."""

import hashlib
import hmac
import math
import re
import time
from pathlib import Path

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.errors import ConfigError
from web.problems import RefusedError, log_failure, problem_of

_HASH = re.compile(r"[0-9a-f]{64}")
_N_DIGITS = 12  # of a hash tell the keys of one file apart, and nobody the key
PROTECTED = ("/api/", "/metrics")  # the page, its health check and the documentation hold no data


def read_hashes(path: Path) -> tuple[str, ...]:
    """SHA-256 of each key, in hexadecimal, one a line; ``#`` begins a comment.

    Raises:
        ConfigError: the file is missing, empty, or holds something else (a key itself, perhaps).
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise ConfigError(f"api_keys_file {path} cannot be read: {error.strerror}") from None
    hashes = [line.partition("#")[0].strip().lower() for line in lines]
    for number, text in enumerate(hashes, start=1):
        if text and not _HASH.fullmatch(text):
            raise ConfigError(f"{path}, line {number}: expected a key's SHA-256, 64 hex digits")
    found = tuple(text for text in hashes if text)
    if not found:
        raise ConfigError(f"{path} holds no key, so nobody could ask anything")
    return found


class KeyRing:
    """The keys that are known to one process, and what each has used of its quota."""

    def __init__(self, hashes: tuple[str, ...], requests_per_minute: int | None = None) -> None:
        self._hashes = tuple(text.encode() for text in hashes)
        self._limit = (
            None if requests_per_minute is None else RateLimitItemPerMinute(requests_per_minute)
        )
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def admit(self, authorization: str) -> str:
        """Let a request pass, or say why not; the key's hash.

        Args:
            authorization: the header's value, empty where there is none.

        Raises:
            RefusedError: ``unauthorized`` or ``rate_limited``.
        """
        scheme, _, key = authorization.partition(" ")
        digest = hashlib.sha256(key.strip().encode()).hexdigest().encode()
        # Every hash is compared, in constant time, so that time tells nothing about any of them.
        matches = [hmac.compare_digest(digest, known) for known in self._hashes]
        if scheme.lower() != "bearer" or not any(matches):
            raise RefusedError("Send `Authorization: Bearer KEY`.", code="unauthorized")
        if self._limit is not None and not self._limiter.hit(self._limit, digest.decode()):
            raise RefusedError(
                f"This key's quota is {self._limit.amount} requests a minute.",
                code="rate_limited",
                retry_after_s=self._wait_s(self._limit, digest.decode()),
            )
        return digest.decode()

    def _wait_s(self, limit: RateLimitItemPerMinute, name: str) -> int:
        reset_at, _ = self._limiter.get_window_stats(limit, name)
        return max(1, math.ceil(reset_at - time.time()))


class RequireKey:
    """The ASGI layer that asks the key ring, before anything of the body is read."""

    def __init__(self, app: ASGIApp, *, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PROTECTED):
            await self._app(scope, receive, send)
            return
        try:
            digest = self._keys.admit(Headers(scope=scope).get("authorization", ""))
        except RefusedError as error:
            problem, request_id = problem_of(error), str(scope["state"]["request_id"])
            log_failure(error, problem, request_id)
            await problem.response(request_id)(scope, receive, send)
            return
        scope["state"]["giver"] = f"key {digest[:_N_DIGITS]}"
        await self._app(scope, receive, send)


def giver_of(request: Request) -> str:
    """Who asks, as it is recorded with a consent: the beginning of the key's hash, or ``local``."""
    return str(getattr(request.state, "giver", "local"))
