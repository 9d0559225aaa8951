"""From a client's bytes to sound in which somebody speaks."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from deployments.errors import UnusableInputError
from deployments.types import AudioChunk
from deployments.vad.engine import speech_seconds
from web.media_in import decode
from web.services import Services

ASR_RATE_HZ = 16_000
ANIMATE_RATE_HZ = 48_000


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Decoded sound, and when what was done on the way, by the names of ``graph.record``."""

    audio: AudioChunk
    marks: Mapping[str, float]

    @property
    def decode_ms(self) -> float:
        return (self.marks["decode_end"] - self.marks["decode_start"]) * 1000


async def hear(data: bytes, services: Services) -> Heard:
    """Somebody's speech at the rate of the ASR engines.

    Raises:
        ProtocolError: ``unsupported_media`` or ``too_large``.
        UnusableInputError: ``no_speech``.
    """
    heard = await decoded(data, ASR_RATE_HZ, services)
    settings = services.settings
    enough_s = settings.min_speech_s
    started_s = services.now()
    speech_s = await asyncio.to_thread(
        speech_seconds, services.vad, heard.audio, settings.speech_threshold, enough_s
    )
    if speech_s < enough_s:
        raise UnusableInputError(
            "No speech was heard. Speak closer to the microphone, or type.", code="no_speech"
        )
    return replace(heard, marks={**heard.marks, "vad_start": started_s, "vad_end": services.now()})


async def decoded(data: bytes, rate_hz: int, services: Services) -> Heard:
    """Any sound, at ``rate_hz``.

    Raises:
        ProtocolError: ``unsupported_media`` or ``too_large``.
    """
    started_s = services.now()
    audio = await asyncio.to_thread(decode, data, rate_hz, services.settings.max_audio_s)
    return Heard(audio, {"decode_start": started_s, "decode_end": services.now()})
