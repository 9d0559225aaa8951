"""What chaos did to the turns, against what the project promises."""

from collections.abc import Collection, Mapping, Sequence

from benchmarks.chaos_figures import Effect, FaultRun
from benchmarks.load_record import TurnRecord
from benchmarks.load_viewer import LATE_S
from benchmarks.report import Verdict

SAFE_LEAD_S = 2.0
"""A viewer with so much in hand when a replica is struck must notice nothing. Source: issue 3."""

_DISK_FULL = "disk_full"
_JUST_S = 1.0  # a turn that begins so shortly before the disk fills may go either way


def verdicts_of(
    runs: Sequence[FaultRun],
    stage_faults: Collection[str],
    gap_limits_s: Mapping[str, float],
    n_turns: int,
    n_users: int,
) -> list[Verdict]:
    """The figures against what they must reach.

    Args:
        runs: one for each fault.
        stage_faults: the names of those that strike a stage, over which the turns are summed.
        gap_limits_s: how long a viewer may miss the face, by the name of an avatar fault.
        n_turns: how many admitted turns the sum over the stages needs.
        n_users: of the load.
    """
    verdicts = _stage_verdicts([run for run in runs if run.fault in stage_faults], n_turns)
    for run in runs:
        if run.fault in gap_limits_s:
            verdicts += _gap_verdicts(run, gap_limits_s[run.fault], n_users)
        if run.fault in ("redeploy", "scale"):
            verdicts.append(_drain_verdict(run))
        if run.fault == "fill-disk":
            verdicts += _disk_verdicts(run)
    n_turns_seen = sum(len(run.turns) for run in runs)
    n_lost = sum(strike.back_after_s is None for run in runs for strike in run.strikes)
    n_strikes = sum(len(run.strikes) for run in runs)
    return [
        *verdicts,
        _none("turns silently broken, all faults", sum(r.n("broken") for r in runs), n_turns_seen),
        _none("strikes after which it was not as before", n_lost, n_strikes),
    ]


def _none(figure: str, n: int, n_seen: int, note: str = "") -> Verdict:
    """``n`` of ``n_seen`` must be none; not measured where nothing was seen."""
    shown = f"(of {n_seen})" if n_seen else "none was there"
    return Verdict(figure, "0", float(n) if n_seen else None, 0.0, "", note=note or shown)


def _stage_verdicts(runs: Sequence[FaultRun], n_turns: int) -> list[Verdict]:
    n_admitted = sum(run.n_admitted for run in runs)
    struck = [run for run in runs if run.strikes]
    enough = Verdict(
        "turns admitted while stages were struck", f">= {n_turns}", n_admitted, n_turns, "", True
    )
    failed = _none(
        "... neither whole nor on the ladder (nor, by the LLM's loss, shortened and marked)",
        sum(_n_failed(run) for run in runs),
        n_admitted,
    )
    vacuous = _none(
        "kinds of stage faults that never met a call in progress",
        sum(not run.n_struck_at_work for run in struck),
        len(struck),
    )
    return [enough, failed, vacuous]


def _n_failed(run: FaultRun) -> int:
    """Admitted turns that a struck stage cost; only the model's loss may shorten a reply."""
    n_bad = run.n("error", "cut", "broken")
    return n_bad if run.fault == "kill-llm" else n_bad + run.n("shortened")


def _drain_verdict(run: FaultRun) -> Verdict:
    n_bad = run.n("error", "cut", "broken", "shortened")
    figure = f"{run.fault}: turns neither whole nor on the ladder"
    return _none(figure, n_bad, run.n_admitted, run.skipped)


def _gap_verdicts(run: FaultRun, limit_s: float, n_users: int) -> list[Verdict]:
    effects = run.effects() if run.n_in_flight else []
    worst = Verdict(
        f"{run.fault}: gap seen by the viewer, worst",
        f"<= {limit_s:g} s",
        max(effect.gap_s for effect in effects) if effects else None,
        limit_s,
        "s",
        note=run.skipped or f"({run.n_in_flight} stretches in flight, {len(effects)} viewers)",
    )
    safe: list[Effect] = [effect for effect in effects if effect.lead_s >= SAFE_LEAD_S]
    n_noticed = sum(effect.gap_s > LATE_S for effect in safe)
    figure = f"... viewers with >= {SAFE_LEAD_S:g} s in hand who noticed, {n_users} users"
    return [worst, _none(figure, n_noticed, len(safe), run.skipped)]


def _disk_verdicts(run: FaultRun) -> list[Verdict]:
    met = [turn for turn in run.turns for strike in run.strikes if _meets(turn, strike.at)]
    n_lost = sum(turn.outcome not in ("finished", "ladder") for turn in met)
    notes = [strike.note for strike in run.strikes]
    others = [turn for turn in run.turns if turn.outcome in ("error", "cut", "shortened")]
    n_other = sum(turn.code != _DISK_FULL for turn in others)
    return [
        _none("fill-disk: turns in progress that did not end whole", n_lost, len(met), run.skipped),
        _none(
            f"... asked meanwhile and not told 507 {_DISK_FULL}",
            sum(note != f"507 {_DISK_FULL}" for note in notes),
            len(notes),
            run.skipped,
        ),
        _none("... turns that ended otherwise", n_other, len(run.turns), run.skipped),
    ]


def _meets(turn: TurnRecord, at: float) -> bool:
    """Whether the turn was in full progress at ``at``, seconds since 1970."""
    return turn.asked_at + _JUST_S < at < turn.asked_at + turn.end_s
