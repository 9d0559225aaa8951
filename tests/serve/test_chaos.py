"""Replicas that die, hang or are replaced while several people are being answered: nobody's answer
is lost. Each test shows that stretches were in flight on what it struck."""

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml

from benchmarks.chaos_faults import STAGES, Site, redeploy
from benchmarks.chaos_striker import Striker, Target, gcs_address_of
from benchmarks.speech import wav
from tests.media import boxes, read_mp4
from tests.serving import ROOT, Server, n_cancelled, running

FPS, TAIL = 25, 8
TEXT = "This is a reply that takes some time to say. And it has a second sentence, too."


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Fakes that say what they hear and draw slowly, and two replicas that draw."""
    folder = tmp_path_factory.mktemp("chaos")
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    (application,) = config["applications"]
    application["args"]["llm"]["options"] = {"rule": "echo"}
    application["args"]["avatar"].update(
        options={"cost": {"frames_per_s": {1: 100, 8: 100}}},
        hedge_after_s=0.5,
        first_output_timeout_s=30,
    )
    profile: Path = folder / "slow.yaml"
    profile.write_text(yaml.safe_dump(config))
    with running(profile) as server:
        yield from site_of(server, folder)


def site_of(server: Server, folder: Path) -> Iterator[Site]:
    """The server with two that draw, and what strikes them; ``folder`` is a private one."""
    (ingress, *_) = server.dashboard.wait_for_replicas("ingress", 1)
    server.dashboard.wait_for_replicas("avatar", 2)
    address = gcs_address_of(ingress.pid)
    with Striker(address, server.dashboard.token, folder) as striker:
        yield Site(server.url, server.dashboard, striker)


class People:
    """Several who ask at the same time and watch what they get."""

    def __init__(self, url: str, n_people: int = 4) -> None:
        self._url = url
        self._answers: list[httpx.Response] = []
        self._asking = [threading.Thread(target=self._ask) for _ in range(n_people)]
        for one in self._asking:
            one.start()

    def _ask(self) -> None:
        url, form = f"{self._url}/api/v1/conversation", {"text": TEXT}
        self._answers.append(httpx.post(url, data=form, timeout=60))

    def check_answers(self) -> None:
        """Everybody got all of it."""
        for one in self._asking:
            one.join()
        assert len(self._answers) == len(self._asking)
        for answer in self._answers:
            assert answer.status_code == 200, answer.text
            video, turn_id = answer.content, answer.headers["x-turn-id"]
            turn = httpx.get(f"{self._url}/api/v1/turns/{turn_id}", timeout=30).json()
            n_frames = math.ceil(round(turn["timings"]["audio_s"] * FPS, 3)) + TAIL
            assert turn["response_text"] == TEXT
            assert "is_shortened" not in turn
            assert boxes(video)[-1] == "mfra"
            assert read_mp4(video).frame_times_s == pytest.approx(
                [i / FPS for i in range(n_frames)]
            )


def painters(site: Site) -> list[Target]:
    return [Target.of(replica) for replica in site.dashboard.wait_for_replicas("avatar", 2)]


def test_a_killed_painter_costs_nobody_a_frame(site: Site) -> None:
    before = painters(site)
    people = People(site.url)
    struck = site.striker.strike(before, signal.SIGKILL, patience_s=20, at_least=2)
    people.check_answers()
    assert struck.n_in_flight >= 2
    after = site.dashboard.wait_for_replicas("avatar", 2, without={struck.pid})
    assert len({replica.pid for replica in after} & {target.pid for target in before}) == 1


def test_a_painter_that_stops_and_says_nothing_costs_nobody_a_frame(site: Site) -> None:
    before = painters(site)
    people = People(site.url)
    struck = site.striker.strike(before, signal.SIGSTOP, patience_s=20, at_least=2)
    try:
        people.check_answers()
    finally:
        os.kill(struck.pid, signal.SIGCONT)
    assert struck.n_in_flight >= 2


def test_a_new_version_waits_for_the_answers_in_progress(site: Site) -> None:
    before = {name: set(site.dashboard.replicas(name)) for name in (*STAGES, "ingress")}
    people = People(site.url)
    strike = redeploy(site)
    assert strike.n_in_flight > 0
    assert strike.back_after_s is not None, strike.note
    people.check_answers()
    for name, old in before.items():
        assert not old & set(site.dashboard.replicas(name))
    answer = httpx.post(f"{site.url}/api/v1/conversation", data={"text": "Hello."}, timeout=60)
    assert boxes(answer.content)[-1] == "mfra"


def test_a_viewer_who_leaves_ends_the_turn(site: Site) -> None:
    before = n_cancelled(site.url)
    url, form = f"{site.url}/api/v1/conversation", {"text": 10 * TEXT}  # far more than look-ahead
    with httpx.stream("POST", url, data=form, timeout=60) as answer:
        next(answer.iter_bytes())
    until = time.monotonic() + 30  # metrics are exported every other second
    while n_cancelled(site.url) == before or site.striker.strike(painters(site), 0, 0).n_in_all:
        assert time.monotonic() < until, "the turn goes on"
        time.sleep(0.5)


def test_two_minutes_of_sound_are_understood(site: Site) -> None:
    """As numbers they are 8 MB, which go to the recogniser as one item."""
    url, sound = f"{site.url}/api/v1/transcribe", {"audio": ("a", hum(119.0))}
    answer = httpx.post(url, files=sound, timeout=60)
    assert (answer.status_code, bool(answer.json()["text"])) == (200, True), answer.text


def hum(seconds: float) -> bytes:
    """A tone that is loud enough to be taken for speech, as a WAV file."""
    times_s = np.arange(int(seconds * 16_000)) / 16_000
    return wav((0.6 * np.sin(2 * np.pi * 150 * times_s)).astype(np.float32), 16_000)
