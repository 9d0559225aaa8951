"""Stages that raise and hang, behind real Serve: repeated, replaced, or a clear error."""

import io
import json
import os
import signal
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from tests.media import boxes, read_mp4
from tests.serving import ROOT, Server, running, wait_for_replicas

ARGS: dict[str, Any] = {
    "asr": {"engine": "fake", "options": {"fail_on_call": 1}},
    "llm": {
        "engine": "fake",
        "options": {
            "text": "First sentence. Second sentence. Third sentence.",
            "fail_on_call": 3,
            "fail_after_deltas": 5,
            "cost": {"per_media_s": 0.4},
        },
    },
    # Hangs in the second turn's first sentence; after that only a new replica can help.
    "tts": {
        "engine": "fake",
        "options": {"hang_on_call": 4, "letter_s": 0.2, "cost": {"per_media_s": 1.33}},
        "first_output_timeout_s": 1.0,
        "stall_timeout_s": 1.0,
        "hang_timeout_s": 3.0,
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    (application,) = config["applications"]
    application["args"].update(ARGS)
    for deployment in application["deployments"]:
        if deployment["name"] == "tts":
            deployment["health_check_period_s"] = 1
    path: Path = tmp_path_factory.mktemp("profile") / "faulty.yaml"
    path.write_text(yaml.safe_dump(config))
    with running(path) as server:
        yield server


def ask(server: Server, **form: Any) -> httpx.Response:
    files = {"audio": ("a", form.pop("audio"))} if "audio" in form else None
    return httpx.post(
        f"{server.url}/api/v1/conversation",
        data=form,
        files=files,
        headers={"Accept": "application/json"},
        timeout=60,
    )


def spoken() -> bytes:
    buffer = io.BytesIO()
    t = np.arange(32_000) / 16_000
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.sin(2 * np.pi * 150 * t) * 20_000).astype("<i2").tobytes())
    return buffer.getvalue()


def test_a_hung_stage_is_an_error_in_time_and_its_replica_is_replaced(server: Server) -> None:
    whole = ask(server, text="hello")
    assert whole.json()["response_text"] == "First sentence. Second sentence. Third sentence."

    (old_pid,) = wait_for_replicas(server, "tts", 1)
    began = time.monotonic()
    failed = ask(server, text="hello")
    assert (failed.status_code, failed.json()["code"]) == (503, "engine_failed")
    assert time.monotonic() - began < 8  # two deadlines of a second, on a busy machine

    until = time.monotonic() + 60
    while old_pid in (pids := server.replicas("tts")) or not pids:
        assert time.monotonic() < until, "the hung replica was never replaced"
        time.sleep(0.2)

    # The third reply's model is lost in its third sentence.
    shortened = ask(server, text="hello").json()
    assert shortened["is_shortened"]
    assert shortened["response_text"] == "First sentence. Second sentence."
    video = httpx.get(f"{server.url}{shortened['video_url']}", timeout=30).content
    assert boxes(video)[-1] == "mfra"
    assert len(read_mp4(video).frame_times_s) > 25


def test_a_recogniser_that_raises_once_is_asked_again(server: Server) -> None:
    answer = httpx.post(
        f"{server.url}/api/v1/transcribe", files={"audio": ("a", spoken())}, timeout=30
    )
    assert answer.status_code == 200
    assert answer.json()["text"]


NOTHING: tuple[str, dict[str, Any]] = ("", {})


def events(server: Server, **form: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    url = f"{server.url}/api/v1/conversation/stream"
    with httpx.stream("POST", url, data=form, timeout=60) as answer:
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_a_model_killed_in_mid_reply_shortens_it_and_says_so(server: Server) -> None:
    (voice,) = wait_for_replicas(server, "tts", 1)
    os.kill(voice, signal.SIGKILL)  # the next one has not come near the call in which it hangs
    server.dashboard.wait_for_replicas("tts", 1, without=[voice])
    (pid,) = wait_for_replicas(server, "llm", 1)
    n_deltas, last = 0, NOTHING
    for last in events(server, text="hello"):
        n_deltas += last[0] == "reply"
        if last[0] == "reply" and n_deltas == 1:  # "First sentence. Second": it was held till then
            os.kill(pid, signal.SIGKILL)
    assert last[0] == "done"
    assert last[1]["is_shortened"]
    wait_for_replicas(server, "llm", 1)


def test_a_voice_killed_while_it_speaks_ends_the_stream_with_an_error(server: Server) -> None:
    (pid,) = wait_for_replicas(server, "tts", 1)
    seen, last = [], NOTHING
    for last in events(server, text="hello"):
        if last[0] == "video" and "video" not in seen:
            os.kill(pid, signal.SIGKILL)
        seen.append(last[0])
    # The only replica is gone for longer than two deadlines of a second.
    assert "video" in seen
    assert last[0] == "error"
    assert (last[1]["status"], last[1]["code"]) == (503, "engine_failed")
    wait_for_replicas(server, "tts", 1)
