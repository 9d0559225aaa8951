"""How many L4s it takes for so many callers, and what a minute of talking costs.

A fast simulation of the graph on the machines of a cost model. Admission, the order of drawing and
the policy of scaling are the graph's own code; times are the cost model's. It looks for the least
number of cards with which the p95 of TTFF (from the question's last byte to the first fragment,
waiting included) and the video on the ladder stay below a limit and at most 1 % of the turns are
refused.

By default so many people talk all the time, and all cards are there. With --day or --calls they
come over a day, and replicas and cards come and go as the autoscaler says, cold starts included.
Prints tables and, last on stdout, one line of JSON, and draws a picture (PNG and one HTML file).
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import Machine
from benchmarks.plan_calls import (
    DAY_S,
    TALK,
    Lengths,
    Talk,
    day_of_calls,
    read_calls,
    steady_calls,
)
from benchmarks.plan_fleet import Rent
from benchmarks.plan_outcome import Load, Need, Outcome, Simulated, simulate
from benchmarks.plan_plot import cards_figure, day_figure, write_plot
from benchmarks.plan_profile import Layout, read_layout
from benchmarks.plan_report import answer, assumptions, json_of, kept_all_day, who_calls
from benchmarks.plan_search import first_guess, least_cards
from benchmarks.plan_world import OVERHEAD_S, Setup
from benchmarks.report import finish, progress, show, table
from deployments.errors import ConfigError
from graph.preflight import ROOT

PRICE_PER_HOUR = 0.71
"""US dollars for a machine with one L4 and few cores, on demand: an assumption, about what large
clouds ask in 2025. Give your own."""

_CALLERS = 100
_WARM_S = 60.0  # until those who came together no longer go in step
_N_TURNS, _LEAST_S, _MOST_S = 2000, 300.0, 3600.0  # of a steady run: turns that count, seconds
_GARBAGE = 200_000  # objects between two collections: a simulation makes much and drops little

HEADER = (
    "cards", "TTFF p50 s", "p95 s", "waited", "refused", "late", "on the ladder", "cards busy",
    "rented, mean", "cents a talking minute", "enough",
)  # fmt: skip


class Planner:
    """One question: tries numbers of cards and keeps what came of each."""

    def __init__(self, setup: Setup, load: Load, need: Need) -> None:
        self.setup, self.load, self.need = setup, load, need
        self.tried: dict[int, Simulated] = {}

    @property
    def outcomes(self) -> list[Outcome]:
        return [self.tried[n].outcome for n in sorted(self.tried)]

    def attempt(self, n_cards: int) -> Outcome:
        """What so many cards give; asked again, the same answer at once."""
        if n_cards not in self.tried:
            began_s = time.perf_counter()
            setup = replace(self.setup, n_cards=n_cards)
            self.tried[n_cards] = simulate(setup, self.load, self.need, _ticker(n_cards))
            took_s = time.perf_counter() - began_s
            shown = zip(HEADER, row(self.tried[n_cards].outcome), strict=True)
            progress(f"{'  '.join(f'{n}: {v}' for n, v in shown)}  ({took_s:.1f} s)")
        return self.tried[n_cards].outcome

    def least(self) -> int | None:
        """The least number of cards that is enough."""
        n_callers = self.load.most_calls
        guess = first_guess(self.setup.layout, self.setup.talk, n_callers)
        return least_cards(self.attempt, guess)


def _ticker(n_cards: int) -> Callable[[float], None]:
    """Says now and then how far a long simulation is."""
    said_s = time.perf_counter()

    def told(share: float) -> None:
        nonlocal said_s
        if time.perf_counter() - said_s >= 5.0:
            said_s = time.perf_counter()
            progress(f"  {n_cards} cards: {share:.0%}")

    return told


def row(outcome: Outcome) -> list[str]:
    return [
        str(outcome.n_cards),
        f"{outcome.ttff_s.p50:.2f}",
        f"{outcome.ttff_s.p95:.2f}",
        f"{outcome.waited_share:.1%}",
        f"{outcome.refused_share:.2%}",
        f"{outcome.late_share:.2%}",
        f"{outcome.ladder_share:.1%}",
        f"{outcome.busy_share:.0%}",
        f"{outcome.cards_rented_mean:.1f}",
        f"{100 * outcome.price_per_talking_minute:.2f}",
        "yes" if outcome.is_enough else "no",
    ]


def main() -> int:
    """The command."""
    options = _options()
    gc.set_threshold(_GARBAGE)
    machine = Machine()
    try:
        layout = read_layout(options.profile, options.model)
        planner = _planner(options, layout)
        found = options.cards if options.cards else planner.least()
        if options.cards:
            planner.attempt(options.cards)
    except (ConfigError, ValueError, OSError) as error:
        progress(f"error: {error}")
        return 1
    _report(options, planner, found, machine)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.plan",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, who = parser.add_argument, parser.add_mutually_exclusive_group()
    who.add_argument("--callers", type=_count, help="people who talk at the same time, call after "
        f"call (default: {_CALLERS})")  # fmt: skip
    who.add_argument("--day", type=_count, metavar="CALLS", help="so many calls, spread over the "
        "hours of a day by an assumed profile, at random times")  # fmt: skip
    who.add_argument("--calls", type=Path, metavar="FILE", help="a CSV file with the columns start "
        "(seconds, or HH:MM:SS) and duration_s: one line for each call")  # fmt: skip
    add("--cards", type=_count, help="only so many (at most, in a day), instead of looking for the "
        "least that is enough")  # fmt: skip
    add("--ttff-p95-s", type=_positive, default=2.0, help="the limit (default: 2)")
    add("--ladder-share", type=_positive, default=0.05, help="of the video, with a reduced picture "
        "because drawing was late: at most (default: 0.05)")  # fmt: skip
    add("--price-per-hour", type=_positive, default=PRICE_PER_HOUR, help="US dollars for a machine "
        f"with one card, an hour (default: {PRICE_PER_HOUR}, an assumption: about what large "
        "clouds ask on demand)")  # fmt: skip
    add("--model", default="l4-target", help="the cost model: a name in cluster/models, or a file "
        "(default: l4-target)")  # fmt: skip
    add("--profile", default="production", help="fractions, replicas, scaling and settings: a name "
        "in cluster/, or a file (default: production)")  # fmt: skip
    add("--answer-s", type=_positive, default=TALK.answer.mean_s, help="mean seconds of an answer")
    add("--question-s", type=_seconds, default=4.0, help="of a question; 0: typed (default: 4)")
    add("--pause-s", type=_positive, default=TALK.pause.mean_s, help="of thought before it")
    add("--overhead-s", type=_seconds, default=OVERHEAD_S, help="of TTFF that the graph takes "
        f"beside its stages (default: {OVERHEAD_S}, measured)")  # fmt: skip
    add("--card-start-s", type=_seconds, default=Rent().start_s, help="in a day: from the wish for "
        "a card until it can be used (default: 180, an assumption)")  # fmt: skip
    add("--plot", type=Path, default=ROOT / "var" / "plan", help="the picture's files, less .png "
        "and .html (default: var/plan)")  # fmt: skip
    add("--seed", type=int, default=1)
    return parser.parse_args()


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("from 0 on")
    return value


def _positive(text: str) -> float:
    value = _seconds(text)
    if not value:
        raise argparse.ArgumentTypeError("more than 0")
    return value


def _planner(options: argparse.Namespace, layout: Layout) -> Planner:
    is_day = options.day is not None or options.calls is not None
    talk = _talk(options)
    setup = Setup(
        layout,
        n_cards=1,
        talk=talk,
        rent=Rent(start_s=options.card_start_s) if is_day else None,
        overhead_s=options.overhead_s,
        seed=options.seed,
    )
    need = Need(options.ttff_p95_s, options.ladder_share, options.price_per_hour)
    return Planner(setup, _load(options, talk), need)


def _talk(options: argparse.Namespace) -> Talk:
    """Means as asked for; the deviations keep their proportion."""
    question = TALK.question
    return replace(
        TALK,
        pause=_scaled(TALK.pause, options.pause_s),
        question=_scaled(question, options.question_s) if question and options.question_s else None,
        answer=_scaled(TALK.answer, options.answer_s),
    )


def _scaled(lengths: Lengths, mean_s: float) -> Lengths:
    factor = mean_s / lengths.mean_s
    return Lengths(
        mean_s, lengths.deviation_s * factor, lengths.least_s * factor, lengths.most_s * factor
    )


def _load(options: argparse.Namespace, talk: Talk) -> Load:
    if options.calls is not None:
        calls = read_calls(options.calls)
        return Load(calls, 0.0, max(call.end_s for call in calls))
    if options.day is not None:
        return Load(day_of_calls(options.day, options.seed), 0.0, DAY_S)
    n = options.callers or _CALLERS
    counts_s = min(_MOST_S, max(_LEAST_S, _N_TURNS * talk.turn_s / n))
    return Load(steady_calls(n, options.seed, _WARM_S / 2), _WARM_S, _WARM_S + counts_s)


def _report(
    options: argparse.Namespace, planner: Planner, found: int | None, machine: Machine
) -> None:
    setup, need, outcomes = planner.setup, planner.need, planner.outcomes
    who = who_calls(
        options.callers or _CALLERS, options.day, options.calls.name if options.calls else None
    )
    assumed, facts = assumptions(setup, need, who), machine.facts()
    rows = [row(outcome) for outcome in outcomes]
    show("Tried", table(HEADER, rows))
    show("Assumed", table(["what", "how"], [[k, v] for k, v in assumed.items()]))
    title = answer(found, outcomes, who, need)
    show("Answer", title)
    best = planner.tried[found] if found is not None else planner.tried[outcomes[-1].n_cards]
    if setup.rent is not None:
        show("Over the day", kept_all_day(best.outcome, planner.load, need))
    caption = "\n".join(f"{k}: {v}" for k, v in assumed.items())
    figure = (
        cards_figure(outcomes, need, found, title, caption)
        if setup.rent is None
        else day_figure(best, need, title, caption)
    )
    png, page = write_plot(figure, title, HEADER, rows, caption, options.plot)
    show("Drawn", f"{png}\n{page}")
    finish("plan", json_of(found, outcomes, assumed, setup), facts)


if __name__ == "__main__":
    sys.exit(main())
