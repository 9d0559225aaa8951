"""How a server is asked and its answers are judged: against one that answers from a script."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.incoming import AnswerError
from benchmarks.quality_metrics import BY_KEY, METRICS, Missing, missing_of, why_not
from benchmarks.quality_scenarios import LANGUAGES, REFERENCES, SCENARIOS, Line, chosen
from benchmarks.quality_server import Evaluated, Heard, Served
from benchmarks.quality_text import language_of
from benchmarks.quality_turn import Judge, Judged, Place, Reference
from benchmarks.speech import wav
from deployments.types import AudioChunk
from tests.unit.test_mux import a_reply

REPLY = a_reply(33)
AUDIO_S = 1.0
ENGLISH = Line("en", "What can you tell me about the sea?")
CHINESE = Line("zh", "你能说说大海吗？")
SILENT = Reference("nobody", AudioChunk(np.zeros(8, np.float32), 8_000), None, None)


class Scripted:
    """A server whose ASR knows English, or all three; it remembers what it was asked."""

    def __init__(self, *, ears: tuple[str, ...] = ("en",), **engines: str) -> None:
        self.engines = {"asr": "small", "llm": "large", "tts": "voice", "avatar": "face", **engines}
        self.ears, self.asked = ears, list[httpx.Request]()
        self.turn: dict[str, Any] = {
            "turn_id": "turn-0001",
            "session_id": "session-0001",
            "user_text": "What can you tell me about the see?",
            "response_text": "The sea is wide and deep.",
            "language": "en",
            "video_url": "/api/v1/turns/turn-0001/video",
            "timings": {"asr_ms": 110.0, "ttff_ms": 250.0, "rtf": 0.4, "audio_s": AUDIO_S,
                        "llm_ms": None, "ladder": []},
        }  # fmt: skip
        self.heard = httpx.Response(200, json={"text": "the sea is white and deep",
                                               "language": "en"})  # fmt: skip

    def client(self) -> Evaluated:
        return Evaluated("http://server", key="k", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        match request.method, request.url.path:
            case "GET", "/health":
                return httpx.Response(200, json=self._health())
            case "GET", "/api/v1/avatars":
                return httpx.Response(200, json=[{"id": "mira"}])
            case "POST", "/api/v1/conversation":
                return httpx.Response(200, json=self.turn)
            case "GET", "/api/v1/turns/turn-0001/video":
                return httpx.Response(200, content=REPLY)
            case "POST", "/api/v1/transcribe":
                return self.heard
            case "POST", "/api/v1/voices":
                return httpx.Response(201, json={"id": "voice-0001"})
            case "DELETE", "/api/v1/voices/voice-0001":
                return httpx.Response(204)
        return httpx.Response(404, json={"code": "not_found", "detail": "no such path"})

    def _health(self) -> dict[str, Any]:
        languages = {"asr": self.ears, "llm": LANGUAGES, "tts": LANGUAGES, "avatar": ()}
        stages = {
            name: {"status": "ready", "engine": engine, "languages": languages[name]}
            for name, engine in self.engines.items()
        }
        return {"status": "ready", "profile": "scripted", "deployments": stages}


def served(ears: tuple[str, ...] = ("en",), **engines: str) -> Served:
    with Scripted(ears=ears, **engines).client() as server:
        return server.served()


def judged(script: Scripted, line: Line = ENGLISH, session: str | None = None) -> Judged:
    with script.client() as server:
        judge = Judge(server, server.served(), dict.fromkeys(LANGUAGES, SILENT), None)
        return judge.turn(Place("test", 1, line), session)


def form(script: Scripted) -> str:
    (asked,) = [r for r in script.asked if r.url.path == "/api/v1/conversation"]
    return asked.content.decode("utf-8", "replace")


# What is asked.


def test_every_language_is_asked_short_medium_and_long_and_languages_change_in_three_ways() -> None:
    singles = {f"{lang}-{length}" for lang in LANGUAGES for length in ("short", "medium", "long")}
    changes = {"en-zh": ["en", "zh"], "en-es": ["en", "es"], "en-zh-es": ["en", "zh", "es"]}
    assert {s.name for s in SCENARIOS if len(s.lines) == 1} == singles
    assert {s.name: [line.language for line in s.lines] for s in SCENARIOS
            if len(s.lines) > 1} == changes  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: str(s.name))
def test_the_questions_are_in_the_language_they_say(scenario: Any) -> None:
    assert [language_of(line.text) for line in scenario.lines] == [
        line.language for line in scenario.lines
    ]
    assert not any(character.isdigit() for line in scenario.lines for character in line.text)


def test_the_samples_texts_are_in_their_languages() -> None:
    assert {language_of(text) for text in REFERENCES.values()} == set(LANGUAGES)


def test_scenarios_are_chosen_by_name_and_by_language() -> None:
    assert [s.name for s in chosen(["en-zh", "en-short"], LANGUAGES)] == ["en-short", "en-zh"]
    assert {s.name for s in chosen([], ["en"])} == {"en-short", "en-medium", "en-long"}
    with pytest.raises(ValueError, match="en alone"):
        chosen(["en-zh"], ["en"])
    with pytest.raises(ValueError, match="no scenario de-short"):
        chosen(["de-short"], LANGUAGES)


# What a profile cannot give.


def test_a_server_says_what_it_consists_of() -> None:
    assert served() == Served(
        profile="scripted",
        engines={"asr": "small", "llm": "large", "tts": "voice", "avatar": "face"},
        languages={"asr": ("en",), "llm": LANGUAGES, "tts": LANGUAGES, "avatar": ()},
        avatar_id="mira",
    )


def test_what_the_ears_lack_is_named_with_its_languages() -> None:
    missing = {m.metric: m for m in missing_of(served(), LANGUAGES)}
    reason = "its ASR (small) knows en; questions are asked in writing"
    assert missing["reply_error_rate"] == Missing("reply_error_rate", ("zh", "es"), reason)
    assert missing["speech_language_right"].languages == ("en", "zh", "es")
    assert "reply_language_right" not in missing


def test_ears_for_all_languages_lack_nothing() -> None:
    metrics = {m.metric for m in missing_of(served(LANGUAGES), LANGUAGES)}
    assert metrics & {"question_error_rate", "reply_error_rate", "speech_language_right"} == set()


@pytest.mark.parametrize(
    ("stage", "metrics"),
    [
        ("asr", {"question_error_rate", "reply_error_rate", "speech_language_right"}),
        ("llm", {"reply_language_right"}),
        ("tts", {"reply_error_rate", "speech_language_right", "speaker_similarity", "f0_mean_hz",
                 "f0_rmse_hz", "av_offset_ms", "lip_correlation"}),
        ("avatar", {"av_offset_ms", "lip_correlation"}),
    ],
)  # fmt: skip
def test_nobody_judges_what_a_fake_says_or_shows(stage: str, metrics: set[str]) -> None:
    facts = served(LANGUAGES, **{stage: "fake"})
    fakes = {m.key for m in METRICS if why_not(m.key, "en", facts) == f"fake engine: {stage}"}
    assert fakes == metrics


def test_times_are_given_by_every_profile() -> None:
    fakes = served(LANGUAGES, asr="fake", llm="fake", tts="fake", avatar="fake")
    times = [metric.key for metric in METRICS if metric.kind == "time"]
    assert [why_not(key, "en", fakes) for key in times] == [""] * len(times)


# What is said back.


def test_a_question_is_spoken_where_it_can_be_heard_and_no_language_is_told() -> None:
    script = Scripted()
    turn = judged(script)
    assert turn.asked == "aloud"
    assert turn.question[:4] == b"RIFF"
    assert 'name="audio"' in form(script)
    assert 'name="language"' not in form(script)
    assert script.asked[0].headers["Authorization"] == "Bearer k"


def test_a_question_is_written_where_it_could_not_be_heard_and_goes_on_with_the_session() -> None:
    script = Scripted()
    turn = judged(script, CHINESE, "session-0001")
    assert turn.asked == "in writing"
    fields = dict(pair.split("=") for pair in form(script).split("&"))
    assert fields.keys() == {"text", "session_id"}
    assert fields["session_id"] == "session-0001"


def test_words_and_languages_are_judged() -> None:
    figures = judged(Scripted(ears=LANGUAGES)).figures
    assert figures["question_error_rate"] == pytest.approx(1 / 8)  # "see" for "sea"
    assert figures["reply_error_rate"] == pytest.approx(1 / 6)  # "white" for "wide"
    assert figures["reply_language_right"] == 1.0
    assert figures["speech_language_right"] == 1.0


def test_a_reply_in_another_language_is_wrong_and_judged_as_what_it_is() -> None:
    script = Scripted(ears=LANGUAGES)
    turn = judged(script, CHINESE)
    assert (turn.spoken, turn.reply_language) == ("en", "en")
    assert turn.figures["reply_language_right"] == 0.0
    assert turn.figures["reply_error_rate"] == pytest.approx(1 / 6)


def test_the_servers_times_are_taken_as_far_as_it_has_them() -> None:
    figures = judged(Scripted()).figures
    assert {k: figures[k] for k in figures if BY_KEY[k].kind == "time"} == {
        "asr_ms": 110.0, "ttff_ms": 250.0, "rtf": 0.4,
    }  # fmt: skip


def test_what_a_turn_cannot_give_has_its_reason() -> None:
    turn = judged(Scripted())
    assert turn.missing["lip_correlation"] == "the lips never change"  # the video is a grey wall
    assert turn.missing["speech_language_right"].startswith("its ASR (small) knows one language")


def test_a_reply_that_nobody_can_hear_is_wholly_misheard() -> None:
    script = Scripted()
    script.heard = httpx.Response(422, json={"code": "no_speech", "detail": "nobody speaks"})
    assert judged(script).figures["reply_error_rate"] == 1.0


def test_a_refused_turn_is_told_and_does_not_end_the_run() -> None:
    script = Scripted()
    script.turn = {**script.turn, "video_url": None}
    turn = judged(script)
    assert "retention_s" in turn.error
    assert "error" in json.dumps(turn.json())


def test_a_turn_without_language_or_words_is_still_a_turn_in_json() -> None:
    body: Mapping[str, Any] = judged(Scripted()).json()
    assert body["turn"]["response_text"] == "The sea is wide and deep."
    assert body["figures"]["reply_error_rate"] == pytest.approx(1 / 6, abs=1e-4)
    assert "video" not in body
    json.dumps(body)


# Voices.


def test_a_voice_is_copied_with_consent_and_forgotten() -> None:
    script = Scripted()
    with script.client() as server:
        voice = server.clone(b"sound", "somebody")
        server.forget(voice)
    added, erased = script.asked
    assert b'name="consent"\r\n\r\ntrue' in added.content
    assert erased.url.path == "/api/v1/voices/voice-0001"


def test_a_server_that_refuses_is_an_error_with_its_words() -> None:
    with Scripted().client() as server, pytest.raises(AnswerError, match="404: no such path"):
        server.speak("Hello.", "en")


def test_an_answer_that_is_no_problem_object_is_told_as_it_is() -> None:
    proxy = httpx.MockTransport(lambda _: httpx.Response(502, text="Bad gateway"))
    with Evaluated("http://server", transport=proxy) as server, pytest.raises(AnswerError) as told:
        server.served()
    assert str(told.value) == "502: Bad gateway"


def test_what_is_heard_comes_with_its_language() -> None:
    with Scripted().client() as server:
        sound = AudioChunk(np.zeros(800, np.float32), 8_000)
        assert server.transcribe(sound, None) == Heard("the sea is white and deep", "en")


def test_sound_is_uploaded_as_a_wav_file() -> None:
    script = Scripted()
    sound = AudioChunk(np.zeros(800, np.float32), 8_000)
    with script.client() as server:
        server.transcribe(sound, "en")
    assert wav(sound.samples, sound.sample_rate_hz) in script.asked[0].content
