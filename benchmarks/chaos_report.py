"""What ``chaos`` prints: the faults with their sum, what did not end well, and why."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.chaos_figures import Effect, FaultRun
from benchmarks.load_record import Outcome
from benchmarks.report import Verdict, show, table, verdict_table

_HEADER = (
    "fault", "strikes", "at work", "in flight", "admitted", "whole", "ladder", "shortened", "error",
    "cut", "broken", "refused", "back s",
)  # fmt: skip
_GAP_HEADER = (
    "fault", "strikes", "in flight", "viewers", "in hand s, least", "median", "gap s, worst",
    "median", "late fragments",
)  # fmt: skip
_UNWELL: tuple[Outcome, ...] = ("shortened", "error", "cut", "broken")


def show_all(
    runs: Sequence[FaultRun], gap_faults: Sequence[str], verdicts: Sequence[Verdict]
) -> dict[str, Any]:
    """Print the tables; returns the same as JSON has it."""
    done = [run for run in runs if not run.skipped]
    rows = [_row(run) for run in done]
    show("What was struck, and how the turns ended", table(_HEADER, [*rows, _sum(done)]))
    gaps = [run for run in done if run.fault in gap_faults]
    if gaps:
        title = "What viewers saw from a strike to the next one"
        show(title, table(_GAP_HEADER, [_gap_row(run) for run in gaps]))
    if unwell := _unwell(done):
        show("What did not end whole", table(("fault", "outcome", "why", "turns"), unwell))
    if notes := _notes(runs):
        show("Remarks", table(("fault", "remark"), notes))
    show("Against the targets", verdict_table(verdicts))
    return {
        "faults": [_json(run, run.fault in gap_faults) for run in runs],
        "verdicts": [verdict.json() for verdict in verdicts],
    }


def _row(run: FaultRun) -> list[str]:
    backs = [strike.back_after_s for strike in run.strikes if strike.back_after_s is not None]
    return [run.fault, *map(str, _counts(run)), f"{median(backs):.1f}" if backs else "-"]


def _counts(run: FaultRun) -> list[int]:
    ends = [run.n("finished"), run.n("ladder"), *(run.n(o) for o in _UNWELL), run.n("refused")]
    return [len(run.strikes), run.n_struck_at_work, run.n_in_flight, run.n_admitted, *ends]


def _sum(runs: Sequence[FaultRun]) -> list[str]:
    counts = [_counts(run) for run in runs]
    return ["all", *(str(sum(column)) for column in zip(*counts, strict=True)), ""]


def _gap_row(run: FaultRun) -> list[str]:
    effects = run.effects()
    head = [run.fault, str(len(run.strikes)), str(run.n_in_flight), str(len(effects))]
    if not effects:
        return [*head, "-", "-", "-", "-", "-"]
    leads, gaps = [e.lead_s for e in effects], [e.gap_s for e in effects]
    figures = (min(leads), median(leads), max(gaps), median(gaps))
    return [*head, *(f"{value:.2f}" for value in figures), str(_n_late(effects))]


def _n_late(effects: Sequence[Effect]) -> int:
    return sum(effect.n_late for effect in effects)


def _unwell(runs: Sequence[FaultRun]) -> list[list[str]]:
    counts = Counter(
        (run.fault, turn.outcome, turn.code or turn.fault or "marked")
        for run in runs
        for turn in run.turns
        if turn.outcome in _UNWELL
    )
    return [[*key, str(n)] for key, n in sorted(counts.items())]


def _notes(runs: Sequence[FaultRun]) -> list[list[str]]:
    notes = [[run.fault, f"skipped: {run.skipped}"] for run in runs if run.skipped]
    for run in runs:
        said = Counter(strike.note for strike in run.strikes if strike.note)
        notes += [[run.fault, f"{note} ({n} times)"] for note, n in sorted(said.items())]
    return notes


def _json(run: FaultRun, has_viewers: bool) -> dict[str, Any]:
    if run.skipped:
        return {"fault": run.fault, "skipped": run.skipped}
    names = [name.replace(" ", "_") for name in _HEADER[1:-1]]
    effects = run.effects() if has_viewers else []
    return {
        "fault": run.fault,
        **dict(zip(names, _counts(run), strict=True)),
        "back_s": [s.back_after_s and round(s.back_after_s, 2) for s in run.strikes],
        "viewers": [
            {"in_hand_s": round(e.lead_s, 3), "gap_s": round(e.gap_s, 3), "n_late": e.n_late}
            for e in effects
        ],
    }
