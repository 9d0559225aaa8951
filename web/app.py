"""The ASGI application; knows no Ray, so tests and the in-process baseline use it as it is."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from deployments.caller import logger_of
from deployments.errors import AvatarError
from web.disconnect import CancelOnDisconnect
from web.guard import Guard
from web.heads import HeadAsGet
from web.health import version
from web.keys import PROTECTED, KeyRing, RequireKey, read_hashes
from web.openapi import describe_keys
from web.origins import AllowOrigins
from web.problems import log_failure, problem_of
from web.routes import avatars, conversation, docs, service, sessions, stages, voices
from web.services import Context, Services
from web.warmup import warm_up

logger = logger_of("avatar.web")

_EXPOSED = ["X-Request-Id", "X-Turn-Id", "X-Session-Id", "Retry-After", "Content-Range"]


def create_app(services: Services, page: Path = service.PAGE) -> FastAPI:
    """Everything under one port. Starts at once: it never waits for a stage.

    Raises:
        ConfigError: an unreadable file of key hashes.
    """
    context = Context.around(services)
    app = FastAPI(
        title="Realtime Avatar",
        version=version(),
        docs_url=None,
        redoc_url=None,
        lifespan=lambda _: _background(context),
    )
    app.openapi_version = "3.0.3"  # the newest that the bundled Swagger UI reads
    for router in (
        service.routes(context),
        docs.routes(),
        conversation.routes(context),
        stages.routes(context),
        sessions.routes(context),
        avatars.routes(context),
        voices.routes(context),
        service.page_routes(page),
    ):
        app.include_router(router)
    for kind in (AvatarError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer_problem)
    are_needed = services.settings.api_keys_file is not None
    describe_keys(app.openapi(), PROTECTED, are_needed=are_needed)  # made once, then kept
    _add_layers(app, context)
    return app


def _add_layers(app: FastAPI, context: Context) -> None:
    """From the inside out."""
    services = context.services
    settings = services.settings
    app.add_middleware(CancelOnDisconnect)
    if settings.api_keys_file is not None:
        keys = KeyRing(read_hashes(settings.api_keys_file), settings.requests_per_minute)
        app.add_middleware(RequireKey, keys=keys)
    if settings.allowed_origins:
        app.add_middleware(
            AllowOrigins,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=_EXPOSED,
        )
    app.add_middleware(
        Guard,
        make_id=services.make_request_id,
        proxy_sets_request_id=settings.proxy_sets_request_id,
    )
    app.add_middleware(HeadAsGet)


async def _answer_problem(request: Request, error: Exception) -> Response:
    request_id = str(request.state.request_id)
    problem = problem_of(error)
    log_failure(error, problem, request_id)
    headers = error.headers if isinstance(error, HTTPException) else None
    return problem.response(request_id, headers)


@asynccontextmanager
async def _background(context: Context) -> AsyncIterator[None]:
    """What goes on beside the requests; one that fails ends alone, and says so."""
    services = context.services
    works = (warm_up(context), _sweep(context), *(work() for work in services.background))
    tasks = [asyncio.create_task(_logged(work)) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(services.store.close)


async def _logged(work: Awaitable[None]) -> None:
    try:
        await work
    except Exception as error:
        logger.exception("work in the background ended: %s", type(error).__name__)


async def _sweep(context: Context) -> None:
    services = context.services
    while True:
        await asyncio.sleep(services.settings.sweep_every_s)
        try:
            await asyncio.to_thread(services.store.sweep)
            await asyncio.to_thread(services.library.sweep)
            await context.portraits.forget_deleted()
        except (OSError, sqlite3.Error, AvatarError) as error:  # turns themselves report it
            logger.warning("what is over was not erased: %s", type(error).__name__)
