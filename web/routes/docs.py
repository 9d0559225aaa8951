"""/docs, from files of this machine only."""

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from swagger_ui_bundle import swagger_ui_path

_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Realtime Avatar: the interface</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# A file of its own, since the content security policy forbids scripts inside a page.
_START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#ui", validatorUrl: null});\n'


def routes() -> APIRouter:
    """The page and the files that it loads."""
    router = APIRouter(include_in_schema=False)
    folder = Path(swagger_ui_path)

    @router.get("/docs")
    async def page() -> Response:
        return HTMLResponse(_PAGE)

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    def add(name: str) -> None:
        async def asset(request: Request) -> Response:
            return FileResponse(folder / name, headers={"Cache-Control": "max-age=86400"})

        router.add_api_route(f"/docs/{name}", asset, methods=["GET"], response_model=None)

    for name in _ASSETS:
        add(name)
    return router
