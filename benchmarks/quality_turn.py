"""One turn: asked, answered, and judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np

from benchmarks.incoming import AnswerError
from benchmarks.lips import lip_sync
from benchmarks.media import Mp4, read_mp4
from benchmarks.quality_metrics import METRICS, why_not
from benchmarks.quality_scenarios import Line
from benchmarks.quality_server import Answered, Evaluated, Served
from benchmarks.quality_text import error_rate, language_of
from benchmarks.quality_voice import Pitch, Signal, embedding, pitch_of, similarity
from benchmarks.speech import Speaker, wav
from deployments.types import AudioChunk

Figures = dict[str, float]
Asked = Literal["aloud", "in writing"]
T = TypeVar("T")

_PERCENTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """How a voice sounds in a language: ``name`` says where it is from. ``embedded`` and ``pitch``
    are ``None`` where they cannot be measured."""

    name: str
    audio: AudioChunk
    embedded: Signal | None
    pitch: Pitch | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a run a turn stands: its number in the session, its session's round.

    ``is_switched``: its language is not that of the turn before.
    """

    scenario: str
    number: int
    line: Line
    is_switched: bool = False
    round_no: int = 1

    @property
    def name(self) -> str:
        again = f", round {self.round_no}" if self.round_no > 1 else ""
        return f"{self.scenario} {self.number}{again}"


@dataclass(slots=True, eq=False)
class Judged:
    """A turn and all that is known of it. ``figures`` are by the keys of ``METRICS``; what is not
    there has its reason in ``missing``. ``error`` is set where there was no answer."""

    place: Place
    asked: Asked = "in writing"
    turn: Mapping[str, Any] = field(default_factory=dict)
    reply_heard: str = ""
    reply_language: str = ""
    speech_language: str = ""
    pitch_percentiles_hz: tuple[float, ...] = ()
    figures: Figures = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    error: str = ""
    question: bytes = b""
    video: bytes = b""

    @property
    def spoken(self) -> str:
        """The language of the answer, by the server."""
        return str(self.turn["language"])

    def json(self) -> dict[str, Any]:
        """All of it but sound and video."""
        return {
            "scenario": self.place.scenario,
            "number": self.place.number,
            "round": self.place.round_no,
            "language": self.place.line.language,
            "is_switched": self.place.is_switched,
            "asked": self.asked,
            "question": self.place.line.text,
            "turn": self.turn,
            "reply_heard": self.reply_heard,
            "reply_language": self.reply_language,
            "speech_language": self.speech_language,
            "pitch_percentiles_hz": [round(hz, 1) for hz in self.pitch_percentiles_hz],
            "figures": {name: round(value, 4) for name, value in self.figures.items()},
            "missing": self.missing,
            "error": self.error,
        }


class Judge:
    """Asks a server and judges its answers; ``voice`` is a copied one, else the server's own."""

    def __init__(
        self,
        server: Evaluated,
        served: Served,
        references: Mapping[str, Reference],
        voice: str | None,
    ) -> None:
        self._server, self._served = server, served
        self._references, self._voice = references, voice
        self._speaker = Speaker()

    def turn(self, place: Place, session_id: str | None) -> Judged:
        """Ask one line of a session. What goes wrong is told in ``error``, since the other turns
        are worth asking all the same."""
        line = place.line
        judged = Judged(place)
        if self._served.hears(line.language):
            said = self._speaker.say(line.text, line.language)
            judged.asked, judged.question = "aloud", wav(said.samples, said.sample_rate_hz)
        try:
            answered = self._server.ask(
                question=judged.question or None,
                text=None if judged.question else line.text,
                session_id=session_id,
                voice=self._voice,
            )
            judged.turn, judged.video = answered.turn, answered.video
            self._judge(judged, answered)
        except AnswerError as error:
            judged.error = str(error)
        return judged

    def _judge(self, judged: Judged, answered: Answered) -> None:
        judged.figures |= timings_of(answered.turn["timings"])
        asked, spoken = judged.place.line.language, judged.spoken
        sees = not why_not("av_offset_ms", spoken, self._served)
        film = read_mp4(answered.video, with_frames=sees)
        speech = speech_of(film, answered.audio_s)
        self._tried(judged, asked, self._question, "question_error_rate")
        self._tried(judged, asked, self._reply_language, "reply_language_right")
        heard = partial(self._heard, speech=speech)
        self._tried(judged, spoken, heard, "reply_error_rate")
        detected = partial(self._speech_language, speech=speech)
        self._tried(judged, spoken, detected, "speech_language_right")
        speaker = partial(self._speaker_of, speech=speech)
        self._tried(judged, spoken, speaker, "speaker_similarity")
        pitch = partial(self._pitch, speech=speech)
        self._tried(judged, spoken, pitch, "f0_mean_hz", "f0_rmse_hz")
        lips = partial(self._lips, film=film)
        self._tried(judged, spoken, lips, "av_offset_ms", "lip_correlation")

    def _tried(
        self, judged: Judged, language: str, measure: Callable[[Judged], Figures], *metrics: str
    ) -> None:
        """Figures, or the reason why this profile or this turn has none."""
        reason = next((r for m in metrics if (r := why_not(m, language, self._served))), "")
        if not reason:
            try:
                judged.figures |= measure(judged)
                return
            except ValueError as error:
                reason = str(error)
        judged.missing |= dict.fromkeys(metrics, reason)

    def _question(self, judged: Judged) -> Figures:
        line = judged.place.line
        return {
            "question_error_rate": error_rate(line.text, judged.turn["user_text"], line.language)
        }

    def _reply_language(self, judged: Judged) -> Figures:
        judged.reply_language = language_of(judged.turn["response_text"]) or ""
        if not judged.reply_language:
            raise ValueError("the reply is too short to tell its language")
        is_right = judged.reply_language == judged.place.line.language
        return {"reply_language_right": float(is_right)}

    def _heard(self, judged: Judged, speech: AudioChunk) -> Figures:
        judged.reply_heard = self._server.transcribe(speech, judged.spoken).text
        rate = error_rate(judged.turn["response_text"], judged.reply_heard, judged.spoken)
        return {"reply_error_rate": rate}

    def _speech_language(self, judged: Judged, speech: AudioChunk) -> Figures:
        judged.speech_language = self._server.transcribe(speech, None).language
        is_right = judged.speech_language == judged.spoken
        return {"speech_language_right": float(is_right)}

    def _speaker_of(self, judged: Judged, speech: AudioChunk) -> Figures:
        known = self._reference(judged).embedded
        if known is None:
            raise ValueError("there is too little speech in the sample")
        return {"speaker_similarity": similarity(embedding(speech), known)}

    def _reference(self, judged: Judged) -> Reference:
        if judged.spoken not in self._references:
            raise ValueError(f"there is no sample of the voice in {judged.spoken}")
        return self._references[judged.spoken]

    def _pitch(self, judged: Judged, speech: AudioChunk) -> Figures:
        known = self._reference(judged).pitch
        if known is None:
            raise ValueError("the sample has no pitch")
        pitch = pitch_of(speech)
        judged.pitch_percentiles_hz = percentiles(pitch)
        return {"f0_mean_hz": pitch.mean_hz, "f0_rmse_hz": pitch.rmse_hz(known)}

    def _lips(self, _: Judged, film: Mp4) -> Figures:
        sync = lip_sync(film, self._served.avatar_id)
        return {"av_offset_ms": sync.av_offset_ms, "lip_correlation": sync.correlation}


def timings_of(timings: Mapping[str, Any]) -> Figures:
    """What the server says of its times, as far as it says it: a written question has no ASR."""
    return {
        metric.key: float(timings[metric.key])
        for metric in METRICS
        if metric.kind == "time" and timings.get(metric.key) is not None
    }


def speech_of(film: Mp4, audio_s: float) -> AudioChunk:
    """The reply without the silence in which the face comes to rest."""
    return AudioChunk(film.sound[: round(audio_s * film.sample_rate_hz)], film.sample_rate_hz)


def percentiles(pitch: Pitch) -> tuple[float, ...]:
    """5, 25, 50, 75 and 95 %, in Hz."""
    return tuple(float(hz) for hz in np.percentile(pitch.hz, _PERCENTILES))


def referenced(name: str, audio: AudioChunk, *, embeds: bool, pitches: bool) -> Reference:
    """A voice's sample with what can be measured of it."""
    return Reference(
        name,
        audio,
        _or_none(embedding, audio) if embeds else None,
        _or_none(pitch_of, audio) if pitches else None,
    )


def _or_none(measure: Callable[[AudioChunk], T], audio: AudioChunk) -> T | None:
    try:
        return measure(audio)
    except ValueError:
        return None
