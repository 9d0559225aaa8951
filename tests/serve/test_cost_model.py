"""The graph on one logical card that is as fast as the first published system's: too slow for one
speaker, and whoever asks is told so."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from deployments.logical_gpu import cards
from tests.serving import Server, running, until

QUESTION = "Repeat after me: These are some words that take four seconds to say by a slow voice."
DETAIL = r"makes 0\.\d\d s of video per second, less than one person watches"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("fake-l4", COST_MODEL="l4-2025") as server:
        yield server


def health(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/health", timeout=10).json()
    return found


def test_an_answer_comes_all_the_same_and_the_server_says_that_it_is_too_slow(
    server: Server,
) -> None:
    answer = httpx.post(
        f"{server.url}/api/v1/conversation",
        data={"text": QUESTION},
        headers={"Accept": "application/json"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    turn = answer.json()
    assert turn["response_text"] == QUESTION.removeprefix("Repeat after me: ")
    assert turn["timings"]["rtf"] > 1.0

    until(lambda: health(server)["status"] == "degraded", "/health says nothing")
    found = health(server)
    assert re.match(DETAIL, found["deployments"]["avatar"]["detail"])
    assert {name for name, one in found["deployments"].items() if "detail" in one} == {"avatar"}


def test_the_one_who_lets_turns_in_writes_it_into_its_log_once(server: Server) -> None:
    folder = server.run_folder / "ray" / "session_latest" / "logs" / "serve"
    logs = [path.read_text() for path in folder.glob("*admission*")]
    assert sum(len(re.findall(f"this machine {DETAIL}", text)) for text in logs) == 1


def test_all_stages_work_on_the_one_card(server: Server) -> None:
    (card,) = cards(server.run_folder / "gpus").values()
    # 4 s of speech and the rest pose after it: 0.7 s to speak and 25 / 20.3 s to draw each
    assert card.busy_s() > 4 * 0.7 + (4 * 25 + 8) / 20.3
