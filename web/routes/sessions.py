"""What was said: sessions, their turns and the stored videos."""

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from web.ids import is_id
from web.openapi import documented, json_answer, video_answer
from web.problems import not_found
from web.ranges import file_answer
from web.services import Context
from web.wire import session_json, turn_json

_NO_STORE = {"Cache-Control": "no-store"}


def routes(context: Context) -> APIRouter:
    """``/api/v1/sessions`` and ``/api/v1/turns``."""
    router = APIRouter(prefix="/api/v1", tags=["sessions"])
    store = context.services.store

    @router.get(
        "/sessions/{session_id}",
        summary="A session's turns",
        **documented(answers=[json_answer("the session")]),
    )
    async def session(session_id: str) -> Response:
        found = await asyncio.to_thread(store.session, session_id) if is_id(session_id) else None
        if found is None:
            raise not_found("session")
        return JSONResponse(session_json(found), headers=_NO_STORE)

    @router.delete(
        "/sessions/{session_id}",
        summary="Erase a session, its turns and media",
        **documented(answers=[], status=204, what="it is gone"),
    )
    async def delete_session(session_id: str) -> Response:
        if not is_id(session_id) or not await asyncio.to_thread(store.delete_session, session_id):
            raise not_found("session")
        return Response(status_code=204)

    @router.get(
        "/turns/{turn_id}", summary="A turn", **documented(answers=[json_answer("the turn")])
    )
    async def turn(turn_id: str) -> Response:
        found = await asyncio.to_thread(store.turn, turn_id) if is_id(turn_id) else None
        if found is None:
            raise not_found("turn")
        return JSONResponse(turn_json(found), headers=_NO_STORE)

    @router.get(
        "/turns/{turn_id}/video",
        summary="A turn's video; ranges work",
        **documented(answers=[video_answer()]),
    )
    async def video(request: Request, turn_id: str) -> Response:
        path = await asyncio.to_thread(store.video, turn_id) if is_id(turn_id) else None
        if path is None:
            raise not_found("video")
        return await asyncio.to_thread(file_answer, request, path, "video/mp4", turn_id)

    return router
