"""The profile `cpu` as its users meet it: fetched by `make models`, served, asked aloud.

Whisper is the tiny one, so the words it hears are noise; the language model is a server on loopback
that answers in the language it is told to. All else is real.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from deployments.registry import load_engine
from deployments.types import ReplySentence
from tests.fake_hub import FakeHub, Repo
from tests.fake_hub import serving as serving_hub
from tests.media import read_mp4
from tests.serve.test_embedded import FPS, TAIL, wav, words
from tests.serving import ROOT, Server, launch, running, until
from tests.tiny_models.fake_llm_server import TEXTS, FakeLlmServer
from tests.tiny_models.fake_llm_server import serving as serving_llm

QUESTIONS = {
    "zh": "你好，请问今天天气怎么样？",
    "es": "Hola, ¿qué tiempo hace hoy en la ciudad?",
}
REPLIES = {"zh": TEXTS["Chinese"], "es": TEXTS["Spanish"]}


def as_published(tiny: Path) -> dict[str, bytes]:
    """The tiny model's files under the names of Systran/faster-whisper-small, whose vocabulary is a
    text of one token a line."""
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    tokens: list[str] = json.loads(files.pop("vocabulary.json"))
    return {**files, "vocabulary.txt": "".join(f"{token}\n" for token in tokens).encode()}


@pytest.fixture(scope="module")
def models_dir(tiny_whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Filled by the command that a person types, from a hub on loopback."""
    folder = tmp_path_factory.mktemp("models")
    repo = Repo(as_published(tiny_whisper))
    with serving_hub(FakeHub({"Systran/faster-whisper-small": repo})) as hub:
        told = {"PROFILE": "cpu", "MODELS_DIR": str(folder), "HF_ENDPOINT": hub.address}
        inherited = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
        fetched = subprocess.run(
            [sys.executable, "-m", "graph.models"],
            cwd=ROOT,
            env={**inherited, **told},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (fetched.returncode, fetched.stderr.count("error")) == (0, 0), fetched.stderr
    return folder


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cluster/cpu.yaml; what random weights write is believed, since they are sure of nothing."""
    config = yaml.safe_load((ROOT / "cluster" / "cpu.yaml").read_text())
    config["applications"][0]["args"]["asr"]["options"].update(
        judgement={"log_prob": -100.0, "compression_ratio": 100.0}, temperatures=[0.0], n_threads=1
    )
    path = tmp_path_factory.mktemp("profile") / "cpu.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def served(profile: Path, models_dir: Path, llm: Mapping[str, str]) -> Iterator[Server]:
    """The profile with these variables for its language models, and no others."""
    names = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL")
    settings = {**dict.fromkeys(names, ""), **llm, "MODELS_DIR": str(models_dir)}
    with running(profile, **settings) as server:
        yield server


def spoken(text: str, language: str) -> bytes:
    """A recording of espeak's voice."""
    voice = load_engine("tts", "espeak", {})
    blocks = [block.audio for block in voice.speak(ReplySentence(0, text, True), language, None)]
    return wav(np.concatenate([b.samples for b in blocks]), blocks[0].sample_rate_hz)


def ask(server: Server, language: str) -> dict[str, Any]:
    answer = httpx.post(
        f"{server.url}/api/v1/conversation",
        files={"audio": ("question.wav", spoken(QUESTIONS[language], language))},
        data={"language": language},
        headers={"Accept": "application/json"},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def check_video(server: Server, body: Mapping[str, Any]) -> None:
    """It is decoded whole, as long as what is said and the face's way back to rest."""
    video = read_mp4(httpx.get(server.url + body["video_url"], timeout=60).content)
    n_frames = math.ceil(round(body["timings"]["audio_s"] * FPS, 3)) + TAIL
    assert video.codecs == ("h264", "aac")
    assert video.frame_times_s == pytest.approx([i / FPS for i in range(n_frames)])
    assert body["timings"]["audio_s"] > 1


def health_of(server: Server) -> dict[str, Any]:
    body: dict[str, Any] = httpx.get(f"{server.url}/health", timeout=30).json()
    return body


def test_spoken_chinese_and_spanish_are_answered_in_kind_by_a_language_model(
    profile: Path, models_dir: Path
) -> None:
    with serving_llm(FakeLlmServer()) as llm:
        told = {"GEMINI_API_KEY": "right", "GOOGLE_GEMINI_BASE_URL": llm.url}
        with served(profile, models_dir, told) as server:
            for language, reply in REPLIES.items():
                body = ask(server, language)
                engines = {"asr": "faster_whisper", "llm": "gemini", "tts": "espeak"}
                assert body["engines"] == {**engines, "avatar": "warp2d"}
                assert body["language"] == language
                assert body["user_text"]  # noise words
                assert words(body["response_text"]) == words(reply)
                assert llm.last.dialogue[-1] == ("user", body["user_text"])
                check_video(server, body)


def test_without_any_key_the_rules_answer_and_health_says_what_is_missing(
    profile: Path, models_dir: Path
) -> None:
    with served(profile, models_dir, {}) as server:
        body = ask(server, "es")
        assert body["engines"]["llm"] == "rules"
        assert body["language"] == "es"
        check_video(server, body)
        until(lambda: health_of(server)["status"] == "degraded", "health never was degraded")
        detail = health_of(server)["deployments"]["llm"]["detail"]
        assert "gemini has no API key: set GEMINI_API_KEY" in detail


def test_without_its_weights_nothing_starts_and_the_command_is_named(tmp_path: Path) -> None:
    process = launch(PROFILE="cpu", MODELS_DIR=str(tmp_path))
    said, _ = process.communicate(timeout=60)
    folder = tmp_path / "faster-whisper-small"
    assert process.returncode == 2
    assert said == (
        f"error: the model faster-whisper-small: {folder}/config.json is missing; "
        "run: make models PROFILE=cpu\n"
    )
