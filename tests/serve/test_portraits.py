"""A face of one's own behind real Serve: two replicas draw it, whichever was told of it."""

import os
import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from tests.media import boxes, read_mp4
from tests.portrait_files import needs_detector, photograph
from tests.serving import ROOT, Server, running

pytestmark = needs_detector
TEXT = "Hello, this is a sentence."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Fakes that say what they are told, and the real engine that draws."""
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    arguments = config["applications"][0]["args"]
    arguments["llm"]["options"] = {"rule": "echo"}
    arguments["avatar"].update(engine="warp2d", first_output_timeout_s=30)
    path: Path = tmp_path_factory.mktemp("profile") / "faces.yaml"
    path.write_text(yaml.safe_dump(config))
    with running(path) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/api/v1/", timeout=60) as client:
        yield client


def converse(client: httpx.Client, avatar: str) -> httpx.Response:
    form = {"text": TEXT, "language": "en", "avatar": avatar}
    return client.post("conversation", data=form)


def first_picture(video: bytes) -> NDArray[np.uint8]:
    with av.open(BytesIO(video), "r") as file:
        return np.asarray(next(file.decode(video=0)).to_ndarray(format="bgr24"), dtype=np.uint8)


def thumbnail(client: httpx.Client, face: dict[str, Any]) -> NDArray[np.uint8]:
    data = client.get(f"avatars/{face['id']}/thumbnail").content
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def check_looks(video: bytes, looks: NDArray[np.uint8]) -> None:
    """It begins with the face that ``looks`` like that."""
    shown = cv2.resize(first_picture(video), looks.shape[1::-1])
    assert np.abs(shown.astype(int) - looks).mean() < 12


def check_answer(answer: httpx.Response, looks: NDArray[np.uint8]) -> None:
    """Whole, with the right face."""
    assert answer.status_code == 200, answer.text
    assert boxes(answer.content)[-1] == "mfra"
    assert len(read_mp4(answer.content).frame_times_s) > 25
    check_looks(answer.content, looks)


def test_an_added_face_speaks_on_every_replica_until_it_is_deleted(
    client: httpx.Client, server: Server
) -> None:
    form = {"name": "Grace", "consent": "true"}
    answer = client.post("avatars", files={"image": ("a", photograph())}, data=form)
    face: dict[str, Any] = answer.json()
    assert (answer.status_code, face["name"], face["builtin"]) == (201, "Grace", False)
    mira, grace = (thumbnail(client, one) for one in client.get("avatars").json())
    assert np.abs(mira.astype(int) - grace).mean() > 30
    idle = client.get(f"avatars/{face['id']}/idle").content
    check_looks(idle, grace)

    check_answer(converse(client, face["id"]), grace)
    check_answer(converse(client, "mira"), mira)

    before = {replica.pid for replica in server.dashboard.wait_for_replicas("avatar", 2)}
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    server.dashboard.wait_for_replicas("avatar", 2, without=before)
    check_answer(converse(client, face["id"]), grace)
    files = {"audio": ("a", client.post("speak", json={"text": TEXT}).content)}
    animated = client.post("animate", files=files, data={"avatar": face["id"]})
    check_answer(animated, grace)

    assert client.delete(f"avatars/{face['id']}").status_code == 204
    assert converse(client, face["id"]).status_code == 404
    assert [one["id"] for one in client.get("avatars").json()] == ["mira"]
    assert client.delete("avatars/mira").json()["code"] == "forbidden"
    check_answer(converse(client, "mira"), mira)


def test_what_cannot_be_animated_is_told_by_its_code(client: httpx.Client) -> None:
    wall = bytes(cv2.imencode(".jpg", np.full((300, 300, 3), 170, np.uint8))[1])
    form = {"name": "A wall", "consent": "true"}
    answer = client.post("avatars", files={"image": ("a", wall)}, data=form)
    assert (answer.status_code, answer.json()["code"]) == (422, "no_face")
