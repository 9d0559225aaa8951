"""The outermost ASGI layer: request ids, protective headers, and an answer to every failure."""

import re
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.caller import CALLER, Caller
from web.problems import log_failure, problem_of

# What the page may load: only what this server serves. Sound and video are played from memory
# (blob:), and swagger draws its icons from data: addresses.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "media-src 'self' blob:",
        "img-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Guard:
    """Gives each request its id and turns what nobody caught into a problem object.

    Behind Serve's proxy the id arrives as a header and the proxy puts it on the answer itself
    (``proxy_sets_request_id``), be it its own or whatever the client sent. So that header and body
    agree, it is taken as it is; a second copy of the header would confuse clients.
    """

    def __init__(
        self, app: ASGIApp, *, make_id: Callable[[], str], proxy_sets_request_id: bool
    ) -> None:
        self._app = app
        self._make_id = make_id
        self._proxy_sets_request_id = proxy_sets_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        CALLER.set(Caller(request_id))
        has_started = False

        async def dressed(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(scope=message)
                self._dress(headers, request_id)
                headers.update(scope["state"].get("answer_headers", {}))
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        except Exception as error:  # the last place to catch: the client must get an answer
            problem = problem_of(error)
            log_failure(error, problem, request_id)
            if has_started:
                raise  # the server underneath breaks the connection, which is the only signal left
            await problem.response(request_id)(scope, receive, dressed)

    def _request_id(self, scope: Scope) -> str:
        given = Headers(scope=scope).get("x-request-id")
        if self._proxy_sets_request_id and given is not None:
            return _as_sent(given)
        given = given or ""
        return given if _SAFE_REQUEST_ID.fullmatch(given) else self._make_id()

    def _dress(self, headers: MutableHeaders, request_id: str) -> None:
        if not self._proxy_sets_request_id:
            headers["X-Request-Id"] = request_id
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)


def _as_sent(header: str) -> str:
    """A header's bytes as the UTF-8 that they most likely are."""
    raw = header.encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return header
