"""The voices of this server: those of its engine, and those that people gave it."""

import asyncio
import hashlib
from dataclasses import asdict

from deployments.caller import logger_of
from deployments.errors import EngineInputError, ProtocolError, UnusableInputError
from deployments.types import AudioChunk, CustomVoice, TtsCapabilities, Voice
from deployments.vad.engine import VadEngine
from graph.language import require_of_voice
from graph.stages import TtsStage
from web.catalogue import Catalogue
from web.library import Consent, Item, Library
from web.media_in import decode
from web.media_out import encoder
from web.problems import RefusedError, not_found
from web.samples import MAX_S, RATE_HZ, SampleFacts, judge, too_long

logger = logger_of("avatar.web")

_SAMPLE = "sample.wav"


class Voices:
    """Each is cloned once, when it is added; and once more when an engine of another format is to
    speak it. All of it is on the disk, so that any ingress process knows what another was given."""

    def __init__(self, library: Library, tts: TtsStage, catalogue: Catalogue) -> None:
        self._library, self._tts, self._catalogue = library, tts, catalogue
        self._renewing: dict[str, asyncio.Task[bytes]] = {}
        # Speech waits while a voice is cloned, so that one at a time is enough.
        self._one_at_a_time = asyncio.Lock()

    async def all(self) -> tuple[Voice, ...]:
        """Those that can be asked for, the engine's own first."""
        facts = await self._catalogue.tts()
        if not facts.clones_voices:
            return facts.voices
        items = await asyncio.to_thread(self._library.items, "voice")
        return (*facts.voices, *(_voice(item, facts) for item in items))

    async def chosen(self, voice_id: str | None, language: str | None) -> str | CustomVoice | None:
        """What to ask the engine for, so that this voice speaks ``language`` (if it is known).

        Raises:
            ProtocolError: ``not_found``.
            UnusableInputError: ``unsupported_language``.
            RefusedError: ``not_supported``; it was added while another engine was here.
            StageError: it had to be cloned anew, which failed.
        """
        if voice_id is None:
            return None
        facts = await self._catalogue.tts()
        own = next((voice for voice in facts.voices if voice.id == voice_id), None)
        if own is not None:
            _check(own, language)
            return own.id
        item = await asyncio.to_thread(self._library.find, "voice", voice_id)
        if item is None:
            raise not_found("voice")
        await self.require_cloning()
        _check(_voice(item, facts), language)
        return CustomVoice(item.id, facts.languages, await self._state(item.id, facts.voice_format))

    async def require_cloning(self) -> None:
        """Raise where the engine's own voices are all there can be.

        Raises:
            RefusedError: ``not_supported``.
        """
        if why_not := await self._catalogue.why_no_voices():
            raise RefusedError(why_not, code="not_supported")

    async def add(
        self, name: str, sample: AudioChunk, facts: SampleFacts, consent: Consent
    ) -> Voice:
        """Clone a voice and keep it.

        Raises:
            UnusableInputError: ``invalid_value``; the engine finds no voice in the sample.
            RefusedError: ``disk_full``.
            StageError: cloning failed.
        """
        engine = await self._catalogue.tts()
        wav = await asyncio.to_thread(encoder("wav").encode, sample)
        try:
            state = await self._cloned(wav)
        except EngineInputError as error:
            raise UnusableInputError(
                "The engine found no voice in this sample. Record one person who reads aloud."
            ) from error
        item = await asyncio.to_thread(
            self._library.add,
            "voice",
            name,
            consent,
            facts=asdict(facts),
            files={_SAMPLE: wav, _state_file(engine.voice_format): state},
        )
        logger.info("voice %s was added by %s", item.id, consent.given_by)
        return _voice(item, engine)

    async def delete(self, voice_id: str) -> bool:
        """Erase a voice that somebody added, its sample and consent; ``False`` if there is none.
        What is being spoken with it goes on to the end."""
        was_there = await asyncio.to_thread(self._library.delete, "voice", voice_id)
        if was_there:
            logger.info("voice %s was deleted", voice_id)
        return was_there

    async def _state(self, voice_id: str, voice_format: str) -> bytes:
        """As it was kept; cloned anew where it was kept for another engine only."""
        name = _state_file(voice_format)
        kept = await asyncio.to_thread(self._library.read, "voice", voice_id, name)
        if kept is not None:
            return kept
        if voice_id not in self._renewing:
            task = asyncio.create_task(self._renewed(voice_id, name))
            task.add_done_callback(lambda ended: self._renewal_ended(voice_id, ended))
            self._renewing[voice_id] = task
        # One who leaves must not stop the cloning that others wait for.
        return await asyncio.shield(self._renewing[voice_id])

    def _renewal_ended(self, voice_id: str, task: asyncio.Task[bytes]) -> None:
        del self._renewing[voice_id]
        if not task.cancelled():
            task.exception()  # those who waited have it; with none left, it is of no interest

    async def _renewed(self, voice_id: str, name: str) -> bytes:
        wav = await asyncio.to_thread(self._library.read, "voice", voice_id, _SAMPLE)
        if wav is None:
            raise not_found("voice")
        state = await self._cloned(wav)
        try:
            await asyncio.to_thread(self._library.put, "voice", voice_id, name, state)
        except (RefusedError, OSError) as error:  # it can be spoken all the same
            logger.warning("a renewed voice was not kept: %s", type(error).__name__)
        return state

    async def _cloned(self, wav: bytes) -> bytes:
        """From the sample as it is kept, so that cloning anew gives the same."""
        sample = await asyncio.to_thread(decode, wav, RATE_HZ, MAX_S)
        async with self._one_at_a_time:
            return await self._tts.clone(sample)


def examined(data: bytes, vad: VadEngine, threshold: float) -> tuple[AudioChunk, SampleFacts]:
    """An upload as the sample that a voice can be copied from. Blocks.

    Not more than ``MAX_S`` of it is ever decoded.

    Raises:
        ProtocolError: ``unsupported_media``.
        UnusableInputError: as ``web.samples.judge``.
    """
    try:
        sample = decode(data, RATE_HZ, MAX_S)
    except ProtocolError as error:
        if error.code == "too_large":
            raise too_long() from None
        raise
    return sample, judge(sample, vad, threshold)


def _voice(item: Item, facts: TtsCapabilities) -> Voice:
    return Voice(item.id, item.name, facts.languages, builtin=False, cloned=True)


def _check(voice: Voice, language: str | None) -> None:
    if language is not None:
        require_of_voice(language, voice.languages, voice.id)


def _state_file(voice_format: str) -> str:
    """A name of its own for each format, whatever characters that has."""
    return f"state-{hashlib.sha256(voice_format.encode()).hexdigest()[:16]}"
