"""From one caller to six and back: how soon the stages have the replicas for it, and lose them.

The graph runs on logical cards with the fakes of ``fake-l4``; scheduler, admission and autoscaler
are the real ones. One caller talks all the time, in long answers; then five more come at once, stay
for a while and leave together. Prints tables and, last on stdout, one line of JSON.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from typing import Any

import yaml

from benchmarks.capacity_steps import FAILURES
from benchmarks.load_average import LoadAverage
from benchmarks.load_record import TurnRecord
from benchmarks.load_report import Lateness, ladder_share, spread
from benchmarks.load_run import LoadError, run_load
from benchmarks.machine import Machine
from benchmarks.placement import Stage, stages_of
from benchmarks.report import Verdict, finish, progress, show, table, verdict_table
from benchmarks.server import Launched, ServerError, running
from benchmarks.steps_watch import Watch, watching
from deployments.cost_model import CostModel, read_cost_model
from deployments.logical_gpu import cards
from graph.preflight import MODELS, PROFILES

PROFILE = "fake-l4"
UP_WITHIN_S = 10.0
"""Beside the time in which a model loads. Source: issue 4."""

DRAIN_S = 10.0
"""What a replica that is told to go may take: its stream in progress, and Serve's next look."""

_LONG_ANSWER_S, _ANSWER_S = 60, 20  # the one who stays is in the middle of an answer all the time
_MARGIN_S = 20.0
_AT_WORK_S = 1.0  # of a card, less than that is no work


@dataclass(frozen=True, slots=True)
class Plan:
    """The run: callers before and after the step, the cards there are, and how long it lasts."""

    n_few: int
    n_many: int
    n_cards: int
    alone_s: float
    together_s: float
    down_s: float  # the stages' downscale_delay_s

    @property
    def all_s(self) -> float:
        """In which the first ones ask; the last moments are to see the replicas go."""
        return self.alone_s + self.together_s + 2 * _ANSWER_S + self.down_s + _MARGIN_S


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen. Moments are seconds since 1970."""

    up_at: float
    down_at: float
    watch: Watch
    first: Sequence[TurnRecord]
    more: Sequence[TurnRecord]
    n_cards_at_work: int
    load_average: float

    @property
    def records(self) -> list[TurnRecord]:
        return [*self.first, *self.more]

    @property
    def n_cut(self) -> int:
        outcomes = Counter(record.outcome for record in self.records)
        return sum(outcomes[outcome] for outcome in (*FAILURES, "shortened"))


def main() -> int:
    """The command."""
    options = _options()
    machine = Machine()
    config = yaml.safe_load((PROFILES / f"{PROFILE}.yaml").read_text())
    model = read_cost_model(MODELS / f"{options.cost_model}.yaml")
    stages, plan = stages_of(config), _plan(options, config)
    settings = {"LOGICAL_GPUS": str(plan.n_cards), "COST_MODEL": options.cost_model}
    progress(f"starting the server on {plan.n_cards} cards ...")
    try:
        with running(PROFILE, settings=settings) as server:
            outcome = _measured(plan, server, [stage.name for stage in stages])
    except (LoadError, ServerError) as error:
        progress(f"error: {error}")
        return 1
    return _report(plan, outcome, stages, model, machine)


def needed(stages: Sequence[Stage], n_turns: int) -> dict[str, int]:
    """Replicas that carry so many turns at the same moment, by stage."""
    return {s.name: max(s.n_min, ceil(n_turns / s.turns_per_replica)) for s in stages}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.steps",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--few", type=int, default=1, help="callers before and after (default: 1)")
    add("--many", type=int, default=6, help="callers in between (default: 6)")
    add("--cards", type=int, default=6, help="logical GPUs (default: 6)")
    add("--alone-s", type=float, default=20.0, help="before the step (default: 20)")
    add("--together-s", type=float, default=60.0, help="after it (default: 60)")
    add("--cost-model", default="l4-target", help="what the fakes cost (default: l4-target)")
    return parser.parse_args()


def _plan(options: argparse.Namespace, config: Mapping[str, Any]) -> Plan:
    (application,) = config["applications"]
    delays = [
        one["autoscaling_config"]["downscale_delay_s"]
        for one in application["deployments"]
        if one["ray_actor_options"].get("num_gpus")
    ]
    return Plan(
        options.few, options.many, options.cards, options.alone_s, options.together_s, max(delays)
    )


def _measured(plan: Plan, server: Launched, stages: Sequence[str]) -> Outcome:
    with (
        ThreadPoolExecutor(2) as pool,
        LoadAverage() as load_average,
        watching(server.dashboard, stages) as watch,
    ):
        progress(f"{plan.n_few} caller(s), then {plan.n_many} ...")
        few = pool.submit(_conversations, server.url, plan.n_few, plan.all_s, _LONG_ANSWER_S)
        time.sleep(plan.alone_s)
        before = _busy_s(server)
        n_more = plan.n_many - plan.n_few
        more = pool.submit(_conversations, server.url, n_more, plan.together_s, _ANSWER_S).result()
        after = _busy_s(server)
        progress(f"{plan.n_few} caller(s) again ...")
        first = few.result()
    n_at_work = sum(after[c] - before.get(c, 0.0) > _AT_WORK_S for c in after)
    up_at = min(record.asked_at for record in more)
    down_at = max(record.asked_at + record.end_s for record in more)
    return Outcome(up_at, down_at, watch, first, more, n_at_work, load_average.mean)


def _conversations(url: str, users: int, seconds: float, answer_s: float) -> list[TurnRecord]:
    settings = {"minutes": seconds / 60, "answer_s": f"{answer_s:g}", "pause_s": "0-1", "seed": 1}
    return run_load(url, users, settings).records


def _busy_s(server: Launched) -> dict[str, float]:
    """Of each card that anybody was put on so far."""
    return {name: card.busy_s() for name, card in cards(server.run_folder / "gpus").items()}


def _report(
    plan: Plan,
    outcome: Outcome,
    stages: Sequence[Stage],
    model: CostModel,
    machine: Machine,
) -> int:
    few, many = needed(stages, plan.n_few), needed(stages, plan.n_many)
    load_s = max(getattr(model, stage.name).load_s for stage in stages)
    up_s = _since(outcome.up_at, outcome.watch.enough_at(many, outcome.up_at))
    down_s = _since(outcome.down_at, outcome.watch.down_at(few, outcome.down_at))
    verdicts = [
        Verdict("enough replicas after the step", f"<= {UP_WITHIN_S:g} s + {load_s:g} s of loading",
                up_s, UP_WITHIN_S + load_s, "s", note="" if up_s is not None else "never enough"),
        Verdict("back down after they left", f"<= {plan.down_s:g} s + {DRAIN_S:g} s of draining",
                down_s, plan.down_s + DRAIN_S, "s", note="" if down_s is not None else "never"),
        Verdict("answers cut", "0", float(outcome.n_cut), 0.0, ""),
    ]  # fmt: skip
    by_stage = _by_stage(outcome, few, many)
    show("Replicas", _stage_table(by_stage))
    show("Callers", _caller_table(outcome))
    show("What it must reach", verdict_table(verdicts))
    facts = machine.facts()
    print(f"\n{outcome.n_cards_at_work} of {plan.n_cards} cards at work; mean load average "
          f"{outcome.load_average}\n{Machine.describe(facts)}")  # fmt: skip
    result = {
        "few": plan.n_few,
        "many": plan.n_many,
        "cards": plan.n_cards,
        "cards_at_work": outcome.n_cards_at_work,
        "stages": by_stage,
        "outcomes": dict(Counter(record.outcome for record in outcome.records)),
        "late_share": round(Lateness.of(outcome.records).share, 6),
        "verdicts": [verdict.json() for verdict in verdicts],
        "load_average": outcome.load_average,
        "seen": [[round(s.at - outcome.up_at, 1), s.running, s.present]
                 for s in outcome.watch.sights],
    }  # fmt: skip
    finish("steps", result, facts)
    return 0 if all(verdict.is_ok for verdict in verdicts) else 1


def _since(begin: float, moment: float | None) -> float | None:
    return None if moment is None else moment - begin


def _by_stage(
    outcome: Outcome, few: Mapping[str, int], many: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    watch, most = outcome.watch, outcome.watch.most()
    return {
        stage: {
            "few": few[stage],
            "many": many[stage],
            "most": most.get(stage, 0),
            "up_s": _rounded(outcome.up_at, watch.enough_at({stage: many[stage]}, outcome.up_at)),
            "down_s": _rounded(
                outcome.down_at, watch.down_at({stage: few[stage]}, outcome.down_at)
            ),
        }
        for stage in many
    }


def _rounded(begin: float, moment: float | None) -> float | None:
    passed_s = _since(begin, moment)
    return None if passed_s is None else round(passed_s, 1)


def _stage_table(by_stage: Mapping[str, Mapping[str, Any]]) -> str:
    header = ["stage", "for few", "for many", "most", "enough after s", "down after s"]
    names = ("few", "many", "most", "up_s", "down_s")
    rows = [[stage, *(_shown(row[name]) for name in names)] for stage, row in by_stage.items()]
    return table(header, rows)


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:g}"


def _caller_table(outcome: Outcome) -> str:
    rows = []
    for name, records in (("who stayed", outcome.first), ("who came and left", outcome.more)):
        ttff, outcomes = spread(records, lambda r: r.ttff_s), Counter(r.outcome for r in records)
        late = Lateness.of(records)
        rows.append([
            name, str(len(records)), ", ".join(f"{n} {kind}" for kind, n in outcomes.items()),
            f"{ttff.p50:.2f}", f"{ttff.p95:.2f}", f"{late.n_late} of {late.n_fragments}",
            f"{ladder_share(list(records)):.1%}",
        ])  # fmt: skip
    return table(
        ["callers", "turns", "outcomes", "TTFF p50 s", "p95 s", "late", "on the ladder"], rows
    )


if __name__ == "__main__":
    sys.exit(main())
