"""What the benchmark of several cards counts, and how it places the graph on them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.gpus import of_linear
from benchmarks.gpus_cluster import one_each
from benchmarks.gpus_step import Step, cores_between, video_s_between
from benchmarks.load_record import TurnRecord
from benchmarks.machine import tree_cpu_s
from graph.preflight import ROOT


def turn(asked_at: float, *arrivals: tuple[float, float], video_s: float) -> TurnRecord:
    return TurnRecord(
        0, 1, 1, "typed", "stream", asked_at, "finished", arrivals=arrivals, video_s=video_s
    )


def step(n_gpus: int, video_s_per_s: float) -> Step:
    return Step(n_gpus, 3, video_s_per_s, 0.9, 0.0, 0.0, 0, 0, 1.0, {})


def test_video_counts_when_it_comes_not_when_it_is_played() -> None:
    whole = turn(100.0, (1.0, 0.0), (1.5, 0.4), (4.0, 2.0), video_s=3.0)
    other = turn(103.0, (0.5, 0.0), video_s=0.2)
    assert video_s_between([whole, other], 100.0, 110.0) == pytest.approx(3.2)
    assert video_s_between([whole, other], 101.2, 103.8) == pytest.approx(1.6 + 0.2)
    assert video_s_between([whole, other], 104.0, 110.0) == pytest.approx(1.0)


def test_processor_time_is_told_by_kind_the_greatest_first() -> None:
    before = {"ingress": 10.0, "gone": 3.0, "idle": 1.0}
    after = {"ingress": 12.0, "avatar": 5.0, "idle": 1.0}
    found = cores_between(before, after, passed_s=4.0)
    assert list(found.items()) == [("avatar", 1.25), ("ingress", 0.5)]


def test_linear_is_what_the_fewest_cards_make_for_each_of_them() -> None:
    assert of_linear(step(8, 9.9), step(1, 1.375)) == pytest.approx(0.9)
    assert of_linear(step(4, 6.0), step(2, 3.0)) == pytest.approx(1.0)


def process(proc: Path, pid: int, parent: int, command: str, ticks: tuple[int, int]) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    times = f"{ticks[0]} {ticks[1]}"
    (folder / "stat").write_text(f"{pid} (a b) c) S {parent} 0 0 0 0 0 0 0 0 0 {times} 0 0\n")
    (folder / "cmdline").write_bytes(command.replace(" ", "\0").encode())


def test_processes_of_one_name_are_added_up(tmp_path: Path) -> None:
    process(tmp_path, 1, 0, "/usr/bin/init", (9000, 0))
    process(tmp_path, 10, 1, "python -m graph.launch", (100, 50))
    process(tmp_path, 11, 10, "ray::ServeReplica:avatar:tts.speak", (200, 0))
    process(tmp_path, 12, 10, "ray::ServeReplica:avatar:tts", (50, 50))
    assert tree_cpu_s(10, tmp_path) == {"graph.launch": 1.5, "ray::ServeReplica:avatar:tts": 3.0}


def test_every_card_gets_one_replica_of_each_of_its_stages() -> None:
    config: dict[str, Any] = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    placed = one_each(config, n_gpus=4, n_ingresses=2)
    deployments = {one["name"]: one for one in placed["applications"][0]["deployments"]}
    n = {name: one["autoscaling_config"]["min_replicas"] for name, one in deployments.items()}
    assert n == {"ingress": 2, "admission": 1, "asr": 4, "llm": 1, "tts": 4, "avatar": 4}
    assert {name for name, one in deployments.items() if one.get("max_replicas_per_node") == 1} == {
        "asr", "tts", "avatar"
    }  # fmt: skip
    assert placed["x-realtime-avatar"]["logical_gpus"] == 4
    assert config == yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
