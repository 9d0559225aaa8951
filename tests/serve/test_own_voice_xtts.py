"""A voice of one's own with the real XTTS on random weights: uploaded, cloned, spoken, on video.

What it says is noise, but the way is the real one: the engine's package, the licence, the latents
that travel with the call, the lips on what was spoken.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.contracts.test_tts import tiny_xtts_options
from tests.media import read_mp4
from tests.serve.test_embedded import FPS, TAIL, wav
from tests.serving import ROOT, Server, running
from tests.sounds import RATE_HZ, talk


@pytest.fixture(scope="module")
def server(tiny_xtts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """cluster/embedded.yaml with that voice, once: two would load torch at the same time."""
    config = yaml.safe_load((ROOT / "cluster" / "embedded.yaml").read_text())
    (application,) = config["applications"]
    application["args"]["asr"] = {"engine": "fake"}
    application["args"]["tts"] = {
        "engine": "xtts", "options": tiny_xtts_options(tiny_xtts), "first_output_timeout_s": 60,
    }  # fmt: skip
    for deployment in application["deployments"]:
        if deployment["name"] == "tts":
            deployment["autoscaling_config"].update(min_replicas=1, max_replicas=1)
    path: Path = tmp_path_factory.mktemp("profile") / "xtts.yaml"
    path.write_text(yaml.safe_dump(config))
    with running(path) as server:
        yield server


def test_a_sample_becomes_a_voice_that_answers_on_video(server: Server) -> None:
    with httpx.Client(base_url=f"{server.url}/api/v1/", timeout=120) as client:
        sample = wav(talk(8.0), RATE_HZ)
        form = {"name": "Margaret", "consent": "true"}
        added = client.post("voices", files={"audio": ("sample.wav", sample)}, data=form)
        assert added.status_code == 201, added.text
        voice: dict[str, Any] = added.json()
        assert voice["cloned"] is True
        asked = {"text": "What time is it?", "voice": voice["id"]}
        answer = client.post("conversation", data=asked, headers={"Accept": "application/json"})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["engines"]["tts"] == "xtts"
        video = read_mp4(client.get(server.url + body["video_url"]).content)
        n_frames = math.ceil(round(body["timings"]["audio_s"] * FPS, 3)) + TAIL
        assert video.codecs == ("h264", "aac")
        assert video.frame_times_s == pytest.approx([i / FPS for i in range(n_frames)])
