"""Voices: those of the engine, and those that people add."""

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.errors import ProtocolError
from web import consent
from web.forms import VoiceForm
from web.keys import giver_of
from web.openapi import documented, json_answer
from web.problems import not_found
from web.services import Context
from web.uploads import read_form
from web.voices import examined
from web.wire import voice_json

_NO_STORE = {"Cache-Control": "no-store"}


def routes(context: Context) -> APIRouter:
    """``/api/v1/voices``."""
    router = APIRouter(prefix="/api/v1/voices", tags=["voices"])
    services, voices = context.services, context.voices

    @router.get("", summary="The voices", **documented(answers=[json_answer("a list of voices")]))
    async def list_voices() -> Response:
        await context.readiness.require(("tts",))
        return JSONResponse([voice_json(voice) for voice in await voices.all()], headers=_NO_STORE)

    @router.post(
        "",
        summary="Add a voice of your own, where the engine can copy one",
        **documented(
            form=VoiceForm,
            answers=[json_answer("the voice, which can be asked for at once")],
            status=201,
        ),
    )
    async def add_voice(request: Request) -> Response:
        await context.readiness.require(("tts",))
        await voices.require_cloning()  # before anything of the upload is read
        with context.uploads.one() as upload:
            limit = services.settings.max_audio_bytes
            form = await read_form(request, VoiceForm, limit, upload)
            given = consent.agreed(
                form.consent, consent.VOICE, given_by=giver_of(request), at=services.clock()
            )
            name = consent.checked_name(form.name)
            threshold = services.settings.speech_threshold
            sample, facts = await asyncio.to_thread(examined, form.audio, services.vad, threshold)
        voice = await voices.add(name, sample, facts, given)
        return JSONResponse(voice_json(voice), 201, headers=_NO_STORE)

    @router.delete(
        "/{voice_id}",
        summary="Erase a voice that somebody added, with its sample",
        **documented(answers=[], status=204, what="it is gone"),
    )
    async def delete_voice(voice_id: str) -> Response:
        if await voices.delete(voice_id):  # whether or not the engine is there
            return Response(status_code=204)
        await context.readiness.require(("tts",))
        if voice_id in {voice.id for voice in (await context.catalogue.tts()).voices}:
            raise ProtocolError("This voice is built in and cannot be deleted.", code="forbidden")
        raise not_found("voice")

    return router
