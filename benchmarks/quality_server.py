"""The server whose quality is judged, as its clients see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.incoming import AnswerError
from benchmarks.speech import wav
from deployments.errors import ProtocolError
from deployments.types import AudioChunk
from web.media_in import decode

FAKE = "fake"
"""The name of every stage's fake engine, whose output has no quality that could be judged."""

_TIMEOUT = httpx.Timeout(180.0, connect=5.0)
_RATE_HZ = 24_000  # of decoded voices: what they are made at by the engines that clone
_MOST_S = 120.0
_STAGES = ("asr", "llm", "tts", "avatar")


@dataclass(frozen=True, slots=True)
class Served:
    """What the server says of itself; engines and languages by stage."""

    profile: str
    engines: Mapping[str, str]
    languages: Mapping[str, tuple[str, ...]]
    avatar_id: str

    def is_fake(self, stage: str) -> bool:
        return self.engines[stage] == FAKE

    def hears(self, language: str) -> bool:
        return language in self.languages["asr"]

    @property
    def detects_language(self) -> bool:
        """An engine that knows one language takes everything for it."""
        return len(self.languages["asr"]) > 1


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole turn, as the interface's JSON, and its video."""

    turn: Mapping[str, Any]
    video: bytes

    @property
    def audio_s(self) -> float:
        """How long the reply's speech lasts."""
        return float(self.turn["timings"]["audio_s"])


@dataclass(frozen=True, slots=True)
class Heard:
    """What the server's ASR makes of sound; both are empty where it hears nobody."""

    text: str
    language: str


class Evaluated:
    """One server over one connection."""

    def __init__(
        self, url: str, *, key: str = "", transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport
        )

    def __enter__(self) -> "Evaluated":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def served(self) -> Served:
        """Ask what it consists of.

        Raises:
            AnswerError: it is not ready.
        """
        health = self._checked(self._http.get("/health")).json()
        stages = {name: health["deployments"][name] for name in _STAGES}
        faces = self._checked(self._http.get("/api/v1/avatars")).json()
        return Served(
            profile=health["profile"],
            engines={name: stage["engine"] for name, stage in stages.items()},
            languages={n: tuple(stage.get("languages", ())) for n, stage in stages.items()},
            avatar_id=faces[0]["id"],
        )

    def ask(
        self,
        *,
        question: bytes | None = None,
        text: str | None = None,
        session_id: str | None = None,
        voice: str | None = None,
    ) -> Answered:
        """A turn, drawn as fast as the server can. No language is given: finding it is a part of
        what is judged.

        Raises:
            AnswerError: a problem instead of a turn, or no video of it.
        """
        fields = {"text": text, "session_id": session_id, "voice": voice}
        response = self._http.post(
            "/api/v1/conversation",
            headers={"Accept": "application/json"},
            files=None if question is None else {"audio": ("question.wav", question, "audio/wav")},
            data={name: value for name, value in fields.items() if value is not None},
        )
        turn: Mapping[str, Any] = self._checked(response).json()
        if turn["video_url"] is None:
            raise AnswerError("the server kept no video: its profile's retention_s must not be 0")
        return Answered(turn, self._checked(self._http.get(turn["video_url"])).content)

    def thumbnail(self, avatar_id: str) -> bytes:
        """The face at rest, a WebP picture.

        Raises:
            AnswerError: there is none.
        """
        return self._checked(self._http.get(f"/api/v1/avatars/{avatar_id}/thumbnail")).content

    def speak(self, text: str, language: str) -> AudioChunk:
        """A text in the default voice of its language.

        Raises:
            AnswerError: a problem instead of speech.
        """
        body = {"text": text, "language": language}
        said = self._checked(self._http.post("/api/v1/speak", json=body))
        return decoded(said.content)

    def transcribe(self, audio: AudioChunk, language: str | None) -> Heard:
        """What the server understands; without a language it is to find that too.

        Raises:
            AnswerError: a problem other than that nobody speaks.
        """
        response = self._http.post(
            "/api/v1/transcribe",
            files={"audio": ("reply.wav", wav(audio.samples, audio.sample_rate_hz), "audio/wav")},
            data={} if language is None else {"language": language},
        )
        if response.status_code == 422 and response.json().get("code") == "no_speech":
            return Heard("", "")
        heard = self._checked(response).json()
        return Heard(heard["text"], heard["language"])

    def clone(self, sample: bytes, name: str) -> str:
        """Have a voice copied of whose owner's consent the caller is sure; its id.

        Raises:
            AnswerError: the server refuses the sample, or cannot copy voices.
        """
        response = self._http.post(
            "/api/v1/voices",
            files={"audio": ("sample", sample, "application/octet-stream")},
            data={"name": name, "consent": "true"},
        )
        return str(self._checked(response).json()["id"])

    def forget(self, voice: str) -> None:
        """Erase a copied voice."""
        self._checked(self._http.delete(f"/api/v1/voices/{voice}"))

    @staticmethod
    def _checked(response: httpx.Response) -> httpx.Response:
        if response.is_error:
            raise AnswerError(f"{response.status_code}: {_detail(response)}")
        return response


def _detail(response: httpx.Response) -> str:
    """What the problem says to do; a proxy's answer is none of the server's."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:300]


def decoded(data: bytes) -> AudioChunk:
    """Any sound file as mono at 24 kHz.

    Raises:
        AnswerError: there is no sound in it, or more than two minutes.
    """
    try:
        return decode(data, _RATE_HZ, _MOST_S)
    except ProtocolError as error:
        raise AnswerError(str(error)) from error
