"""Whether twice the cards make twice the video: the graph on 1, 2, 4 and 8 logical GPUs.

The fakes cost what a cost model says and share each card's time; all else is real and runs on this
machine's cores, load generator included. There are more speakers than the cards can carry, so what
is counted is what the graph makes of them. Prints tables and, last on stdout, one line of JSON.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpus_step import Plan, Step, measured
from benchmarks.load_run import LoadError
from benchmarks.machine import Machine
from benchmarks.report import Verdict, finish, progress, show, table, verdict_table
from benchmarks.server import ServerError

LINEAR_MUST = 0.9
"""Of what the smallest number of cards makes, times how many more there are. Source: issue 4."""

_HEADER = (
    "cards", "speakers", "video s/s", "of linear", "cards at work", "late", "on the ladder",
    "refused", "failed", "cores used", "mean load",
)  # fmt: skip
_N_KINDS = 10


def main() -> int:
    """The command."""
    options = _options()
    machine = Machine()
    plan = Plan(
        profile=options.profile,
        cost_model=options.cost_model,
        root_pid=os.getpid(),
        seconds=options.seconds,
        answer_s=options.answer_s,
        n_ingresses=options.ingresses,
        processes=options.processes,
        seed=options.seed,
    )
    steps: list[Step] = []
    try:
        with tempfile.TemporaryDirectory(prefix="avatar-gpus-") as folder:
            for n_gpus in sorted(options.gpus):
                steps.append(measured(plan, n_gpus, Path(folder)))
                progress(_row(steps[-1], steps[0]))
    except (LoadError, ServerError, TimeoutError) as error:
        progress(f"error: {error}")
        return 1
    _report(steps, options, machine)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--gpus", type=_numbers, default=[1, 2, 4, 8], help="how many cards (default: 1,2,4,8)")
    add("--profile", default="fake-l4", help="a file in cluster/ (default: fake-l4)")
    add("--cost-model", default="l4-target", help="what the fakes cost (default: l4-target)")
    add("--seconds", type=float, default=60.0, help="of each step, after settling (default: 60)")
    add("--answer-s", type=float, default=20.0, help="seconds of speech in an answer (20)")
    add("--ingresses", type=int, default=1, help="replicas of the ingress (default: 1)")
    add("--processes", type=int, default=0, help="Locust's worker processes (default: one in all)")
    add("--seed", type=int, default=1)
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list such as 1,2,4")
    return found


def of_linear(step: Step, first: Step) -> float:
    """Seconds of video per second and card, over those of the first step."""
    return (step.video_s_per_s / step.n_gpus) / (first.video_s_per_s / first.n_gpus)


def _cells(step: Step, first: Step) -> list[str]:
    return [
        str(step.n_gpus),
        str(step.n_speakers),
        f"{step.video_s_per_s:.2f}",
        f"{of_linear(step, first):.2f}",
        f"{step.card_use:.0%}",
        f"{step.late_share:.2%}",
        f"{step.ladder_share:.1%}",
        str(step.n_refused),
        str(step.n_failed),
        f"{sum(step.cores.values()):.2f}",
        f"{step.load_average:.1f}",
    ]


def _row(step: Step, first: Step) -> str:
    return "  ".join(f"{n}: {v}" for n, v in zip(_HEADER, _cells(step, first), strict=True))


def _report(steps: Sequence[Step], options: argparse.Namespace, machine: Machine) -> None:
    facts, first = machine.facts(), steps[0]
    title = f"{options.profile} with {options.cost_model}"
    show(title, table(_HEADER, [_cells(step, first) for step in steps]))
    show("Where this machine's time went, cores", _cores_table(steps))
    verdicts = [
        Verdict(f"{step.n_gpus} cards: video s/s", f">= {LINEAR_MUST} of linear",
                of_linear(step, first), LINEAR_MUST, "", is_minimum=True)
        for step in steps[1:]
    ]  # fmt: skip
    show("Against the target", verdict_table(verdicts))
    show("Measured on", Machine.describe(facts))
    result = {
        "profile": options.profile,
        "cost_model": options.cost_model,
        "seconds": options.seconds,
        "steps": [{**step.json(), "of_linear": round(of_linear(step, first), 3)} for step in steps],
        "verdicts": [verdict.json() for verdict in verdicts],
    }
    finish("gpus", result, facts)


def _cores_table(steps: Sequence[Step]) -> str:
    """The kinds that used most in the last step, and the rest together."""
    kinds = list(steps[-1].cores)[:_N_KINDS]
    rows = [[kind, *(f"{step.cores.get(kind, 0.0):.2f}" for step in steps)] for kind in kinds]
    rest = [sum(c for k, c in step.cores.items() if k not in kinds) for step in steps]
    rows.append(["others", *(f"{cores:.2f}" for cores in rest)])
    return table(["process", *(f"{step.n_gpus} cards" for step in steps)], rows)


if __name__ == "__main__":
    sys.exit(main())
