"""One limit for two ingress processes, on real Serve: waiting, and what dies meanwhile."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.serving import ROOT, Server, running, until, wait_for_replicas

# The brain says what it hears, mostly six seconds of speech; the face makes at most 2 s of it per
# second, of which admission gives out 0.85: one turn fits, and on a busier machine too.
ARGS: dict[str, Any] = {
    "llm": {"engine": "fake", "options": {"rule": "echo"}},
    "tts": {"engine": "fake", "options": {"letter_s": 0.0525}},
    "avatar": {"engine": "fake", "options": {"cost": {"frames_per_s": {1: 50, 8: 50}}}},
    "admission": {"expected_reply_s": 6.0, "reserve_s": 0.0},
}
SIX_S = "word " * 24
N_REPLICAS = {"ingress": 2, "avatar": 1}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    (application,) = config["applications"]
    application["args"].update(ARGS)
    for deployment in application["deployments"]:
        if (n := N_REPLICAS.get(deployment["name"])) is not None:
            deployment["autoscaling_config"].update(min_replicas=n, max_replicas=n)
    path: Path = tmp_path_factory.mktemp("profile") / "narrow.yaml"
    path.write_text(yaml.safe_dump(config))
    with running(path) as server:
        wait_for_replicas(server, "ingress", 2)
        finish(begin(server))  # what speech costs has been seen
        yield server


@dataclass
class Turn:
    """A turn that somebody watches, in a thread of its own."""

    url: str
    text: str
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    at_s: dict[str, float] = field(default_factory=dict)  # of the first event of each name
    is_over: bool = False
    status: int = 0
    retry_after_s: int = 0

    def start(self) -> "Turn":
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def _watch(self) -> None:
        name = ""
        try:
            form = {"text": self.text}
            with httpx.stream("POST", self.url, data=form, timeout=60) as answer:
                self.status = answer.status_code
                self.retry_after_s = int(answer.headers.get("retry-after", 0))
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        self.at_s.setdefault(name, time.monotonic())
                        self.events.append((name, json.loads(line.removeprefix("data: "))))
        except httpx.HTTPError:
            pass  # the process that answered was killed; what had come by then is kept
        finally:
            self.is_over = True

    def of(self, name: str) -> list[dict[str, Any]]:
        return [data for got, data in self.events if got == name]

    @property
    def is_whole(self) -> bool:
        return self.is_over and bool(self.of("done"))

    @property
    def is_refused(self) -> bool:
        """At once, or after waiting as long as anybody may."""
        return self.status == 503 or [e["code"] for e in self.of("error")] == ["overloaded"]


def begin(server: Server, text: str = SIX_S) -> Turn:
    return Turn(f"{server.url}/api/v1/conversation/stream", text).start()


def begun(server: Server, text: str = SIX_S) -> Turn:
    turn = begin(server, text)
    until(lambda: bool(turn.of("video")), "a turn never started")
    return turn


def finish(*turns: Turn) -> None:
    until(lambda: all(turn.is_over for turn in turns), "a turn never ended")


def test_one_turn_too_many_is_told_its_place_and_starts_when_there_is_room(server: Server) -> None:
    turns = [begun(server), begin(server), begin(server)]
    finish(*turns)
    assert [turn.is_whole for turn in turns] == [True, True, True]
    assert turns[0].of("queue") == []
    assert sorted(turn.of("queue")[0]["position"] for turn in turns[1:]) == [1, 2]
    assert all(turn.at_s["queue"] < turn.at_s["video"] for turn in turns[1:])


def test_turns_run_and_start_while_the_one_who_decides_is_killed(server: Server) -> None:
    first = begun(server)
    (pid,) = wait_for_replicas(server, "admission", 1)
    os.kill(pid, signal.SIGKILL)
    second = begin(server)
    finish(first, second)
    assert first.is_whole
    assert second.is_whole

    # What the new one has to know it is told by those whose turns run.
    server.dashboard.wait_for_replicas("admission", 1, without=[pid])
    turns = [begun(server), begin(server)]
    finish(*turns)
    assert [turn.is_whole for turn in turns] == [True, True]
    assert turns[1].of("queue")


def test_the_turn_of_a_killed_ingress_gives_its_room_back(server: Server) -> None:
    lost = begun(server, 12 * SIX_S)  # 72 s of speech: more than half a minute's work
    for pid in wait_for_replicas(server, "ingress", 2):  # Serve does not tell which one has it
        if not lost.is_over:
            os.kill(pid, signal.SIGKILL)
            killed_at_s = time.monotonic()
            server.dashboard.wait_for_replicas("ingress", 2, without=[pid])
    assert lost.is_over
    assert not lost.is_whole
    following = begun(server)
    assert following.at_s["video"] - killed_at_s < 20.0
    finish(following)
    assert following.is_whole


def test_who_would_wait_too_long_is_refused_at_once_and_told_when_to_return(
    server: Server,
) -> None:
    first = begun(server)
    others = [begin(server) for _ in range(9)]
    until(lambda: any(turn.status == 503 for turn in others), "nobody is refused", 8.0)
    (refused, *_) = [turn for turn in others if turn.status == 503]
    assert refused.retry_after_s >= 10
    finish(first, *others)
    assert first.is_whole
    assert all(turn.is_whole or turn.is_refused for turn in others)
    assert sum(turn.is_whole for turn in others) >= 2
