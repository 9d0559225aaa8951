"""The real graph on fakes and logical cards under a load that the planner can simulate as well."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.capacity_steps import FAILURES
from benchmarks.gpus_step import video_s_between
from benchmarks.load_record import TurnRecord
from benchmarks.load_run import run_load
from benchmarks.plan_calls import Lengths, Talk
from benchmarks.plan_profile import ON_CARDS, Layout
from benchmarks.report import Spread, progress
from benchmarks.server import Launched, running
from deployments.tts.fake import FakeTts
from graph.preflight import LAUNCH_KEY, PROFILES

_SENTENCE = "Each sentence is drawn while the next one is being made, and so on"
_N_SENTENCES = 2
_QUESTION_S, _PAUSE_S = (3.0, 5.0), (0.0, 1.0)
_SETTLING_S = 30.0  # until those who came one after the other no longer go in step
_CPU_SHARE = 0.01  # of each replica, for scheduling only
_REPLICAS_TIMEOUT_S = 180.0

_CLUSTER = "benchmarks.gpus_cluster"
"""The launcher with a node for each card."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What so many speakers were shown; ``video_s_per_s`` is of all together."""

    n_cards: int
    n_speakers: int
    ttff_s: Spread
    video_s_per_s: float
    n_refused: int
    n_failed: int
    late_share: float


def check_talk() -> Talk:
    """What people say in both: every answer is the same two sentences of the fake language model,
    hummed by the fake voice."""
    voice = FakeTts.Settings()
    sentence_s = len(_SENTENCE + ".") * voice.letter_s + voice.lead_s + voice.pause_s
    answer_s = _N_SENTENCES * sentence_s
    return Talk(
        pause=_even(*_PAUSE_S),
        question=_even(*_QUESTION_S),
        answer=Lengths(answer_s, 0.0, answer_s, answer_s),
        sentence_s=sentence_s,
        is_asked_at_once=True,
    )


def _even(low_s: float, high_s: float) -> Lengths:
    """Mean, deviation and ends of what is evenly spread."""
    return Lengths((low_s + high_s) / 2, (high_s - low_s) / 12**0.5, low_s, high_s)


@contextmanager
def graph_on(layout: Layout, n_cards: int) -> Iterator[Launched]:
    """The profile on so many logical cards, each with the replicas that the planner puts there.

    Raises:
        ServerError: it did not start.
        TimeoutError: replicas are missing.
    """
    config = yaml.safe_load((PROFILES / f"{layout.profile}.yaml").read_text())
    with TemporaryDirectory(prefix="avatar-plan-") as folder:
        profile = Path(folder, "check.yaml")
        profile.write_text(yaml.safe_dump(_fixed(config, layout, n_cards)))
        settings = {"LOGICAL_GPUS": str(n_cards), "COST_MODEL": layout.model_name}
        with running(profile, module=_CLUSTER, settings=settings) as server:
            for name, stage in layout.stages.items():
                n = stage.most(n_cards)
                server.dashboard.wait_for_replicas(name, n, timeout_s=_REPLICAS_TIMEOUT_S)
            yield server


def _fixed(config: Mapping[str, Any], layout: Layout, n_cards: int) -> dict[str, Any]:
    """The profile without scaling, and with an answer of which the length is known."""
    application = dict(config["applications"][0])
    application.pop("autoscaling_policy", None)
    args = {k: dict(v) if isinstance(v, Mapping) else v for k, v in application["args"].items()}
    text = " ".join([_SENTENCE + "."] * _N_SENTENCES)
    args["llm"] = {**args["llm"], "options": {"text": text}}
    deployments = [_placed(one, layout, n_cards) for one in application["deployments"]]
    application = {**application, "args": args, "deployments": deployments}
    launch = {**config.get(LAUNCH_KEY, {}), "logical_gpus": n_cards}
    return {**config, LAUNCH_KEY: launch, "applications": [application]}


def _placed(deployment: Mapping[str, Any], layout: Layout, n_cards: int) -> dict[str, Any]:
    placed, name = dict(deployment), deployment["name"]
    options = placed.get("ray_actor_options") or {}
    placed["ray_actor_options"] = {**options, "num_cpus": _CPU_SHARE}
    if name in ON_CARDS:
        n = layout.stages[name].most(n_cards)
        placed.pop("num_replicas", None)
        placed["autoscaling_config"] = {"min_replicas": n, "max_replicas": n}
        placed["max_replicas_per_node"] = ceil(n / n_cards)
    return placed


def measured(url: str, n_cards: int, n_speakers: int, seconds: float, seed: int) -> Measured:
    """Let so many people speak for so long, and look at all but the beginning.

    Raises:
        LoadError: the load test did not run.
    """
    progress(f"{n_cards} cards, {n_speakers} speakers: the real graph")
    settings = {
        "minutes": (_SETTLING_S + seconds) / 60,
        "question": "spoken",
        "question_s": f"{_QUESTION_S[0]:g}-{_QUESTION_S[1]:g}",
        "pause_s": f"{_PAUSE_S[0]:g}-{_PAUSE_S[1]:g}",
        "start_s": n_speakers,
        "check": "none",
        "seed": seed,
    }
    records = run_load(url, n_speakers, settings).records
    begin = min(record.asked_at for record in records) + _SETTLING_S
    return _seen(n_cards, n_speakers, records, begin, begin + seconds)


def _seen(
    n_cards: int, n_speakers: int, records: Sequence[TurnRecord], begin: float, end: float
) -> Measured:
    counted = [record for record in records if begin <= record.asked_at < end]
    outcomes = Counter(record.outcome for record in counted)
    n_fragments = max(1, sum(record.n_fragments for record in counted))
    return Measured(
        n_cards=n_cards,
        n_speakers=n_speakers,
        ttff_s=Spread.of([r.ttff_s for r in counted if r.ttff_s is not None] or [0.0]),
        video_s_per_s=video_s_between(records, begin, end) / (end - begin),
        n_refused=outcomes["refused"],
        n_failed=sum(outcomes[outcome] for outcome in FAILURES),
        late_share=sum(record.n_late for record in counted) / n_fragments,
    )
