"""The climb and the scenarios: what counts as too much, and what is made of what was measured."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.capacity_plot import caption_of, write_plot
from benchmarks.capacity_scenarios import SCENARIOS, Plan, step
from benchmarks.capacity_steps import HEADER, Step, capacity_of, turns_for
from benchmarks.load_average import LoadAverage
from benchmarks.load_record import TurnRecord
from benchmarks.load_report import Run, summary
from benchmarks.load_run import LoadRun
from benchmarks.memory_trend import Memory, MemorySampler, Trend
from benchmarks.report import verdict_table
from benchmarks.server import Server
from graph.preflight import ROOT
from tests.unit.test_load import turn

GOOD = Step(8, 16, 0.3, 0.9, 1000, 1, 0.01, 7.5, 0, 0, 1.5)


@pytest.mark.parametrize(
    ("changes", "broke"),
    [
        ({}, ""),
        ({"ttff_p95_s": 1.0}, ""),
        ({"ttff_p95_s": 1.01}, "p95 TTFF 1.01 s"),
        ({"n_late": 2}, "0.20% of fragments late"),
        ({"ladder_share": 0.011}, "1.1% of the video on the ladder"),
        ({"n_refused": 1, "n_late": 9}, "1 turns refused"),
        ({"n_failed": 2, "n_refused": 1}, "2 turns failed"),
    ],
)
def test_a_step_says_what_was_too_much(changes: dict[str, Any], broke: str) -> None:
    one = replace(GOOD, **changes)
    assert one.broke == broke
    assert one.row()[-1] == (broke or "-")
    assert len(one.row()) == len(HEADER)


def test_the_capacity_is_the_last_step_before_one_broke() -> None:
    bad = replace(GOOD, n_speakers=10, n_late=100)
    assert capacity_of([replace(GOOD, n_speakers=6), GOOD, bad]) == 8
    assert capacity_of([bad]) == 0
    assert capacity_of([GOOD]) == 8


def test_every_speaker_has_as_many_turns_and_the_fragments_are_enough() -> None:
    assert turns_for(5000, 8, 20.0) == 56  # 100 fragments each
    assert turns_for(100, 8, 20.0) == 16


def test_a_step_is_counted_from_its_turns() -> None:
    records = [turn(n_late=1), turn(outcome="refused", n_fragments=0), turn(outcome="cut")]
    assert Step.of(3, records, 30.0, 2.25) == Step(3, 3, 0.25, 0.25, 200, 1, 0.0, 2.0, 1, 1, 2.25)


# The curve.


def test_the_curve_is_one_page_that_loads_nothing_and_one_picture(tmp_path: Path) -> None:
    steps = [replace(GOOD, n_speakers=n) for n in (2, 4)]
    steps.append(replace(GOOD, n_speakers=6, n_late=30))
    png, page = tmp_path / "a" / "c.png", tmp_path / "a" / "c.html"
    write_plot(steps, 4, "Some CPU & 2 cores", png, page)
    assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    text = page.read_text()
    assert "4 people carried" in text
    assert "Some CPU &amp; 2 cores" in text
    assert "<td>30 of 1000" in text
    assert not re.search(r"(?:src|href)=[\"']?[^\"'#]|@import|url\([^#]", text)


def test_the_caption_names_the_machine_the_day_and_the_load() -> None:
    facts = {
        "cpu": "A CPU", "cores": 2, "ram_gb": 25.3, "date": "2026-11-21",
        "load_before": [0.25, 0, 0], "load_after": [3.5, 0, 0],
    }  # fmt: skip
    assert caption_of(facts, "embedded") == (
        "A CPU, 2 cores, 25.3 GB; 2026-11-21; load average 0.25 before, 3.5 after\nembedded"
    )


# Memory over time.


def readings(slope_mb_per_h: float, noise_mb: float, n: int = 240) -> tuple[Any, Any]:
    """Half an hour or so: a line, and noise around it that is the same in every test run."""
    at_s = np.arange(n) * 10.0
    noise = np.random.default_rng(7).normal(0, noise_mb, n)
    return at_s, (100 + slope_mb_per_h * at_s / 3600 + noise) * 1e6


def test_memory_that_only_wavers_is_flat() -> None:
    flat = Trend.of("a 1", *readings(0.0, 5.0))
    assert flat.beyond_noise_mb == 0
    assert flat.mean_mb == pytest.approx(100, abs=1)


def test_a_slow_leak_shows_through_the_noise() -> None:
    leak = Trend.of("a 1", *readings(30.0, 1.0))
    assert leak.growth_mb == pytest.approx(20, abs=2)
    assert leak.noise_mb < 2
    assert leak.beyond_noise_mb > 15


def test_the_worst_process_comes_first_and_those_that_pass_are_in_the_sum() -> None:
    samples: list[tuple[float, dict[str, int]]] = [
        (float(i), {"still 1": 50_000_000, "grows 2": 1_000_000 * i}) for i in range(40)
    ]
    for i in range(20, 40):  # it comes with the second half, and grows as well
        samples[i][1]["new 3"] = 2_000_000 * (i - 20)
    samples[15][1]["fork 5"] = 1  # as long as a sentence
    samples[2][1]["early 4"] = 1  # before caches were full
    found = Memory.of(samples, 0.25)
    assert [trend.process for trend in found.lasting] == ["grows 2", "still 1"]
    assert found.lasting[0].growth_mb == pytest.approx(29)
    assert found.passing == ("new 3",)
    assert found.total is not None
    assert found.total.growth_mb > 29 + 30
    assert Memory.of(samples[:8], 0.25) == Memory()


def test_a_sampler_reads_at_the_beginning_and_at_the_end() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with MemorySampler(child.pid, 60.0) as sampler:
            pass
    finally:
        child.communicate(b"\n")
    assert [len(sizes) for _, sizes in sampler.samples] == [1, 1]
    assert all(size > 0 for _, sizes in sampler.samples for size in sizes.values())


# Scenarios.


@dataclass(frozen=True)
class Told(Plan):
    """A plan whose load tests are told instead of run; ``asked`` is what was wanted of them."""

    records: dict[int, list[TurnRecord]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def load(self, users: int, **settings: Any) -> LoadRun:
        self.asked.append({"users": users, **settings})
        found = self.records.get(users) or self.records[0]
        facts = Run(users, 60.0, 0.5, (2.5, 1.0, 1.0))
        return LoadRun(found, {**summary(found, facts), "machine": {}})


SERVER = Server("http://x", None)


def told(records: dict[int, list[TurnRecord]], **more: Any) -> Told:
    return Told(SERVER, records=records, **more)


def judged(scenario: str, plan: Plan) -> list[tuple[float | None, bool | None]]:
    found = SCENARIOS[scenario](plan)
    assert verdict_table(found.verdicts)
    assert json.dumps(found.result)
    return [(v.measured, v.is_ok) for v in found.verdicts]


def test_eight_who_arrive_one_after_the_other_have_no_buffer() -> None:
    plan = told({8: [turn(n_fragments=5000, n_late=5), turn(ttff_s=0.75)]})
    assert judged("eight-spread", plan) == [
        (pytest.approx(100 * 5 / 5100), True),
        (0.725, True),
        (5100, True),
        (0, True),
    ]
    assert plan.asked == [
        {"users": 8, "turns": 56, "answer_s": "20", "pause_s": "0-1", "start_s": 8.0,
         "buffer_s": 0.0},
    ]  # fmt: skip


def test_too_few_fragments_prove_nothing() -> None:
    plan = told({8: [turn(n_fragments=4000), turn(outcome="error", n_fragments=0)]})
    assert [ok for _, ok in judged("eight-together", plan)] == [True, True, False, False]
    assert (plan.asked[0]["start_s"], plan.asked[0]["buffer_s"]) == (0.0, 0.3)


def test_one_beside_others_is_compared_with_itself_alone() -> None:
    crowd = [turn(user=0, ttff_s=0.375), turn(user=1, ttff_s=5.0)]
    plan = told({1: [turn(ttff_s=0.25)], 6: crowd}, n_turns=3)
    assert judged("beside", plan) == [(1.5, True), (0, True)]
    assert [(asked["users"], asked["turns"]) for asked in plan.asked] == [(1, 3), (6, 18)]
    assert {asked["question"] for asked in plan.asked} == {"spoken"}


def test_overload_looks_at_refusals_their_honesty_and_those_let_in() -> None:
    refused = turn(outcome="refused", n_fragments=0, end_s=0.1)
    expired = turn(outcome="refused", n_fragments=0, end_s=9.0, was_queued=True)
    queued = turn(queue_predicted_s=4.0, queue_waited_s=5.0, is_let_in=True)
    early = turn(user=1, attempt=3, predicted_wait_s=9.0, waited_s=6.0, is_let_in=True,
                 is_impatient=True)  # fmt: skip
    told_so = turn(user=2, attempt=2, predicted_wait_s=5.0, waited_s=5.0, is_let_in=True)
    records = [refused, expired, queued, early, told_so]
    plan = told({16: [*records, turn(n_late=2), turn(outcome="cut", n_fragments=0)]}, minutes=2.0)
    assert judged("overload", plan) == [
        (0.1, True),
        (pytest.approx(20.0), True),
        (pytest.approx(50.0), False),  # those who came as told cannot make up for it
        (0.5, True),
        (1, False),
    ]
    assert plan.asked[0]["minutes"] == 2.0


def test_no_late_figure_is_without_the_ladder() -> None:
    step = {"level": "voice_only", "from_s": 0.0, "to_s": 5.0}
    found = SCENARIOS["eight-spread"](told({8: [turn(n_late=1, ladder=(step,)), turn()]}))
    assert found.verdicts[0].note == "(1 of 200; 12.50% of the video on the ladder)"


def test_where_nobody_was_let_in_nothing_is_said_of_failures() -> None:
    plan = told({16: [turn(outcome="refused", n_fragments=0, end_s=0.1)]})
    assert judged("overload", plan)[-1] == (None, None)


def test_without_refusals_nothing_is_claimed_about_them() -> None:
    plan = told({16: [turn()]})
    assert judged("overload", plan) == [(None, None)] * 3 + [(0.0, True), (0, True)]


def test_a_soak_needs_a_server_whose_memory_can_be_read() -> None:
    with pytest.raises(ValueError, match="--pid"):
        SCENARIOS["soak"](told({5: [turn()]}))


def test_a_soak_that_was_too_short_says_so_and_tells_the_last_offsets() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    broken = turn(outcome="broken", is_whole=False)
    try:
        plan = told({5: [turn(av_offset_ms=-90.0)] + [turn(av_offset_ms=30.0)] * 20 + [broken]})
        plan = replace(plan, server=Server("http://x", child.pid))
        assert judged("soak", plan) == [
            (None, None), (None, None), (30.0, True), (30.0, True), (1, False),
        ]  # fmt: skip
    finally:
        child.communicate(b"\n")


def test_a_step_of_the_climb_lets_speakers_arrive_one_a_second() -> None:
    plan = told({4: [turn()]}, n_fragments=1000)
    assert step(plan, 4).n_speakers == 4
    assert plan.asked[0]["start_s"] == 4.0


def test_the_load_of_a_step_is_its_mean_and_not_its_end() -> None:
    readings = iter([1.0, 4.0])
    with LoadAverage(lambda: next(readings), every_s=60.0) as load:
        pass
    assert load.mean == 2.5


def test_the_climb_explains_itself() -> None:
    command = [sys.executable, "-m", "benchmarks.capacity", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "one line of JSON" in " ".join(done.stdout.split())
