"""How many people can speak at once on this machine, and what happens to the next one.

Climbs: so many speakers who ask (typed), watch the answer of about 20 s to its end in real time and
ask again, until the p95 of TTFF is above 1.0 s, more than 0.1 % of fragments are late, more than
1 % of the video is on the ladder, or a turn is refused or fails. Prints a table and, last on
stdout, one line of JSON, and draws the curve (PNG and one HTML file). ``--scenario`` runs instead
one of the other load tests that have a figure to reach.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.capacity_plot import caption_of, write_plot
from benchmarks.capacity_scenarios import PAUSE_S, SCENARIOS, Plan, step
from benchmarks.capacity_steps import HEADER, Step, capacity_of
from benchmarks.incoming import AnswerError
from benchmarks.load_run import LoadError, add_server_arguments, serving
from benchmarks.machine import Machine
from benchmarks.report import finish, progress, show, table, verdict_table
from benchmarks.server import Server, ServerError
from graph.preflight import ROOT

_CLIMB = "climb"


def main() -> int:
    """The command."""
    options = _options()
    machine = Machine()
    try:
        with serving(options.url, options.profile, options.port, options.pid) as server:
            result = _climb(options, server, machine) if options.scenario == _CLIMB else (
                _scenario(options, server)
            )  # fmt: skip
    except (LoadError, ServerError, AnswerError, ValueError) as error:
        progress(f"error: {error}")
        return 1
    facts = machine.facts()
    show("Measured on", Machine.describe(facts))
    finish("capacity", {"scenario": options.scenario, **result}, facts)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_server_arguments(parser)
    add = parser.add_argument
    add("--pid", type=int, help="with --url: its launcher's pid, to measure its memory")
    add("--scenario", choices=(_CLIMB, *SCENARIOS), default=_CLIMB)
    add("--start", type=int, default=2, help="climb: speakers of the first step (default: 2)")
    add("--step", type=int, default=2, help="climb: more speakers in each step (default: 2)")
    add("--most", type=int, default=30, help="climb: speakers of the last step (default: 30)")
    add("--fragments", type=int, help="climb: in a step, default 1500, of which 1 may be late; "
        "eight-*: in all, default 5500, of which 5000 must come")  # fmt: skip
    add("--plot", type=Path, default=ROOT / "var" / "capacity",
        help="climb: the curve's files, less .png and .html (default: var/capacity)")  # fmt: skip
    add("--speakers", type=int, default=0, help="others: instead of the scenario's own number")
    add("--capacity", type=int, default=8, help="overload: half of the speakers (default: 8)")
    add("--turns", type=int, default=30, help="beside: of each speaker (default: 30)")
    add("--minutes", type=float, help="overload: default 4; soak: default 30")
    add("--answer-s", type=float, default=20.0, help="seconds of speech in an answer (20)")
    add("--processes", type=int, default=0, help="Locust's worker processes (default: one in all)")
    add("--seed", type=int, default=1)
    return parser.parse_args()


def _plan(options: argparse.Namespace, server: Server) -> Plan:
    is_climb = options.scenario == _CLIMB
    return Plan(
        server,
        n_speakers=options.speakers,
        capacity=options.capacity,
        n_fragments=options.fragments or (1500 if is_climb else 5500),
        n_turns=options.turns,
        minutes=options.minutes or (30.0 if options.scenario == "soak" else 4.0),
        answer_s=options.answer_s,
        processes=options.processes,
        seed=options.seed,
    )


def _scenario(options: argparse.Namespace, server: Server) -> dict[str, Any]:
    found = SCENARIOS[options.scenario](_plan(options, server))
    show("Against the targets", verdict_table(found.verdicts))
    return {**found.result, "verdicts": [verdict.json() for verdict in found.verdicts]}


def _climb(options: argparse.Namespace, server: Server, machine: Machine) -> dict[str, Any]:
    plan, steps = _plan(options, server), list[Step]()
    for n_speakers in range(options.start, options.most + 1, options.step):
        steps.append(step(plan, n_speakers))
        progress("  ".join(f"{n}: {v}" for n, v in zip(HEADER, steps[-1].row(), strict=True)))
        if steps[-1].broke:
            break
    return _report(options, steps, machine)


def _report(options: argparse.Namespace, steps: Sequence[Step], machine: Machine) -> dict[str, Any]:
    carried, facts = capacity_of(steps), machine.facts()
    broke = steps[-1].broke
    show("Speakers at once", table(HEADER, [each.row() for each in steps]))
    end = f"{steps[-1].n_speakers} broke: {broke}" if broke else "nothing broke so far"
    show("Carried", f"{carried} speakers at once, no start-up buffer ({end})")
    about = (
        f"{options.url or options.profile}; typed questions, answers of about "
        f"{options.answer_s:g} s played in real time, pauses {PAUSE_S} s, one arrival a second, "
        f"no start-up buffer; load generator on the same machine"
    )
    png, page = (options.plot.with_suffix(suffix) for suffix in (".png", ".html"))
    write_plot(steps, carried, caption_of(facts, about), png, page)
    show("Drawn", f"{png}\n{page}")
    return {"carried": carried, "broke": broke, "steps": [each.json() for each in steps]}


if __name__ == "__main__":
    sys.exit(main())
