"""One reply as nested streams: sentences -> speech -> face.

Every stage works while the next one does: each stream is read ahead of its reader by a bounded
number of items. Nothing here holds a Serve handle; what a stage must remember travels in the call.
"""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from deployments.errors import EngineRuntimeError, StageError, UnusableInputError
from deployments.streams import Reader, prefetch, produced
from deployments.types import (
    AudioChunk,
    CustomVoice,
    Message,
    ReplySentence,
    SpeechChunk,
    Transcript,
)
from graph.events import (
    Progress,
    ReplyFinished,
    Timings,
    TranscriptUpdated,
    TurnEvent,
)
from graph.face import Face, TurnSettings
from graph.language import detect, require, require_of_voice
from graph.mux import FragmentedMp4
from graph.record import TurnReport
from graph.sentences import sentences
from graph.stages import Stages
from graph.timeline import StretchPlan, Timeline
from graph.timing import Now, TurnClock


def _ignore_progress(progress: Progress) -> None:
    """The default observer of a turn's progress."""


def _ignore_report(report: TurnReport) -> None:
    """The default observer of a turn's end."""


@dataclass(frozen=True, slots=True, eq=False)
class TurnRequest:
    """What somebody asked for. Exactly one of ``audio`` and ``text`` is set.

    ``received_at_s`` is the monotonic time of the request's last byte, from which TTFA, TTFF and
    turn time count. ``look_ahead_s``: how far drawing may run ahead of playback; ``None`` for a
    caller who waits for the whole. ``marks``: when things happened before the turn began, on the
    same clock, by the names of ``graph.record``. ``seed``: of what moves by chance in the
    face. ``on_progress`` is told whenever something was sent, ``on_end`` how the turn went, however
    it ended.
    """

    audio: AudioChunk | None
    text: str | None
    language: str | None
    avatar_id: str
    received_at_s: float
    voice: str | CustomVoice | None = None
    history: tuple[Message, ...] = ()
    look_ahead_s: float | None = None
    marks: Mapping[str, float] = field(default_factory=dict)
    controls: Mapping[str, float] = field(default_factory=dict)
    turn_no: int = 0
    seed: int = field(default_factory=lambda: secrets.randbits(31))
    on_progress: Callable[[Progress], None] = _ignore_progress
    on_end: Callable[[TurnReport], None] = _ignore_report


Emit = Callable[[TurnEvent], Awaitable[None]]


def converse(
    request: TurnRequest, stages: Stages, now: Now, settings: TurnSettings | None = None
) -> AsyncGenerator[TurnEvent, None]:
    """A whole turn: the user's speech or text is answered by the face.

    Yields the transcript, then the reply's text and video as they come, then ``ReplyFinished``.
    Closing the stream stops every stage.

    Raises:
        UnusableInputError: ``no_speech``, or ``unsupported_language`` that was heard.
        StageError: a stage failed after its repetitions.
    """

    async def run(turn: "_Turn") -> None:
        transcript = await turn.hear()
        await turn.answer(transcript)

    return _started(run, request, stages, now, settings)


def narrate(
    request: TurnRequest, stages: Stages, now: Now, settings: TurnSettings | None = None
) -> AsyncGenerator[TurnEvent, None]:
    """The face speaks ``request.text`` as it stands. Raises as ``converse`` does."""
    return _started(_Turn.narrate, request, stages, now, settings)


def animate(
    request: TurnRequest, stages: Stages, now: Now, settings: TurnSettings | None = None
) -> AsyncGenerator[TurnEvent, None]:
    """The face moves to ``request.audio``, which is the reply's sound. Raises as ``converse``."""
    return _started(_Turn.animate, request, stages, now, settings)


def _started(
    run: Callable[["_Turn"], Awaitable[None]],
    request: TurnRequest,
    stages: Stages,
    now: Now,
    settings: TurnSettings | None,
) -> AsyncGenerator[TurnEvent, None]:
    chosen = settings or TurnSettings()

    async def produce(emit: Emit) -> None:
        turn = _Turn(request, stages, now, chosen, emit)
        try:
            await run(turn)
        finally:
            request.on_end(turn.report())

    return produced(produce, chosen.n_events_ahead)


class _Turn:
    """The state of one turn in progress."""

    def __init__(
        self,
        request: TurnRequest,
        stages: Stages,
        now: Now,
        settings: TurnSettings,
        emit: Emit,
    ) -> None:
        self.request, self.stages, self.settings, self.emit = request, stages, settings, emit
        self.clock = TurnClock(now, request.received_at_s, dict(request.marks))
        self.user_text = request.text or ""
        self.spoken_text: list[str] = []
        self.language = request.language or "en"
        self.speaking_engine = ""  # of a chain of language models
        self.is_live = True  # not where all that is to be said is known beforehand
        self.is_shortened = False
        self.engines: dict[str, str] = {}
        self.face: Face | None = None
        self._timings: Timings | None = None

    def report(self) -> TurnReport:
        """How it went; for one that has not finished, the turn ending now."""
        timings, face = self._all_timings(), self.face
        return TurnReport(
            timings=timings,
            marks_ms=self.clock.marks_ms(),
            language=self.language,
            engines=self.engines,
            n_frames=face.n_frames if face else 0,
            n_late_frames=face.n_late_frames if face else 0,
            n_bytes=face.n_bytes if face else 0,
            is_shortened=self.is_shortened,
        )

    def _all_timings(self) -> Timings:
        """Made once, so that everybody is told the same."""
        if self._timings is None:
            face = self.face
            self._timings = (
                self.clock.timings()
                if face is None
                else self.clock.timings(face.timeline.speech_s, face.mp4.av_skew_ms, face.ladder)
            )
        return self._timings

    async def hear(self) -> Transcript:
        """What the user said or typed."""
        transcript = await self._transcript()
        self.user_text, self.language = transcript.text, transcript.language
        await self.emit(TranscriptUpdated(transcript))
        if self.request.language is None:
            await self._check_language()
        return transcript

    async def answer(self, transcript: Transcript) -> None:
        """The language model's reply, spoken and shown."""
        messages = (*self.request.history, Message("user", transcript.text))
        await self._show(self._speech(self._whole_sentences(self._deltas(messages))))
        await self._finish("asr" if self.request.audio else "", "llm", "tts", "avatar")

    async def narrate(self) -> None:
        """The request's own text, spoken and shown."""
        text, self.is_live = self.request.text or "", False
        self.language = self.request.language or await self._language_of(text)
        await self._show(self._speech(self._whole_sentences(self._given(text))))
        await self._finish("tts", "avatar")

    async def animate(self) -> None:
        """The request's own sound, shown."""
        self.is_live = False
        await self._show(self._sound())
        await self._finish("avatar")

    async def _transcript(self) -> Transcript:
        if self.request.audio is None:
            text = self.request.text or ""
            language = self.request.language or await self._language_of(text)
            return Transcript(text, True, (), language)
        self.clock.mark("asr_start")
        heard = await self.stages.asr.transcribe(self.request.audio, self.request.language)
        self.clock.mark("asr_end")
        if not heard.text.strip():
            text = "No words were understood. Speak closer to the microphone, or type."
            raise UnusableInputError(text, code="no_speech", stage="asr")
        return heard

    async def _check_language(self) -> None:
        """What the ASR engine found out is a language that the rest can do, and the voice."""
        llm, tts = await self.stages.llm.describe(), await self.stages.tts.describe()
        require(self.language, llm.languages, "llm")
        require(self.language, tts.languages, "tts")
        voice = self.request.voice
        if isinstance(voice, CustomVoice):
            require_of_voice(self.language, voice.languages, voice.id)
        elif voice is not None:
            known = {one.id: one.languages for one in tts.voices}
            require_of_voice(self.language, known.get(voice, ()), voice)

    async def _language_of(self, text: str) -> str:
        return detect(text, (await self.stages.tts.describe()).languages)

    async def _given(self, text: str) -> AsyncGenerator[str, None]:
        self.spoken_text.append(text)
        yield text

    async def _deltas(self, messages: tuple[Message, ...]) -> AsyncGenerator[str, None]:
        self.clock.mark("llm_start")
        async with aclosing(self.stages.llm.reply(messages, self.language)) as deltas:
            async for delta in deltas:
                self.clock.mark("llm_first_token")
                if delta.text:
                    self.speaking_engine = delta.engine
                    self.spoken_text.append(delta.text)
                    await self.emit(delta)
                    yield delta.text
        self.clock.mark("llm_end")

    async def _whole_sentences(
        self, deltas: AsyncGenerator[str, None]
    ) -> AsyncGenerator[ReplySentence, None]:
        """The sentences; if the language model is lost midway, those that were whole by then."""
        whole: list[str] = []
        try:
            split = sentences(deltas, self.language, self.request.turn_no)
            async with aclosing(deltas), aclosing(split):
                async for sentence in split:
                    whole.append(sentence.text)
                    yield sentence
        except StageError:
            if not whole:
                raise
            self.is_shortened = True
            self.spoken_text = [" ".join(whole)]

    async def _speech(
        self, texts: AsyncGenerator[ReplySentence, None]
    ) -> AsyncGenerator[SpeechChunk, None]:
        async with aclosing(prefetch(texts, self.settings.n_sentences_ahead)) as ahead:
            async for sentence in ahead:
                self.clock.mark("tts_start")
                spoken = self.stages.tts.speak(sentence, self.language, self.request.voice)
                async with aclosing(spoken) as chunks:
                    async for chunk in chunks:
                        self.clock.mark("tts_first_audio")
                        yield chunk
                self.clock.remark("tts_end")

    async def _sound(self) -> AsyncGenerator[SpeechChunk, None]:
        if self.request.audio is None:
            raise UnusableInputError("There is no sound to animate.", code="unsupported_media")
        yield SpeechChunk(self.request.audio, 0, (), is_last=True, turn_no=self.request.turn_no)

    async def _show(self, speech: AsyncGenerator[SpeechChunk, None]) -> None:
        ahead = prefetch(speech, self.settings.n_speech_blocks_ahead)
        async with aclosing(Reader(ahead)) as feed:
            first = await feed.next()
            if first is None:
                raise EngineRuntimeError("There was nothing to say.", stage="tts")
            self.clock.mark("first_audio")
            self.face = self._make_face(await self._timeline(first), feed)
            await self.face.play()

    def _make_face(self, timeline: Timeline, feed: Reader[SpeechChunk]) -> Face:
        width_px, height_px = self.frame_size
        return Face(
            self.stages.avatar,
            self.stages.stand_ins,
            timeline,
            feed,
            FragmentedMp4(width_px, height_px, timeline.sample_rate_hz),
            self.clock,
            self.request.look_ahead_s,
            self.settings,
            self.emit,
            self.request.on_progress,
        )

    async def _timeline(self, first: SpeechChunk) -> Timeline:
        avatar = await self.stages.avatar.describe()
        self.frame_size = (avatar.width_px, avatar.height_px)
        context_s = avatar.context_of(is_live=self.is_live)
        plan = StretchPlan(avatar.fps, context_s, self.settings.stretch_frames, self.is_live)
        timeline = Timeline(
            plan,
            first.audio.sample_rate_hz,
            self.request.avatar_id,
            self.request.controls,
            self.request.turn_no,
            self.request.seed,
        )
        timeline.append(first)
        return timeline

    async def _finish(self, *stages: str) -> None:
        self.engines = {
            name: (await getattr(self.stages, name).describe()).engine for name in stages if name
        }
        if self.speaking_engine:
            self.engines["llm"] = self.speaking_engine
        await self.emit(
            ReplyFinished(
                user_text=self.user_text,
                response_text="".join(self.spoken_text).strip(),
                language=self.language,
                timings=self._all_timings(),
                engines=self.engines,
                is_shortened=self.is_shortened,
            )
        )
