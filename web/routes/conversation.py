"""A turn: voice in, talking video out."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from web.answers import as_events, as_json, as_video
from web.forms import ConversationForm
from web.openapi import SHORTENED, documented, json_answer, sse_answer, video_answer
from web.planning import announce, plan_conversation
from web.services import Context
from web.turns import PlannedTurn
from web.uploads import read_form

_EVENTS = (
    "`queue` (its place and the wait in seconds) while the turn waits for room, then `transcript`, "
    "`reply` deltas and `video` fragments as they come, then `done` (the turn) or `error` (a "
    "problem, with `retry_after_s` where the status would come with Retry-After)"
)

ALL_STAGES = ("asr", "llm", "tts", "avatar")


def routes(context: Context) -> APIRouter:
    """``/api/v1/conversation`` and its streaming form."""
    router = APIRouter(prefix="/api/v1/conversation", tags=["turn"])
    services = context.services

    async def planned(request: Request, *, waits_for_all: bool) -> PlannedTurn:
        await context.readiness.require(ALL_STAGES)
        limit = services.settings.max_audio_bytes
        with context.uploads.one() as upload:
            form = await read_form(request, ConversationForm, limit, upload)
            plan = await plan_conversation(
                form, context, services.now(), waits_for_all=waits_for_all
            )
        announce(request, plan)
        return plan

    @router.post(
        "",
        summary="Ask, and see the answer spoken",
        **documented(
            form=ConversationForm, answers=[video_answer(), json_answer(f"the turn. {SHORTENED}")]
        ),
    )
    async def conversation(request: Request) -> Response:
        waits = wants_json(request)
        plan = await planned(request, waits_for_all=waits)
        return await as_json(plan, services) if waits else as_video(plan, services)

    @router.post(
        "/stream",
        summary="The same as server-sent events: words and video as they come",
        **documented(form=ConversationForm, answers=[sse_answer(f"{_EVENTS}. {SHORTENED}")]),
    )
    async def stream(request: Request) -> Response:
        plan = await planned(request, waits_for_all=False)
        return as_events(plan, services, str(request.state.request_id))

    return router


def wants_json(request: Request) -> bool:
    """Whether the client asked for the turn as an object rather than as a video."""
    return accepts(request, "application/json") and not accepts(request, "video/mp4")


def accepts(request: Request, media_type: str) -> bool:
    """Whether the client names exactly this type."""
    parts = request.headers.get("accept", "").lower().split(",")
    return any(part.partition(";")[0].strip() == media_type for part in parts)
