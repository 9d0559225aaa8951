"""From a client's bytes to sound in which somebody speaks."""

import asyncio
from dataclasses import dataclass

from deployments.errors import UnusableInputError
from deployments.types import AudioChunk
from deployments.vad.engine import VadEngine
from web.media_in import decode
from web.services import Services
from web.settings import IngressSettings

ASR_RATE_HZ = 16_000
ANIMATE_RATE_HZ = 48_000


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Decoded sound, and how long decoding took."""

    audio: AudioChunk
    decode_ms: float


async def hear(data: bytes, services: Services) -> Heard:
    """Somebody's speech at the rate of the ASR engines.

    Raises:
        ProtocolError: ``unsupported_media`` or ``too_large``.
        UnusableInputError: ``no_speech``.
    """
    heard = await decoded(data, ASR_RATE_HZ, services)
    speaks = await asyncio.to_thread(has_speech, services.vad, heard.audio, services.settings)
    if not speaks:
        raise UnusableInputError(
            "No speech was heard. Speak closer to the microphone, or type.", code="no_speech"
        )
    return heard


async def decoded(data: bytes, rate_hz: int, services: Services) -> Heard:
    """Any sound, at ``rate_hz``.

    Raises:
        ProtocolError: ``unsupported_media`` or ``too_large``.
    """
    started_s = services.now()
    audio = await asyncio.to_thread(decode, data, rate_hz, services.settings.max_audio_s)
    return Heard(audio, (services.now() - started_s) * 1000)


def has_speech(vad: VadEngine, audio: AudioChunk, settings: IngressSettings) -> bool:
    """Whether ``settings.min_speech_s`` of ``audio`` are speech; stops listening once they are.

    Blocks. ``audio`` has the detector's rate.
    """
    stream = vad.open()
    chunk_s = vad.chunk_samples / vad.sample_rate_hz
    speech_s = 0.0
    for start in range(0, len(audio.samples) - vad.chunk_samples + 1, vad.chunk_samples):
        if speech_s >= settings.min_speech_s:
            return True
        if (
            stream.detect(audio.samples[start : start + vad.chunk_samples])
            >= settings.speech_threshold
        ):
            speech_s += chunk_s
    return speech_s >= settings.min_speech_s
