"""Ditto behind real Serve, with tiny weights: the picture is noise; motion, counts of frames, sync
and failing over are real."""

import math
import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from benchmarks.chaos_faults import Site
from deployments.avatar.ditto.controls import CONTROLS
from graph.idle import LOOP_S
from tests.media import boxes, read_mp4
from tests.serve.test_chaos import FPS, TAIL, People, painters, site_of
from tests.serve.test_embedded import wav
from tests.serving import ROOT, running
from tests.sounds import RATE_HZ, talk
from tests.tiny_models.made import made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A model that says what it hears, and two replicas that draw."""
    folder = tmp_path_factory.mktemp("ditto")
    model = made("make_tiny_ditto", folder / "model", "--depth", "1")
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    arguments = config["applications"][0]["args"]
    arguments["llm"]["options"] = {"rule": "echo"}
    options = {"model": str(model), "n_threads": 1, "width_px": 256, "height_px": 384}
    arguments["avatar"].update(engine="ditto", options=options, first_output_timeout_s=30)
    # Both are to be drawn at once, and nothing is to stand in for what was drawn, though two cores
    # may be too slow for it.
    arguments["admission"] = {"slack_s": 60.0, "start_window_s": 10.0}
    arguments["turn"] = {"ladder": {"grace_s": 60.0, "start_patience_s": 60.0}}
    profile: Path = folder / "ditto.yaml"
    profile.write_text(yaml.safe_dump(config))
    with running(profile) as server:
        yield from site_of(server, folder)


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{site.url}/api/v1/", timeout=60) as client:
        yield client


def check_whole(answer: httpx.Response, n_frames: int) -> None:
    """All frames in their places, and sound as long as they are."""
    assert answer.status_code == 200, answer.text
    assert boxes(answer.content)[-1] == "mfra"
    video = read_mp4(answer.content)
    assert video.frame_times_s == pytest.approx([i / FPS for i in range(n_frames)])
    assert video.audio_end_s == pytest.approx(video.video_end_s, abs=0.001)


def pictures(video: bytes) -> list[NDArray[np.int16]]:
    """Grey levels."""
    with av.open(BytesIO(video), "r") as file:
        return [np.asarray(f.to_ndarray(format="gray"), np.int16) for f in file.decode(video=0)]


def distance(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    return float(np.abs(one - other).mean())


def moves(film: list[NDArray[np.int16]]) -> float:
    """How far its pictures are from the first, at most."""
    return max(distance(one, film[0]) for one in film)


def test_two_who_are_answered_at_once_lose_nothing_when_a_painter_is_killed(site: Site) -> None:
    before = painters(site)
    people = People(site.url, n_people=2)
    struck = site.striker.strike(before, signal.SIGKILL, patience_s=20, at_least=1)
    people.check_answers()
    assert struck.n_in_flight >= 1
    site.dashboard.wait_for_replicas("avatar", 2, without={struck.pid})


@pytest.mark.parametrize("n_samples", [320, 640, 960, 16_320])
def test_sound_of_any_length_is_animated_to_exactly_its_frames(
    client: httpx.Client, n_samples: int
) -> None:
    sound = wav(talk(2.0)[RATE_HZ // 2 :][:n_samples], RATE_HZ)
    answer = client.post("animate", files={"audio": ("a.wav", sound)})
    check_whole(answer, math.ceil(n_samples * FPS / RATE_HZ) + TAIL)


def test_a_text_is_spoken_with_the_controls_that_are_offered(client: httpx.Client) -> None:
    faces: list[dict[str, Any]] = client.get("avatars").json()
    offered = {control["name"]: control for control in faces[0]["controls"]}
    assert offered.keys() == {control.name for control in CONTROLS}
    still = dict.fromkeys(("expression", "head_motion", "blink_rate", "fade_in_s"), 0.0)
    films = [
        client.post("generate", json={"text": "Good morning.", "controls": controls}).content
        for controls in ({}, still, still | {"head_yaw_deg": 20.0})
    ]
    plain, frozen, turned = (pictures(film)[:-TAIL] for film in films)
    assert len(plain) == len(frozen) == len(turned) > FPS / 2
    assert moves(frozen) < 0.2 * moves(plain)
    assert moves(turned) < 0.2 * moves(plain)
    assert distance(frozen[5], turned[5]) > 0.5 * moves(plain)
    wrong = client.post("generate", json={"text": "Hi.", "controls": {"gaze_x": 2.0}})
    assert wrong.json()["code"] == "invalid_value"


def test_the_silent_face_is_a_loop_that_moves_and_comes_to_rest_and_is_drawn_once(
    client: httpx.Client, site: Site
) -> None:
    face: dict[str, Any] = client.get("avatars").json()[0]
    url = site.url + face["idle_url"]
    loop = client.get(url).content
    first, *between, last = pictures(loop)
    assert len(between) + 2 == round(LOOP_S * FPS)
    assert distance(first, last) < 0.5 * max(distance(one, last) for one in between)
    assert client.get(url).content == loop
