"""A card that is not there: its time and its memory are shared by all who were given it."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.cost_model import StageCost
from deployments.errors import EngineLoadError
from deployments.llm.fake import FakeLlm
from deployments.logical_gpu import FOLDER, LogicalGpu, Sharing, card, cards
from deployments.registry import load_engine
from deployments.types import Message
from graph.preflight import ROOT

timeless = settings(deadline=None)  # other programs may hold the processor during an example


@dataclass
class Clock:
    """Time that passes only in ``sleep``, which first lets others act at their moments."""

    now_s: float = 100.0
    plans: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.plans and self.plans[0][0] <= until_s:
            at_s, act = self.plans.pop(0)
            self.now_s = max(self.now_s, at_s)
            act()
        self.now_s = max(self.now_s, until_s)


def seen_by(process: Clock, path: Path) -> LogicalGpu:
    return LogicalGpu(path, 24.0, now=process, sleep=process.sleep)


def test_who_is_alone_gets_all_of_it(tmp_path: Path) -> None:
    clock = Clock()
    gpu = seen_by(clock, tmp_path / "gpu-0")
    gpu.run(0.5)
    clock.now_s += 3.0
    gpu.run(0.25)
    assert clock.now_s == pytest.approx(103.75)
    assert gpu.busy_s() == pytest.approx(0.75)


def test_work_of_no_length_is_done_at_once(tmp_path: Path) -> None:
    clock = Clock()
    seen_by(clock, tmp_path / "gpu-0").run(0.0)
    assert clock.now_s == 100.0


def test_who_is_joined_by_another_process_takes_longer(tmp_path: Path) -> None:
    clock, ended_s = Clock(), list[float]()

    def join() -> None:
        seen_by(clock, tmp_path / "gpu-0").run(0.2)
        ended_s.append(clock.now_s)

    clock.plans = [(100.5, join)]
    seen_by(clock, tmp_path / "gpu-0").run(1.0)
    # From 0.5 on both get half: 0.2 takes 0.4, and what is left then is done at the whole rate.
    assert ended_s == [pytest.approx(100.9)]
    assert clock.now_s == pytest.approx(101.2)


@dataclass
class Job:
    at_s: float
    work_s: float


def jobs() -> st.SearchStrategy[list[Job]]:
    tenth = st.integers(0, 30).map(lambda n: n / 10)
    return st.lists(st.builds(Job, tenth, tenth.map(lambda s: s + 0.1)), min_size=1, max_size=8)


def ends_of(found: list[Job]) -> list[float]:
    """When each ends, by moving from event to event and sharing what passes in between."""
    left = {i: job.work_s for i, job in enumerate(found)}
    ends, now_s = [0.0] * len(found), 0.0
    while left:
        active = [i for i in left if found[i].at_s <= now_s]
        coming = [found[i].at_s for i in left if found[i].at_s > now_s]
        next_s = min(
            [now_s + left[i] * len(active) for i in active] + coming,
        )
        for i in active:
            left[i] -= (next_s - now_s) / len(active)
            if left[i] < 1e-9:
                ends[i] = next_s
                del left[i]
        now_s = next_s
    return ends


@timeless
@given(jobs())
def test_all_who_are_at_work_get_the_same(found: list[Job]) -> None:
    found.sort(key=lambda job: job.at_s)
    sharing, tickets = Sharing(), list[float]()
    for job in found:
        sharing.advance(job.at_s)
        tickets.append(sharing.begin(job.work_s))
    last_s = found[-1].at_s
    foreseen = [last_s + sharing.left_s(ticket) for ticket in tickets]
    expected = ends_of(found)
    for end_s, true_s in zip(foreseen, expected, strict=True):
        assert end_s == pytest.approx(max(last_s, true_s))
    sharing.advance(1000.0)
    assert [sharing.left_s(ticket) for ticket in tickets] == [0.0] * len(found)
    assert sharing.busy_s == pytest.approx(sum(job.work_s for job in found))


@timeless
@given(jobs(), st.lists(st.floats(0.0, 3.0), max_size=5))
def test_how_often_it_is_looked_at_changes_nothing(found: list[Job], looks: list[float]) -> None:
    found.sort(key=lambda job: job.at_s)
    plain, watched = Sharing(), Sharing()
    for job in found:
        for look_s in sorted(s for s in looks if watched.at_s <= s <= job.at_s):
            watched.advance(look_s)
        for sharing in (plain, watched):
            sharing.advance(job.at_s)
            sharing.begin(job.work_s)
    assert watched.virtual_s == pytest.approx(plain.virtual_s)
    assert sorted(watched.ends) == pytest.approx(sorted(plain.ends))


def test_several_threads_and_views_of_a_card_lose_no_work(tmp_path: Path) -> None:
    def work() -> None:
        gpu = LogicalGpu(tmp_path / "gpu-0", 24.0)
        for _ in range(5):
            gpu.run(0.002)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert LogicalGpu(tmp_path / "gpu-0", 24.0).busy_s() == pytest.approx(0.04)


# Other processes.

CHILD = """
import sys
from pathlib import Path
from deployments.logical_gpu import LogicalGpu
gpu = LogicalGpu(Path(sys.argv[1]), 24.0)
gpu.claim("avatar", 20.0)
gpu.run(0.05)
print("at work", flush=True)
gpu.run(60.0)
"""


def test_a_process_that_dies_gives_its_memory_back_and_no_more_than_its_step_is_done(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gpu-0"
    command = [sys.executable, "-c", CHILD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "at work\n"
        gpu = LogicalGpu(path, 24.0)
        with pytest.raises(EngineLoadError) as raised:
            gpu.claim("tts", 4.5)
        assert raised.value.message == (
            "tts needs 4.5 GB of the GPU, and 4 of its 24 GB are free (taken: avatar 20)"
        )
        child.kill()
        child.wait()
    gpu.claim("tts", 4.5)
    assert gpu.busy_s() > 0.049
    gpu.run(0.001)  # beside what the dead one has begun


def test_memory_is_taken_until_the_engine_is_gone(tmp_path: Path) -> None:
    first, second = (LogicalGpu(tmp_path / "gpu-0", 24.0) for _ in range(2))
    first.claim("tts", 3.0)
    first.claim("avatar", 20.0)
    with pytest.raises(EngineLoadError, match=r"1 of its 24 GB are free \(taken: avatar 20, tts 3"):
        second.claim("asr", 1.5)
    second.claim("asr", 1.0)
    del first
    gc.collect()
    second.claim("avatar", 23.0)


def test_cards_are_listed_without_their_claims(tmp_path: Path) -> None:
    for name in ("gpu-7-0", "gpu-7-1"):
        gpu = LogicalGpu(tmp_path / name, 24.0)
        gpu.claim("tts", 3.0)
        gpu.run(0.002)
    found = cards(tmp_path)
    assert {name: gpu.busy_s() for name, gpu in found.items()} == {
        "gpu-7-0": pytest.approx(0.002),
        "gpu-7-1": pytest.approx(0.002),
    }


# Which card, and engines that run on it.


@pytest.fixture
def given_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("RAY_RAYLET_PID", "4711")
    return tmp_path / "gpu-4711-1"


def test_nodes_of_one_machine_have_cards_of_their_own(
    given_card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card("tts", 24.0).run(0.001)
    monkeypatch.setenv("RAY_RAYLET_PID", "4712")
    card("tts", 24.0).run(0.001)
    assert sorted(cards(given_card.parent)) == ["gpu-4711-1", "gpu-4712-1"]


def test_a_stage_that_was_given_no_card_says_what_to_set(
    given_card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with pytest.raises(EngineLoadError, match="tts needs a GPU and was given none: set num_gpus"):
        load_engine("tts", "fake", {"cost": {"uses_gpu": True}})
    assert load_engine("tts", "fake", {"cost": {"per_media_s": 0.1}})


def test_an_engine_alone_in_its_process_needs_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert load_engine("asr", "fake", {"cost": {"uses_gpu": True, "memory_gb": 1.5}})


def test_an_engine_that_does_not_fit_beside_the_others_does_not_load(given_card: Path) -> None:
    def load(stage: str, memory_gb: float) -> object:
        return load_engine(stage, "fake", {"cost": {"uses_gpu": True, "memory_gb": memory_gb}})

    kept = [load("avatar", 3.3), load("tts", 20.0)]
    with pytest.raises(EngineLoadError) as raised:
        load("asr", 1.5)
    assert raised.value.message == (
        "asr needs 1.5 GB of the GPU, and 0.7 of its 24 GB are free (taken: avatar 3.3, tts 20)"
    )
    assert len(kept) == 2


async def test_engines_on_one_card_take_its_time_from_each_other(given_card: Path) -> None:
    cost = StageCost(uses_gpu=True, first_output_s=0.004, per_media_s=0.01)
    engines = [FakeLlm(FakeLlm.Settings(cost=cost, text="Nine in all.")) for _ in range(2)]

    async def say(engine: FakeLlm) -> None:
        async for _ in engine.reply((Message("user", "hi"),), "en"):
            pass

    await asyncio.gather(*(say(engine) for engine in engines))
    # 4 ms and 12 letters of a 15th of a second each, twice.
    assert cards(given_card.parent)["gpu-4711-1"].busy_s() == pytest.approx(2 * 0.012)
