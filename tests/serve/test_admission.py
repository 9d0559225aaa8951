"""One limit for two ingress processes, on real Serve: waiting, and what dies meanwhile."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.serving import ROOT, Server, running, wait_for_replicas

# Ten seconds of speech; the face makes at most 3 s of it per second, of which admission gives out
# 0.85: two turns fit, a third does not.
ARGS: dict[str, Any] = {
    "llm": {"engine": "fake", "options": {"text": "word " * 40}},
    "tts": {"engine": "fake", "options": {"letter_s": 0.0525}},
    "avatar": {"engine": "fake", "options": {"latency_per_frame_s": 1 / 75}},
    "admission": {"expected_reply_s": 10.0, "reserve_s": 0.0},
}
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
        yield server


@dataclass
class Turn:
    """A turn that somebody watches, in a thread of its own."""

    url: str
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    at_s: dict[str, float] = field(default_factory=dict)  # of the first event of each name
    is_over: bool = False

    def start(self) -> "Turn":
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def _watch(self) -> None:
        name = ""
        try:
            form = {"text": "hello"}
            with httpx.stream("POST", self.url, data=form, timeout=60) as answer:
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
        return self.is_over and self.events[-1][0] == "done"


def begin(server: Server) -> Turn:
    return Turn(f"{server.url}/api/v1/conversation/stream").start()


def until(is_so: Callable[[], bool], what: str, patience_s: float = 40.0) -> None:
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def two_running(server: Server) -> list[Turn]:
    turns = [begin(server), begin(server)]
    until(lambda: all(turn.of("video") for turn in turns), "two turns never ran at once")
    return turns


def finish(*turns: Turn) -> None:
    until(lambda: all(turn.is_over for turn in turns), "a turn never ended")


def test_one_turn_too_many_is_told_its_place_and_starts_when_there_is_room(server: Server) -> None:
    turns = two_running(server)
    assert not any(turn.of("queue") for turn in turns)
    third, fourth = begin(server), begin(server)
    finish(*turns, third, fourth)
    assert all(turn.is_whole for turn in (*turns, third, fourth))
    places = sorted(turn.of("queue")[0]["position"] for turn in (third, fourth))
    assert places == [1, 2]
    assert all(turn.at_s["queue"] < turn.at_s["video"] for turn in (third, fourth))


def test_turns_run_and_start_while_the_one_who_decides_is_killed(server: Server) -> None:
    first = begin(server)
    until(lambda: bool(first.of("video")), "the first turn never started")
    (pid,) = wait_for_replicas(server, "admission", 1)
    os.kill(pid, signal.SIGKILL)
    second = begin(server)
    until(lambda: bool(second.of("video")), "no turn starts without a decision", 5.0)
    finish(first, second)
    assert first.is_whole
    assert second.is_whole

    # What the next one has to know it is told by those whose turns run.
    server.dashboard.wait_for_replicas("admission", 1, without=[pid])
    turns = two_running(server)
    third = begin(server)
    finish(*turns, third)
    assert third.is_whole
    assert third.of("queue")


def test_turns_of_a_killed_ingress_give_their_room_back(server: Server) -> None:
    turns = two_running(server)
    before = time.monotonic()
    os.kill(pid_of_the_busiest(server), signal.SIGKILL)
    until(lambda: any(turn.is_over for turn in turns), "no turn was lost with its ingress")
    assert not all(turn.is_whole for turn in turns)
    following = begin(server)
    until(lambda: bool(following.of("video")), "the room of the lost turn is never given back")
    assert time.monotonic() - before < 10.0
    finish(*turns, following)
    assert following.is_whole
    wait_for_replicas(server, "ingress", 2)


def pid_of_the_busiest(server: Server) -> int:
    """The process that answers most requests now, as Serve counts them."""
    pattern = re.compile(
        r'^ray_serve_replica_processing_queries\{.*deployment="ingress".*replica="(\w+)".*\} (\S+)$'
    )
    busy: dict[str, float] = {}

    def is_known() -> bool:
        lines = httpx.get(f"{server.url}/metrics", timeout=30).text.splitlines()
        found = [match.groups() for line in lines if (match := pattern.match(line))]
        busy.update({replica: float(n) for replica, n in found})
        return sum(busy.values()) >= 2

    until(is_known, "Serve never says who answers")
    name = max(busy, key=lambda replica: busy[replica])
    (pid,) = [r.pid for r in server.dashboard.replicas("ingress") if r.actor_name.endswith(name)]
    return pid
