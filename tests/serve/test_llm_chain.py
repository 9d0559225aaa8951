"""A chain of language models on real Serve, whose first engine reaches over the network."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.serving import ROOT, Server, running, until
from tests.tiny_models.fake_llm_server import TEXTS, FakeLlmServer, serving

COOL_DOWN_S = 1.0
FIRST = "far"
REFUSED = f"{FIRST} is out, the next ones answer: openai_compatible answered 429: "


@pytest.fixture(scope="module")
def model() -> Iterator[FakeLlmServer]:
    with serving(FakeLlmServer()) as one:
        yield one


@pytest.fixture(scope="module")
def server(model: FakeLlmServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    far = {"engine": "openai_compatible", "name": FIRST, "first_token_timeout_s": 2.0}
    options = {"base_url": f"{model.url}/v1", "model": "m"}
    near = {"engine": "fake", "name": "near", "options": {"text": "I am near."}}
    chain = {"engines": [{**far, "options": options}, near], "n_failures": 2}
    config["applications"][0]["args"]["llm"] = {
        "engine": "chain",
        "options": {**chain, "cool_down_s": COOL_DOWN_S},
    }
    path: Path = tmp_path_factory.mktemp("profile") / "chain.yaml"
    path.write_text(yaml.safe_dump(config))
    with running(path) as server:
        yield server


@pytest.fixture(autouse=True)
def well(model: FakeLlmServer) -> Iterator[None]:
    yield
    model.wish = ""


def chat(server: Server, message: str = "hi") -> tuple[str, str]:
    """What is answered, and by whom."""
    url = f"{server.url}/api/v1/chat"
    answer = httpx.post(url, json={"message": message, "language": "en"}, timeout=60)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["response"], body["engines"]["llm"]


def health(server: Server) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{server.url}/health", timeout=30).json()
    return answer


def test_a_turn_is_answered_by_the_first_engine_and_says_so(server: Server) -> None:
    url, accept = f"{server.url}/api/v1/conversation", {"Accept": "application/json"}
    form = {"text": "¿Qué tal?", "language": "es"}
    body = httpx.post(url, data=form, headers=accept, timeout=60).json()
    assert body["response_text"] == TEXTS["Spanish"]
    assert body["engines"] == {"llm": FIRST, "tts": "fake", "avatar": "fake"}


def test_while_the_first_engine_fails_the_next_one_answers_and_health_says_so(
    server: Server, model: FakeLlmServer
) -> None:
    assert chat(server) == (TEXTS["English"], FIRST)
    model.wish = "fail-429"
    assert [chat(server) for _ in range(3)] == [("I am near.", "near")] * 3
    until(lambda: health(server)["status"] == "degraded", "/health does not say so")
    found = health(server)["deployments"]["llm"]
    assert (found["status"], found["engine"]) == ("ready", "chain")
    assert found["detail"].startswith(REFUSED)

    model.wish = ""

    def is_back() -> bool:
        time.sleep(COOL_DOWN_S / 4)  # the breaker's, after which a reply tries it
        return chat(server)[1] == FIRST

    until(is_back, "the first engine is not asked again")
    until(lambda: health(server)["status"] == "ready", "/health does not say that it is back")
    assert "detail" not in health(server)["deployments"]["llm"]


def test_a_mute_server_is_not_waited_for_beyond_its_deadline(
    server: Server, model: FakeLlmServer
) -> None:
    model.wish = "mute"
    assert chat(server) == ("I am near.", "near")
    assert model.last.is_over.wait(10)
    assert model.last.end == "client left"
    model.wish = ""
    until(lambda: chat(server)[1] == FIRST, "the first engine is not asked again")


def test_who_leaves_in_the_middle_of_a_reply_closes_the_models_connection(
    server: Server, model: FakeLlmServer
) -> None:
    url, accept = f"{server.url}/api/v1/chat", {"Accept": "text/event-stream"}
    body = {"message": "stall", "language": "en"}
    n_before = len(model.requests)
    with httpx.stream("POST", url, json=body, headers=accept, timeout=60) as answer:
        assert answer.status_code == 200
        until(lambda: len(model.requests) > n_before, "the model was not asked")
        assert not model.last.is_over.is_set()
    assert model.last.is_over.wait(10)
    assert model.last.end == "client left"
