"""From what a client sent to a turn that may start; every refusal happens here."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Protocol

from starlette.requests import Request

from deployments.caller import CALLER, Caller
from deployments.errors import ProtocolError
from deployments.types import Message
from graph.events import TurnEvent
from graph.history import within
from graph.language import detect, normalise, require
from graph.turn import TurnRequest, animate, converse, narrate
from web.forms import AnimateForm, Controls, ConversationForm, GenerateBody, HistoryLine
from web.ids import is_id, new_id
from web.listening import ANIMATE_RATE_HZ, Heard, decoded, hear
from web.problems import not_found
from web.services import Context
from web.turns import PlannedTurn, Verb
from web.uploads import parse_json, validated

ASSUMED_LANGUAGE = "en"  # of speech, where the ASR engine cannot tell


async def plan_conversation(
    form: ConversationForm,
    context: Context,
    received_at_s: float,
    *,
    waits_for_all: bool,
) -> PlannedTurn:
    """A whole turn.

    Raises:
        ProtocolError, UnusableInputError, RefusedError: as the interface's table says.
    """
    services = context.services
    if (form.audio is None) == (form.text is None):
        raise ProtocolError("send either `audio` or `text`")
    history = await history_of(form.session_id, _history(form.history), context)
    card = await context.portraits.chosen(form.avatar)
    if form.text is not None:
        check_text(form.text, context)
    heard: Heard | None = None
    language = await turn_language(form.language, form.text, context)
    voice = await context.voices.chosen(form.voice, language)
    if form.audio is not None:
        heard = await hear(form.audio, services)
    request = TurnRequest(
        audio=heard.audio if heard else None,
        text=form.text,
        language=language,
        avatar_id=card.id,
        received_at_s=received_at_s,
        voice=voice,
        history=history,
        look_ahead_s=None if waits_for_all else services.settings.look_ahead_s,
        marks=heard.marks if heard else {},
        turn_no=sum(message.role == "user" for message in history),
    )
    return PlannedTurn(
        turn_id=new_id(),
        session_id=form.session_id or new_id(),
        is_new_session=form.session_id is None,
        request=request,
        verb=_bound(converse, context),
    )


async def plan_narration(body: GenerateBody, context: Context, received_at_s: float) -> PlannedTurn:
    """The face speaks a given text. Raises as ``plan_conversation``."""
    check_text(body.text, context)
    card = await context.portraits.chosen(body.avatar)
    languages = (await context.catalogue.tts()).languages
    language = await text_language(body.language, body.text, {"tts": languages})
    voice = await context.voices.chosen(body.voice, language)
    await context.catalogue.check_controls(body.controls)
    request = TurnRequest(
        audio=None,
        text=body.text,
        language=language,
        avatar_id=card.id,
        received_at_s=received_at_s,
        voice=voice,
        look_ahead_s=context.services.settings.look_ahead_s,
        controls=body.controls,
    )
    return _unkept(request, _bound(narrate, context))


async def plan_animation(form: AnimateForm, context: Context, received_at_s: float) -> PlannedTurn:
    """The face moves to a given sound. Raises as ``plan_conversation``."""
    controls = _controls(form.controls)
    await context.catalogue.check_controls(controls)
    card = await context.portraits.chosen(form.avatar)
    heard = await decoded(form.audio, ANIMATE_RATE_HZ, context.services)
    request = TurnRequest(
        audio=heard.audio,
        text=None,
        language=None,
        avatar_id=card.id,
        received_at_s=received_at_s,
        look_ahead_s=context.services.settings.look_ahead_s,
        marks=heard.marks,
        controls=controls,
    )
    return _unkept(request, _bound(animate, context))


async def history_of(
    session_id: str | None, history: Sequence[Message] | None, context: Context
) -> tuple[Message, ...]:
    """What was said before, from the session or from the client.

    Raises:
        ProtocolError: both were given, or there is no such session.
    """
    limit = context.services.settings.max_history_chars
    if session_id is None:
        return within(history or (), limit)
    if history is not None:
        raise ProtocolError("send either `session_id` or `history`: a session has its own")
    session = None
    if is_id(session_id):
        session = await asyncio.to_thread(context.services.store.session, session_id)
    if session is None:
        raise not_found("session")
    return within([m for turn in session.turns for m in turn.messages()], limit)


def check_text(text: str, context: Context) -> None:
    """Check what is to be said or answered.

    Raises:
        ProtocolError: ``bad_request`` if there is nothing in it, ``too_large`` if too much.
    """
    limit = context.services.settings.max_text_chars
    if len(text) > limit:
        raise ProtocolError(f"the text is longer than {limit} characters", code="too_large")
    if not any(character.isalnum() for character in text):
        raise ProtocolError("the text has no words")


async def turn_language(tag: str | None, text: str | None, context: Context) -> str | None:
    """The language of a whole turn; ``None`` where the ASR engine will tell.

    Raises:
        UnusableInputError: ``unsupported_language``.
    """
    catalogue = context.catalogue
    later = {
        "llm": (await catalogue.llm()).languages,
        "tts": (await catalogue.tts()).languages,
    }
    if text is not None:
        return await text_language(tag, text, later)
    asr = await catalogue.asr()
    if tag is None:
        return None if asr.detects_language else ASSUMED_LANGUAGE
    language = normalise(tag)
    for stage, languages in {"asr": asr.languages, **later}.items():
        require(language, languages, stage)
    return language


async def text_language(tag: str | None, text: str, stages: dict[str, tuple[str, ...]]) -> str:
    """The language of a text: as declared, else found among those that every stage can do.

    Raises:
        UnusableInputError: ``unsupported_language``.
    """
    if tag is None:
        first, *others = stages.values()
        common = [x for x in first if all(x in languages for languages in others)]
        return await asyncio.to_thread(detect, text, common)
    language = normalise(tag)
    for stage, languages in stages.items():
        require(language, languages, stage)
    return language


class Announced(Protocol):
    """What may start, and by which ids it is known."""

    @property
    def turn_id(self) -> str | None: ...

    @property
    def session_id(self) -> str: ...

    @property
    def headers(self) -> dict[str, str]: ...


def announce(request: Request, plan: Announced) -> None:
    """Have the guard put the plan's headers on whatever is answered from now on, problems too, and
    let every line that is logged for this request, here and by the stages, name its ids."""
    request.state.answer_headers = plan.headers
    CALLER.set(Caller(str(request.state.request_id), plan.turn_id or "", plan.session_id))


def _history(text: str | None) -> tuple[Message, ...] | None:
    if text is None:
        return None
    lines = parse_json(text, "`history`")
    if not isinstance(lines, list):
        raise ProtocolError("`history` is not a list")
    return tuple(validated(HistoryLine, line).message() for line in lines)


def _controls(text: str | None) -> Controls:
    value = {} if text is None else parse_json(text, "`controls`")
    return validated(GenerateBody, {"text": "-", "controls": value}).controls


def _bound(verb: Callable[..., AsyncGenerator[TurnEvent, None]], context: Context) -> Verb:
    services = context.services
    return partial(verb, stages=services.stages, now=services.now, settings=services.turn)


def _unkept(request: TurnRequest, verb: Verb) -> PlannedTurn:
    return PlannedTurn(new_id(), new_id(), True, request, verb, is_kept=False)
