"""Voices: what is built in can be listed."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from deployments.errors import ProtocolError
from web.openapi import documented, json_answer
from web.problems import RefusedError, not_found
from web.services import Context
from web.wire import voice_json

_NOT_HERE = documented(answers=[], status=501, what="this profile cannot")
_NEVER = documented(answers=[], status=403, what="it is built in")


def routes(context: Context) -> APIRouter:
    """``/api/v1/voices``."""
    router = APIRouter(prefix="/api/v1/voices", tags=["voices"])
    catalogue = context.catalogue

    @router.get("", summary="The voices", **documented(answers=[json_answer("a list of voices")]))
    async def voices() -> Response:
        await context.readiness.require(("tts",))
        return JSONResponse([voice_json(voice) for voice in (await catalogue.tts()).voices])

    @router.post("", summary="Not yet: a voice of your own", **_NOT_HERE)
    async def add_voice() -> Response:
        await context.readiness.require(("tts",))
        raise RefusedError(await catalogue.why_no_voices(), code="not_supported")

    @router.delete("/{voice_id}", summary="What is built in stays", **_NEVER)
    async def delete_voice(voice_id: str) -> Response:
        await context.readiness.require(("tts",))
        if voice_id not in {voice.id for voice in (await catalogue.tts()).voices}:
            raise not_found("voice")
        raise ProtocolError("This voice is built in and cannot be deleted.", code="forbidden")

    return router
