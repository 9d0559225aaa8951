"""One step of the measuring: the graph on so many logical cards, with more speakers than it can
carry, looked at from outside for a while."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.capacity_steps import FAILURES
from benchmarks.gpus_cluster import GPU_STAGES, one_each
from benchmarks.load_average import LoadAverage
from benchmarks.load_record import TurnRecord
from benchmarks.load_report import Lateness, ladder_share
from benchmarks.load_run import LoadRun, run_load
from benchmarks.machine import tree_cpu_s
from benchmarks.report import progress
from benchmarks.server import Launched, running
from deployments.logical_gpu import cards
from graph.preflight import PROFILES

_MODULE = "benchmarks.gpus_cluster"
_SETTLING_S = 30.0  # until those who began together no longer go in step
_SPEAKERS_PER_GPU = 2.0  # a card of the target carries 1.4; somebody always waits
_REPLICAS_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same in all steps."""

    profile: str
    cost_model: str
    root_pid: int  # of whatever costs processor time: the server, the load and this program
    seconds: float = 60.0
    answer_s: float = 20.0
    n_ingresses: int = 1
    processes: int = 0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """What so many cards made. ``card_use``: mean share of time in which anybody was at work on a
    card; ``cores``: processor time per second by kind of process; ``load_average``: its mean."""

    n_gpus: int
    n_speakers: int
    video_s_per_s: float
    card_use: float
    late_share: float
    ladder_share: float
    n_refused: int
    n_failed: int
    load_average: float
    cores: Mapping[str, float]

    def json(self) -> dict[str, Any]:
        return asdict(self)


def measured(plan: Plan, n_gpus: int, folder: Path) -> Step:
    """Start the graph on so many cards, load it, and end it again.

    Raises:
        ServerError: it did not start.
        LoadError: the load test did not run.
    """
    config = yaml.safe_load((PROFILES / f"{plan.profile}.yaml").read_text())
    profile = folder / f"{plan.profile}-{n_gpus}.yaml"
    profile.write_text(yaml.safe_dump(one_each(config, n_gpus, plan.n_ingresses)))
    settings = {"COST_MODEL": plan.cost_model}
    progress(f"{n_gpus} cards: starting the server ...")
    with running(profile, module=_MODULE, settings=settings) as server:
        for stage in GPU_STAGES:
            server.dashboard.wait_for_replicas(stage, n_gpus, timeout_s=_REPLICAS_TIMEOUT_S)
        return _loaded(plan, n_gpus, server, _check(config))


def _check(config: Mapping[str, Any]) -> str:
    """Whether answers can be compared with what they must be."""
    llm = config["applications"][0]["args"]["llm"]
    return "rules" if llm.get("options", {}).get("rule") == "repeat" else "none"


def _loaded(plan: Plan, n_gpus: int, server: Launched, check: str) -> Step:
    n_speakers = round(_SPEAKERS_PER_GPU * n_gpus) + 1
    settings = {
        "minutes": (_SETTLING_S + plan.seconds) / 60,
        "answer_s": f"{plan.answer_s:g}",
        "pause_s": "0-1",
        "start_s": n_speakers / 2,
        "check": check,
        "seed": plan.seed,
    }
    progress(f"{n_gpus} cards: {n_speakers} speakers")
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(run_load, server.url, n_speakers, settings, plan.processes)
        time.sleep(_SETTLING_S)
        with LoadAverage() as average:
            before = _Snapshot.of(plan, server)
            time.sleep(plan.seconds)
            after = _Snapshot.of(plan, server)
        return _step(n_gpus, n_speakers, load.result(), before, after, average.mean)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    at: float  # seconds since 1970, as turns tell when they were asked
    busy_s: Sequence[float]  # of each card
    cpu_s: Mapping[str, float]

    @classmethod
    def of(cls, plan: Plan, server: Launched) -> "_Snapshot":
        busy_s = [card.busy_s() for card in cards(server.run_folder / "gpus").values()]
        return cls(time.time(), busy_s, tree_cpu_s(plan.root_pid))


def _step(
    n_gpus: int,
    n_speakers: int,
    run: LoadRun,
    before: _Snapshot,
    after: _Snapshot,
    load_average: float,
) -> Step:
    passed_s = after.at - before.at
    outcomes = Counter(r.outcome for r in run.records)
    busy_s = sum(after.busy_s) - sum(before.busy_s)
    return Step(
        n_gpus=n_gpus,
        n_speakers=n_speakers,
        video_s_per_s=round(video_s_between(run.records, before.at, after.at) / passed_s, 3),
        card_use=round(busy_s / passed_s / n_gpus, 3),
        late_share=round(Lateness.of(run.records).share, 5),
        ladder_share=round(ladder_share(run.records), 5),
        n_refused=outcomes["refused"],
        n_failed=sum(outcomes[outcome] for outcome in FAILURES),
        load_average=load_average,
        cores=cores_between(before.cpu_s, after.cpu_s, passed_s),
    )


def video_s_between(records: Iterable[TurnRecord], begin: float, end: float) -> float:
    """Seconds of picture that reached their viewers in a time given in seconds since 1970."""
    made_s = 0.0
    for record in records:
        starts = [start_s for _, start_s in record.arrivals] + [record.video_s]
        for (at_s, start_s), next_s in zip(record.arrivals, starts[1:], strict=True):
            if begin <= record.asked_at + at_s < end:
                made_s += next_s - start_s
    return made_s


def cores_between(
    before: Mapping[str, float], after: Mapping[str, float], passed_s: float
) -> dict[str, float]:
    """Processor time per second by kind of process, the greatest first; a process that has ended
    since counts for nothing."""
    used = {name: (after[name] - before.get(name, 0.0)) / passed_s for name in after}
    by_use = sorted(used.items(), key=lambda item: -item[1])
    return {name: round(cores, 3) for name, cores in by_use if cores >= 0.0005}
