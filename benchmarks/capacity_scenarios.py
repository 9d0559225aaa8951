"""The load scenarios with a figure to reach: each prints its own and returns it for the JSON."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.capacity_steps import FAILURES, Step, turns_for
from benchmarks.load_average import LoadAverage
from benchmarks.load_record import OFFSET_LEAST_MS, OFFSET_MOST_MS, TurnRecord
from benchmarks.load_report import Lateness, ladder_share, show_summary, spread
from benchmarks.load_run import LoadRun, run_load
from benchmarks.load_waits import Honesty, Returned, queue_waits, refused_waits
from benchmarks.memory_trend import GRAIN_MB, Memory, MemorySampler
from benchmarks.report import Verdict, progress, show, table
from benchmarks.server import Server

LATE_MUST, TTFF_P95_MUST_S, FRAGMENTS_MUST = 0.001, 1.5, 5000
BESIDE_MUST = 1.5
REFUSAL_P95_MUST_S, HONESTY_MUST, OVERLOAD_LATE_MUST = 0.2, 0.30, 0.01
"""Source of all: issue 3."""

PAUSE_S = "0-1"
"""Between turns where speakers are to speak all the time, and yet not in step."""

_IMPATIENT_SHARE = 0.25
"""Of those refused in the overload. The server keeps a place for each whom it told when to come;
one who comes early leaves it empty, so that more of them would be another load."""

_SETTLING_SHARE = 0.2  # of a soak, in which caches fill
_SAMPLE_EVERY_S = 10.0
_N_LAST = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What every scenario can be told. ``n_speakers`` 0 is the scenario's own number."""

    server: Server
    n_speakers: int = 0
    capacity: int = 8
    n_fragments: int = FRAGMENTS_MUST
    n_turns: int = 30
    minutes: float = 30.0
    answer_s: float = 20.0
    processes: int = 0
    seed: int = 1

    def load(self, users: int, **settings: Any) -> LoadRun:
        """One load test against the server; its tables come when all is done."""
        about = ", ".join(f"{name} {value}" for name, value in settings.items())
        progress(f"{users} users: {about}")
        return run_load(self.server.url, users, {"seed": self.seed, **settings}, self.processes)

    def speaking(self, users: int, *, n_fragments: int, start_s: float, buffer_s: float = 0.0
                 ) -> LoadRun:  # fmt: skip
        """``users`` who speak all the time, typed, until so many fragments have come."""
        return self.load(
            users,
            turns=turns_for(n_fragments, users, self.answer_s),
            answer_s=f"{self.answer_s:g}",
            pause_s=PAUSE_S,
            start_s=start_s,
            buffer_s=buffer_s,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a scenario measured, against what it must reach."""

    verdicts: Sequence[Verdict]
    result: Mapping[str, Any] = field(default_factory=dict)


def eight_spread(plan: Plan) -> Found:
    """Eight who arrive within eight seconds, and no start-up buffer."""
    n = plan.n_speakers or 8
    run = plan.speaking(n, n_fragments=plan.n_fragments, start_s=8.0)
    return _together(f"{n} arriving over 8 s, no buffer", run)


def eight_together(plan: Plan) -> Found:
    """Eight who start at the same moment, with a buffer of 0.3 s."""
    n = plan.n_speakers or 8
    run = plan.speaking(n, n_fragments=plan.n_fragments, start_s=0.0, buffer_s=0.3)
    return _together(f"{n} starting together, 0.3 s buffer", run)


def _together(title: str, run: LoadRun) -> Found:
    show_summary(run.figures)
    late, ttff = Lateness.of(run.records), spread(run.records, lambda r: r.ttff_s)
    n_bad = sum(r.outcome in (*FAILURES, "refused") for r in run.records)
    verdicts = [
        Verdict(f"{title}: late fragments", f"<= {LATE_MUST:.1%}", late.share * 100,
                LATE_MUST * 100, "%", note=_late_note(run.records)),
        Verdict(f"{title}: TTFF p95", f"<= {TTFF_P95_MUST_S} s", ttff.p95, TTFF_P95_MUST_S, "s"),
        Verdict(f"{title}: fragments", f">= {FRAGMENTS_MUST}", late.n_fragments, FRAGMENTS_MUST,
                "", is_minimum=True),
        Verdict(f"{title}: refused or failed", "0", n_bad, 0, "turns"),
    ]  # fmt: skip
    return Found(verdicts, {"load": _figures(run)})


def _late_note(records: Sequence[TurnRecord]) -> str:
    """Never without the ladder: video that was not drawn costs nothing, and so is on time."""
    late = Lateness.of(records)
    return (f"({late.n_late} of {late.n_fragments}; {ladder_share(records):.2%} of the video on "
            f"the ladder)")  # fmt: skip


def _failed(records: Sequence[TurnRecord]) -> Verdict:
    """Nobody was let in for nothing; a refusal is an answer."""
    n = Counter(r.outcome for r in records)
    n_let_in = len(records) - n["refused"]
    parts = ", ".join(f"{n[outcome]} {outcome}" for outcome in (*FAILURES, "shortened"))
    return Verdict("failed or broken", "0", sum(n[outcome] for outcome in FAILURES) if n_let_in
                   else None, 0, "turns", note=f"(of {n_let_in}: {parts})")  # fmt: skip


def beside(plan: Plan) -> Found:
    """One who asks by voice, alone and then beside five others, with the same questions."""
    settings = {"question": "spoken", "pause_s": "0-5"}
    alone = plan.load(1, turns=plan.n_turns, **settings)
    n = plan.n_speakers or 6
    crowd = plan.load(n, turns=plan.n_turns * n, start_s=5.0, **settings)
    show_summary(crowd.figures)
    first = [r for r in crowd.records if r.user == 0]
    by = {
        "alone": spread(alone.records, lambda r: r.ttff_s),
        "the same beside others": spread(first, lambda r: r.ttff_s),
        "all of them": spread(crowd.records, lambda r: r.ttff_s),
    }
    rows = [[who, f"{s.p50:.3f}", f"{s.p95:.3f}", str(s.n)] for who, s in by.items()]
    show("TTFF of spoken questions, s", table(["speaker", "p50", "p95", "n"], rows))
    p50_s, alone_s = by["the same beside others"].p50, by["alone"].p50
    verdict = Verdict(
        f"TTFF p50 of one beside {n - 1} others, over alone", f"<= {BESIDE_MUST}",
        p50_s / alone_s if alone_s else None, BESIDE_MUST, "",
        note=f"({p50_s:.3f} / {alone_s:.3f} s; of all {by['all of them'].p50:.3f} s)",
    )  # fmt: skip
    show("Late fragments beside others", f"{Lateness.of(crowd.records).share:.3%} "
         f"{_late_note(crowd.records)}")  # fmt: skip
    json = {who.replace(" ", "_"): each.json() for who, each in by.items()}
    failed = _failed([*alone.records, *crowd.records])
    return Found([verdict, failed], {"ttff_s": json, "load": _figures(crowd)})


def overload(plan: Plan) -> Found:
    """Twice as many as the machine carries; most come back when they are told to."""
    n = plan.n_speakers or 2 * plan.capacity
    run = plan.load(
        n, minutes=plan.minutes, answer_s=f"{plan.answer_s:g}", pause_s=PAUSE_S, start_s=n / 2,
        impatient=_IMPATIENT_SHARE,
    )  # fmt: skip
    show_summary(run.figures)
    at_once = [r for r in run.records if r.outcome == "refused" and not r.was_queued]
    refusal = spread(at_once, lambda r: r.end_s)
    late = Lateness.of(run.records)
    verdicts = [
        Verdict("time to refusal, p95", f"<= {REFUSAL_P95_MUST_S} s",
                refusal.p95 if at_once else None, REFUSAL_P95_MUST_S, "s",
                note=f"({refusal.n} at once)" if at_once else "nobody was refused at once"),
        *_honesty_verdicts(run.records),
        Verdict("late fragments of those let in", f"<= {OVERLOAD_LATE_MUST:.0%}",
                100 * late.share if late.n_fragments else None, 100 * OVERLOAD_LATE_MUST, "%",
                note=_late_note(run.records)),
        _failed(run.records),
    ]  # fmt: skip
    return Found(verdicts, {"load": _figures(run)})


def _honesty_verdicts(records: Sequence[TurnRecord]) -> list[Verdict]:
    """Of waits that can be shorter than predicted as well as longer; the rest is in the note."""
    queue, early, as_told = (
        Honesty.of(queue_waits(records)),
        Honesty.of(refused_waits(records, is_impatient=True)),
        Honesty.of(refused_waits(records, is_impatient=False)),
    )
    again = Returned.of(records)
    told = "-" if as_told.median is None else f"{as_told.median:.0%}"
    beside = (f"; as told {told} of {as_told.note}, "
              f"{again.n_refused} of {again.n} refused a second time")  # fmt: skip
    return [
        _honest("in the queue", queue, f"({queue.note})"),
        _honest("refused, asked early and often", early, f"({early.note}{beside})"),
    ]


def _honest(who: str, found: Honesty, note: str) -> Verdict:
    return Verdict(
        f"predicted wait off the real one, median: {who}", f"<= {HONESTY_MUST:.0%}",
        None if found.median is None else 100 * found.median, 100 * HONESTY_MUST, "%", note=note,
    )  # fmt: skip


def soak(plan: Plan) -> Found:
    """A long time of everything: typed and spoken, people who leave, people who read slowly."""
    if plan.server.pid is None:
        raise ValueError("give --pid with --url, so that the server's memory can be read")
    with MemorySampler(plan.server.pid, _SAMPLE_EVERY_S) as sampler:
        run = plan.load(
            plan.n_speakers or 5, minutes=plan.minutes, question="mixed", pause_s="0-5",
            answer_s="5-20", leave=0.1, slow=0.05, slow_bytes_s=60_000,
        )  # fmt: skip
    show_summary(run.figures)
    show("Late fragments", f"{Lateness.of(run.records).share:.3%} {_late_note(run.records)}")
    memory = Memory.of(sampler.samples, _SETTLING_SHARE)
    rows = [[t.process, f"{t.mean_mb:.1f}", f"{t.growth_mb:+.2f}", f"{t.noise_mb:.2f}"]
            for t in (*memory.lasting, memory.total) if t is not None]  # fmt: skip
    header = ["process", "mean MB", "growth MB", "noise MB"]
    show(f"Memory (PSS) over the last {1 - _SETTLING_SHARE:.0%} of the time", table(header, rows))
    verdicts = [
        *_memory_verdicts(memory),
        *_offset_verdicts(run.records),
        _failed(run.records),
    ]  # fmt: skip
    result = {"memory": memory.json(), "load": _figures(run)}
    return Found(verdicts, result)


def _memory_verdicts(memory: Memory) -> list[Verdict]:
    """A process that is replaced takes its growth with it, and so may not be."""
    worst = memory.lasting[0] if memory.lasting else None
    passing = ", ".join(memory.passing)
    return [
        Verdict("growth beyond its noise, worst process", f"<= {GRAIN_MB:g} MB",
                worst.beyond_noise_mb if worst else None, GRAIN_MB, "MB",
                note=f"({worst.process})" if worst else "too short to tell"),
        Verdict("processes that came or went", "0",
                None if memory.total is None else len(memory.passing), 0, "",
                note=f"({passing})" if passing else ""),
    ]  # fmt: skip


def _offset_verdicts(records: Sequence[TurnRecord]) -> list[Verdict]:
    """Of the last answers that came whole."""
    offsets = [r.av_offset_ms for r in records if r.is_whole and r.av_offset_ms is not None]
    last = offsets[-_N_LAST:]
    note = f"(last {len(last)} answers)" if last else "no answer came whole"
    return [
        Verdict("av_offset_ms at the end, least", f">= {OFFSET_LEAST_MS:g} ms",
                min(last, default=None), OFFSET_LEAST_MS, "ms", is_minimum=True, note=note),
        Verdict("av_offset_ms at the end, most", f"<= {OFFSET_MOST_MS:g} ms",
                max(last, default=None), OFFSET_MOST_MS, "ms", note=note),
    ]  # fmt: skip


def step(plan: Plan, n_speakers: int) -> Step:
    """One step of the climb: ``n_speakers`` who arrive one a second."""
    with LoadAverage() as load:
        run = plan.speaking(n_speakers, n_fragments=plan.n_fragments, start_s=float(n_speakers))
    return Step.of(n_speakers, run.records, run.figures["wall_s"], load.mean)


def _figures(run: LoadRun) -> dict[str, Any]:
    return {name: value for name, value in run.figures.items() if name != "machine"}


SCENARIOS: Mapping[str, Callable[[Plan], Found]] = {
    "eight-spread": eight_spread,
    "eight-together": eight_together,
    "beside": beside,
    "overload": overload,
    "soak": soak,
}
