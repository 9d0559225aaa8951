"""The stages one by one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.errors import UnusableInputError
from deployments.types import CustomVoice
from graph.language import normalise, require
from graph.sentences import sentences
from web.answers import as_video
from web.chat import as_chat_events, as_chat_json, plan_chat
from web.forms import AnimateForm, ChatBody, GenerateBody, SpeakBody, TranscribeForm
from web.listening import Heard, hear
from web.media_out import MEDIA_TYPES, encoder
from web.openapi import documented, json_answer, sse_answer, video_answer
from web.planning import (
    ASSUMED_LANGUAGE,
    announce,
    check_text,
    plan_animation,
    plan_narration,
    text_language,
)
from web.routes.conversation import accepts
from web.services import Context
from web.streaming import Chunks, LiveResponse
from web.uploads import read_form, read_json
from web.wire import segments_json

_CHAT_EVENTS = "`delta`s, then `done` (the reply) or `error` (a problem)"


def routes(context: Context) -> APIRouter:
    """``transcribe``, ``chat``, ``speak``, ``animate`` and ``generate``."""
    router = APIRouter(prefix="/api/v1", tags=["stages"])
    services = context.services
    uploads = context.uploads
    limit = services.settings.max_audio_bytes

    @router.post(
        "/transcribe",
        summary="Speech to text",
        **documented(form=TranscribeForm, answers=[json_answer("text with its segments")]),
    )
    async def transcribe(request: Request) -> Response:
        await context.readiness.require(("asr",))
        with uploads.one() as upload:
            form = await read_form(request, TranscribeForm, limit, upload)
            language = await _speech_language(form, context)
            heard = await hear(form.audio, services)
        return await _transcribed(heard, language, context)

    @router.post(
        "/chat",
        summary="Text to text",
        **documented(body=ChatBody, answers=[json_answer("the reply"), sse_answer(_CHAT_EVENTS)]),
    )
    async def chat(request: Request) -> Response:
        await context.readiness.require(("llm",))
        body = await read_json(request, ChatBody, uploads)
        plan = await plan_chat(body, context, services.now())
        announce(request, plan)
        if accepts(request, "text/event-stream"):
            return as_chat_events(plan, services, str(request.state.request_id))
        return await as_chat_json(plan, services)

    @router.post(
        "/speak",
        summary="Text to sound, streamed as it is made",
        **documented(body=SpeakBody, answers=[(t, "sound") for t in MEDIA_TYPES.values()]),
    )
    async def speak(request: Request) -> Response:
        await context.readiness.require(("tts",))
        body = await read_json(request, SpeakBody, uploads)
        check_text(body.text, context)
        languages = (await context.catalogue.tts()).languages
        language = await text_language(body.language, body.text, {"tts": languages})
        voice = await context.voices.chosen(body.voice, language)
        return LiveResponse(
            lambda: _spoken(body, language, voice, context), MEDIA_TYPES[body.format]
        )

    @router.post(
        "/animate",
        summary="Sound to a talking face",
        **documented(form=AnimateForm, answers=[video_answer()]),
    )
    async def animate(request: Request) -> Response:
        await context.readiness.require(("avatar",))
        with uploads.one() as upload:
            form = await read_form(request, AnimateForm, limit, upload)
            plan = await plan_animation(form, context, services.now())
        announce(request, plan)
        return as_video(plan, services)

    @router.post(
        "/generate",
        summary="Text to a talking face",
        **documented(body=GenerateBody, answers=[video_answer()]),
    )
    async def generate(request: Request) -> Response:
        await context.readiness.require(("tts", "avatar"))
        body = await read_json(request, GenerateBody, uploads)
        plan = await plan_narration(body, context, services.now())
        announce(request, plan)
        return as_video(plan, services)

    return router


async def _speech_language(form: TranscribeForm, context: Context) -> str | None:
    asr = await context.catalogue.asr()
    if form.language is None:
        return None if asr.detects_language else ASSUMED_LANGUAGE
    language = normalise(form.language)
    require(language, asr.languages, "asr")
    return language


async def _transcribed(heard: Heard, language: str | None, context: Context) -> Response:
    services = context.services
    started_s = services.now()
    transcript = await services.stages.asr.transcribe(heard.audio, language)
    asr_ms = (services.now() - started_s) * 1000
    if not transcript.text.strip():
        raise UnusableInputError("No words were understood.", code="no_speech", stage="asr")
    return JSONResponse(
        {
            "text": transcript.text,
            "language": transcript.language,
            "duration": heard.audio.duration_s,
            "segments": segments_json(transcript, heard.audio.duration_s),
            "timings": {"decode_ms": round(heard.decode_ms, 3), "asr_ms": round(asr_ms, 3)},
        },
        headers={"Cache-Control": "no-store"},
    )


async def _given(text: str) -> AsyncGenerator[str, None]:
    yield text


async def _spoken(
    body: SpeakBody, language: str, voice: str | CustomVoice | None, context: Context
) -> Chunks:
    """The encoded speech, sentence by sentence."""
    encoding = encoder(body.format)
    tts = context.services.stages.tts
    async with aclosing(sentences(_given(body.text), language)) as split:
        async for sentence in split:
            async with aclosing(tts.speak(sentence, language, voice)) as chunks:
                async for chunk in chunks:
                    if data := await asyncio.to_thread(encoding.encode, chunk.audio):
                        yield data
    if data := await asyncio.to_thread(encoding.finish):
        yield data
