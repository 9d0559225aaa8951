"""What the first visitor would otherwise wait for, done while nobody asks yet."""

import asyncio

import numpy as np

from deployments.caller import logger_of
from deployments.errors import AvatarError
from deployments.types import AudioChunk
from graph.language import load_detector
from web.listening import ASR_RATE_HZ, hear
from web.media_out import encoder
from web.services import Context

logger = logger_of("avatar.web")

_ASK_EVERY_S = 0.5
_DRAW_AGAIN_S = 2.0


async def warm_up(context: Context) -> None:
    """Load what this process needs, then, once the stages are there, ask them what they can do
    and have the faces drawn at rest. Failing costs only the first visitor's time."""
    await asyncio.gather(asyncio.to_thread(load_detector), _hear_noise(context))
    await _until_ready(context)
    await asyncio.gather(_draw_default_face(context), _draw_stand_ins(context))


async def _draw_default_face(context: Context) -> None:
    try:
        catalogue = context.catalogue
        await asyncio.gather(catalogue.asr(), catalogue.llm(), catalogue.tts(), catalogue.avatar())
        card = await context.portraits.find(None)
        await context.faces.thumbnail(card)
        await context.faces.idle(card)
    except AvatarError as error:
        logger.warning("not warmed up: %s", type(error).__name__)


async def _draw_stand_ins(context: Context) -> None:
    """What is shown where drawing is late, of every built-in face; asked for until it is there,
    since without it the voice has to wait for the picture."""
    stand_ins = context.services.stages.stand_ins
    while stand_ins is not None:
        try:
            for card in await context.catalogue.portraits():
                await stand_ins.prepare(card.id)
            return
        except AvatarError as error:
            logger.warning("no stand-in was drawn: %s", type(error).__name__)
            await asyncio.sleep(_DRAW_AGAIN_S)


async def _until_ready(context: Context) -> None:
    """Serve tells nobody when a deployment becomes ready, so it has to be asked."""
    while True:
        if (await context.services.health()).is_ready:
            return
        await asyncio.sleep(_ASK_EVERY_S)


async def _hear_noise(context: Context) -> None:
    """Decode and judge a second of noise, which loads FFmpeg's tables and the detector's."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, ASR_RATE_HZ).astype(np.float32)
    clip = encoder("wav").encode(AudioChunk(noise, ASR_RATE_HZ))
    try:
        await hear(clip, context.services)
    except AvatarError:  # noise may well be no speech
        return
