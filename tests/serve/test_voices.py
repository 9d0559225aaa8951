"""A voice of one's own behind real Serve: two processes answer, two speak, none remembers it."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
import yaml

from tests.media import read_mp4
from tests.serving import ROOT, Server, running
from tests.unit.test_web_turns import events_of
from tests.web_fakes import in_file, murmur

PITCH_HZ = 330
TEXT = "These are words enough to hear a pitch."
TWO = {"min_replicas": 2, "max_replicas": 2, "target_ongoing_requests": 4}
N_TIMES = 6  # so often one of two that are chosen at random is hardly ever left out


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    (application,) = config["applications"]
    application["args"]["tts"]["options"] = {"voice_format": "hum-1"}
    for deployment in application["deployments"]:
        if deployment["name"] in ("ingress", "tts"):
            deployment["autoscaling_config"] = TWO
    path: Path = tmp_path_factory.mktemp("profile") / "cloning.yaml"
    path.write_text(yaml.safe_dump(config))
    with running(path) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/api/v1/", timeout=60) as client:
        yield client


def add(client: httpx.Client, sample: bytes) -> httpx.Response:
    form = {"name": "Ana", "consent": "true"}
    return client.post("voices", files={"audio": ("a", sample)}, data=form)


def speak(client: httpx.Client, voice: str) -> httpx.Response:
    return client.post("speak", json={"text": TEXT, "language": "en", "voice": voice})


def pitch_hz(sound: bytes) -> int:
    """The loudest tone in a file."""
    with av.open(io.BytesIO(sound), "r") as file:
        (stream,) = file.streams.audio
        blocks = [frame.to_ndarray().reshape(-1) for frame in file.decode(stream)]
        samples = np.concatenate(blocks).astype(np.float64)
        loudest = int(np.argmax(np.abs(np.fft.rfft(samples))[1:])) + 1
        return round(loudest * stream.rate / len(samples))


def test_an_uploaded_voice_speaks_in_every_answer_until_it_is_deleted(
    client: httpx.Client, server: Server
) -> None:
    health = httpx.get(f"{server.url}/health", timeout=30).json()
    answer = add(client, in_file(murmur(pitch_hz=PITCH_HZ), "webm"))
    voice: dict[str, Any] = answer.json()
    turn = {"text": "Hello.", "voice": voice["id"]}

    assert health["deployments"]["tts"]["engine"] == "fake"
    assert (answer.status_code, voice["name"], voice["cloned"]) == (201, "Ana", True)
    for _ in range(N_TIMES):
        assert client.get("voices").json()[-1] == voice
        assert pitch_hz(speak(client, voice["id"]).content) == pytest.approx(PITCH_HZ, abs=3)
    assert pitch_hz(speak(client, "hum").content) == pytest.approx(220, abs=3)
    narrated = client.post("generate", json={**turn, "text": TEXT, "language": "en"})
    answered = client.post("conversation", data=turn)
    streamed = client.post("conversation/stream", data=turn)
    assert pitch_hz(narrated.content) == pytest.approx(PITCH_HZ, abs=3)
    assert pitch_hz(answered.content) == pytest.approx(PITCH_HZ, abs=3)
    assert read_mp4(answered.content).frame_times_s
    assert events_of(streamed)[-1][0] == "done"

    assert client.delete(f"voices/{voice['id']}").status_code == 204
    for _ in range(N_TIMES):
        assert speak(client, voice["id"]).status_code == 404
        assert voice not in client.get("voices").json()


def test_what_the_engine_or_the_checks_refuse_is_told_by_its_code(client: httpx.Client) -> None:
    before = client.get("voices").json()
    refused = [add(client, in_file(murmur(seconds))) for seconds in (3.0, 40.0)]
    silent = add(client, in_file(murmur(loudness=0.0)))

    assert [answer.json()["code"] for answer in (*refused, silent)] == [
        "too_short", "too_long", "invalid_value"
    ]  # fmt: skip
    assert client.get("voices").json() == before
