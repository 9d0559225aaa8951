"""Is it up, how is it doing, how is it used; and the page."""

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from web.openapi import documented
from web.services import Context

PAGE = Path(__file__).resolve().parent.parent / "page"


def routes(context: Context) -> APIRouter:
    """``/health``, ``/metrics`` and the page's files."""
    router = APIRouter(tags=["service"])
    services = context.services

    @router.get(
        "/health",
        summary="Whether a turn can be answered, and by which engines",
        response_class=JSONResponse,
        responses={503: {"description": "not yet; the same object"}},
    )
    async def health() -> Response:
        found = await services.health()
        return JSONResponse(
            found.to_json(services.settings.profile),
            200 if found.is_ready else 503,
            headers={"Cache-Control": "no-store"},
        )

    @router.get(
        "/metrics",
        summary="Counters and histograms",
        **documented(answers=[("text/plain", "Prometheus text")]),
    )
    async def metrics() -> Response:
        return PlainTextResponse(
            await services.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return router


def page_routes(page: Path = PAGE) -> APIRouter:
    """``/`` and one route for each file of the page, so that no path can name another one."""
    router = APIRouter(include_in_schema=False)
    files = StaticFiles(directory=page)

    async def send(request: Request, name: str) -> Response:
        answer = await files.get_response(name, request.scope)
        answer.headers["Cache-Control"] = "no-cache"  # asked about each time, sent when changed
        return answer

    def add(path: str, name: str) -> None:
        async def file(request: Request) -> Response:
            return await send(request, name)

        router.add_api_route(path, file, methods=["GET"], response_model=None)

    add("/", "index.html")
    for file in sorted(path for path in page.rglob("*") if path.is_file()):
        name = file.relative_to(page).as_posix()
        add(f"/{name}", name)
    return router
