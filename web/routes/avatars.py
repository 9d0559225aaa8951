"""Avatars: the faces that are built in, and those that people add."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.errors import ProtocolError
from web import consent
from web.forms import AvatarForm
from web.keys import giver_of
from web.openapi import documented, json_answer
from web.problems import not_found
from web.ranges import bytes_answer
from web.services import Context
from web.uploads import read_form
from web.wire import avatar_json

_NO_STORE = {"Cache-Control": "no-store"}


def routes(context: Context) -> APIRouter:
    """``/api/v1/avatars``."""
    router = APIRouter(prefix="/api/v1/avatars", tags=["avatars"])
    services, portraits, faces = context.services, context.portraits, context.faces

    @router.get("", summary="The faces", **documented(answers=[json_answer("a list of faces")]))
    async def list_avatars() -> Response:
        await context.readiness.require(("avatar",))
        facts = await context.catalogue.avatar()
        answer = [avatar_json(card, facts) for card in await portraits.all()]
        return JSONResponse(answer, headers=_NO_STORE)

    @router.post(
        "",
        summary="Add a face of your own",
        **documented(
            form=AvatarForm,
            answers=[json_answer("the face, which can be asked for at once")],
            status=201,
        ),
    )
    async def add_avatar(request: Request) -> Response:
        await context.readiness.require(("avatar",))
        await portraits.require_detector()  # before anything of the upload is read
        settings = services.settings
        with context.uploads.one() as upload:
            form = await read_form(request, AvatarForm, settings.max_image_bytes, upload)
            given = consent.agreed(
                form.consent, consent.PORTRAIT, given_by=giver_of(request), at=services.clock()
            )
            name = consent.checked_name(form.name)
            source = await portraits.examined(form.image, name, settings.max_image_pixels)
        card = await portraits.add(source, given)
        answer = avatar_json(card, await context.catalogue.avatar())
        return JSONResponse(answer, 201, headers=_NO_STORE)

    @router.delete(
        "/{avatar_id}",
        summary="Erase a face that somebody added, with its picture",
        **documented(answers=[], status=204, what="it is gone"),
    )
    async def delete_avatar(avatar_id: str) -> Response:
        if await portraits.delete(avatar_id):  # whether or not the engine is there
            return Response(status_code=204)
        await context.readiness.require(("avatar",))
        if avatar_id in {card.id for card in await context.catalogue.portraits()}:
            raise ProtocolError("This face is built in and cannot be deleted.", code="forbidden")
        raise not_found("avatar")

    @router.get(
        "/{avatar_id}/thumbnail",
        summary="The face at rest",
        **documented(answers=[("image/webp", "a picture")]),
    )
    async def thumbnail(request: Request, avatar_id: str) -> Response:
        await context.readiness.require(("avatar",))
        card = await portraits.find(avatar_id)
        return bytes_answer(request, await faces.thumbnail(card), "image/webp")

    @router.get(
        "/{avatar_id}/idle",
        summary="The silent face, in a loop",
        **documented(answers=[("video/mp4", "a few seconds that can be repeated")]),
    )
    async def idle(request: Request, avatar_id: str) -> Response:
        await context.readiness.require(("avatar",))
        card = await portraits.find(avatar_id)
        return bytes_answer(request, await faces.idle(card), "video/mp4")

    return router
