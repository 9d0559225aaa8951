"""Avatars: what is built in can be listed and looked at."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.errors import ProtocolError
from web.openapi import documented, json_answer
from web.problems import RefusedError
from web.ranges import bytes_answer
from web.services import Context
from web.wire import avatar_json

_NOT_HERE = documented(answers=[], status=501, what="this profile cannot")
_NEVER = documented(answers=[], status=403, what="it is built in")


def routes(context: Context) -> APIRouter:
    """``/api/v1/avatars``."""
    router = APIRouter(prefix="/api/v1/avatars", tags=["avatars"])
    catalogue = context.catalogue

    @router.get("", summary="The faces", **documented(answers=[json_answer("a list of faces")]))
    async def avatars() -> Response:
        await context.readiness.require(("avatar",))
        facts = await catalogue.avatar()
        return JSONResponse([avatar_json(card, facts) for card in await catalogue.portraits()])

    @router.post("", summary="Not yet: a face of your own", **_NOT_HERE)
    async def add_avatar() -> Response:
        raise RefusedError(await catalogue.why_no_portraits(), code="not_supported")

    @router.delete("/{avatar_id}", summary="What is built in stays", **_NEVER)
    async def delete_avatar(avatar_id: str) -> Response:
        await context.readiness.require(("avatar",))
        await catalogue.card(avatar_id)
        raise ProtocolError("This face is built in and cannot be deleted.", code="forbidden")

    @router.get(
        "/{avatar_id}/thumbnail",
        summary="The face at rest",
        **documented(answers=[("image/webp", "a picture")]),
    )
    async def thumbnail(request: Request, avatar_id: str) -> Response:
        await context.readiness.require(("avatar",))
        card = await catalogue.card(avatar_id)
        return bytes_answer(request, await context.faces.thumbnail(card.id), "image/webp")

    @router.get(
        "/{avatar_id}/idle",
        summary="The silent face, in a loop",
        **documented(answers=[("video/mp4", "a few seconds that can be repeated")]),
    )
    async def idle(request: Request, avatar_id: str) -> Response:
        await context.readiness.require(("avatar",))
        card = await catalogue.card(avatar_id)
        return bytes_answer(request, await context.faces.idle(card.id), "video/mp4")

    return router
