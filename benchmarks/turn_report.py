"""What ``turn_latency`` prints of what it measured, and what that must reach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.client import Answer
from benchmarks.composed import ComposedTurn
from benchmarks.report import Spread, Verdict, show, table, verdict_table

TTFF_P50_S, TTFF_P95_S = 0.35, 0.55
STORY_RTF, STORY_LEAST_S = 0.20, 20.0
SEQUENTIAL_RATIO = 4.0
SERVE_COST_MS = 80.0
MEMORY_GB = 2.5

Spreads = Mapping[str, Mapping[str, Spread]]
"""By figure, then by who was measured."""

_COLUMNS = ("served", "in-process", "sequential")

_SHOWN = (
    ("ttff_ms", "TTFF, at the client"),
    ("ttfa_ms", "TTFA, at the client"),
    ("turn_ms", "turn"),
    ("rtf", "RTF of the turn"),
    ("decode_ms", "  decode"),
    ("asr_ms", "  ASR"),
    ("llm_first_token_ms", "  LLM, first token"),
    ("llm_ms", "  LLM, whole"),
    ("tts_first_audio_ms", "  TTS, first audio"),
    ("avatar_first_frame_ms", "  avatar, first frames"),
    ("server_ttfa_ms", "  TTFA, by its own clock"),
    ("server_ttff_ms", "  TTFF, by its own clock"),
    ("speech_ms", "  whole speech"),
    ("frames_ms", "  all frames drawn"),
    ("file_ms", "  file muxed"),
)


@dataclass(frozen=True, slots=True)
class Round:
    """One question, answered by all three; whoever comes first changes from round to round."""

    served: Answer
    in_process: ComposedTurn
    sequential: ComposedTurn

    @property
    def serve_cost_s(self) -> float:
        """What Serve and HTTP add until the first fragment."""
        return self.served.first_fragment_s - self.in_process.ttff_s


@dataclass(frozen=True, slots=True)
class Story:
    """A long reply that nobody watches while it is made."""

    waited_s: float
    audio_s: float

    @property
    def rtf(self) -> float:
        return self.waited_s / self.audio_s


@dataclass
class Measured:
    """All that one run found out. ``memory`` is bytes by process, ``None`` where it is unknown
    what belongs to the server."""

    rounds: list[Round] = field(default_factory=list)
    long_rounds: list[Round] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    memory_at_start: dict[str, int] | None = None
    memory: dict[str, int] | None = None
    face: dict[str, Any] = field(default_factory=dict)


def spreads_of(rounds: Sequence[Round]) -> dict[str, dict[str, Spread]]:
    """Every figure of every way to answer; ms, but for the RTF."""
    found: dict[str, dict[str, list[float]]] = {}
    for one in rounds:
        for column, figures in zip(_COLUMNS, _figures(one), strict=True):
            for name, value in figures.items():
                found.setdefault(name, {}).setdefault(column, []).append(value)
    return {
        name: {column: Spread.of(values) for column, values in by_column.items()}
        for name, by_column in found.items()
    }


def _figures(one: Round) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    served = _own(one.served.timings)
    served |= {
        "ttff_ms": one.served.first_fragment_s * 1000,
        "ttfa_ms": one.served.first_audio_s * 1000,
        "turn_ms": one.served.end_s * 1000,
        "rtf": one.served.rtf,
    }
    within, after = one.in_process, one.sequential
    return (
        served,
        _own(within.timings)
        | {
            "ttff_ms": within.ttff_s * 1000,
            "turn_ms": within.turn_s * 1000,
            "rtf": within.turn_s / within.audio_s,
        },
        after.timings
        | {
            "ttff_ms": after.ttff_s * 1000,
            "turn_ms": after.turn_s * 1000,
            "rtf": after.turn_s / after.audio_s,
        },
    )


def _own(timings: Mapping[str, Any]) -> dict[str, float]:
    """What a turn says of itself, its totals under names of their own."""
    totals = {"ttfa_ms": "server_ttfa_ms", "ttff_ms": "server_ttff_ms"}
    return {
        totals.get(name, name): value
        for name, value in timings.items()
        if isinstance(value, float) and name not in ("turn_ms", "rtf", "audio_s")
    }


def verdicts_of(measured: Measured) -> list[Verdict]:
    """The figures against what they must reach, drawing aside."""
    ttff = Spread.of([one.served.first_fragment_s for one in measured.rounds])
    fragment_later_s = [_audio_lag_s(one) for one in measured.rounds]
    cost = Spread.of([one.serve_cost_s * 1000 for one in measured.rounds])
    return [
        Verdict("TTFF at the client, p50", f"<= {TTFF_P50_S} s", ttff.p50, TTFF_P50_S, "s"),
        Verdict("TTFF at the client, p95", f"<= {TTFF_P95_S} s", ttff.p95, TTFF_P95_S, "s"),
        Verdict("TTFA - TTFF, worst turn", "<= 0 s", max(fragment_later_s), 0.0, "s"),
        _story_verdict(measured),
        _ratio_verdict(measured),
        Verdict(
            "Serve's cost, TTFF served - in-process, p50",
            f"<= {SERVE_COST_MS:.0f} ms",
            cost.p50,
            SERVE_COST_MS,
            "ms",
            note=f"(p95 {cost.p95:.0f})",
        ),
        _memory_verdict(measured),
    ]


def _audio_lag_s(one: Round) -> float:
    """How much later sound came than picture, at the client or by the server's clock."""
    timings = one.served.timings
    by_server_s = float(timings["ttfa_ms"] - timings["ttff_ms"]) / 1000
    return max(one.served.first_audio_s - one.served.first_fragment_s, by_server_s)


def _story_verdict(measured: Measured) -> Verdict:
    audio_s = min(story.audio_s for story in measured.stories)
    is_long = audio_s >= STORY_LEAST_S
    return Verdict(
        "RTF of a whole turn, story, look-ahead unlimited",
        f"<= {STORY_RTF:.2f}",
        median(story.rtf for story in measured.stories) if is_long else None,
        STORY_RTF,
        "",
        note=f"({audio_s:.1f} s of speech)" if is_long else f"a story of only {audio_s:.1f} s",
    )


def _ratio_verdict(measured: Measured) -> Verdict:
    served = median(one.served.first_fragment_s for one in measured.long_rounds)
    sequential = median(one.sequential.ttff_s for one in measured.long_rounds)
    audio_s = median(one.served.audio_s for one in measured.long_rounds)
    return Verdict(
        "TTFF of a 10 s reply: sequential / served",
        f">= {SEQUENTIAL_RATIO:.0f}",
        sequential / served,
        SEQUENTIAL_RATIO,
        "",
        is_minimum=True,
        note=f"({sequential:.2f} / {served:.2f} s, {audio_s:.1f} s of speech)",
    )


def _memory_verdict(measured: Measured) -> Verdict:
    found = [m for m in (measured.memory_at_start, measured.memory) if m is not None]
    gigabytes = max((sum(m.values()) / 1e9 for m in found), default=None)
    note = "(PSS, dashboard on)" if found else "give --pid with --url"
    return Verdict(
        "memory of everything, idle", f"<= {MEMORY_GB} GB", gigabytes, MEMORY_GB, "GB", note=note
    )


def show_all(measured: Measured, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Print the tables; returns the same as JSON has it."""
    spreads, long_spreads = spreads_of(measured.rounds), spreads_of(measured.long_rounds)
    show(f"Spoken questions of 3 to 5 s, {len(measured.rounds)} turns, ms", _table(spreads))
    show(f"Replies of 10 s, {len(measured.long_rounds)} turns, ms", _table(long_spreads))
    stories = [[f"{s.audio_s:.1f}", f"{s.waited_s:.2f}", f"{s.rtf:.3f}"] for s in measured.stories]
    show("Stories, look-ahead unlimited", table(["speech s", "turn s", "RTF"], stories))
    if measured.memory is not None:
        show("Memory after all turns, PSS", _memory_table(measured.memory))
    show("Against the targets", verdict_table(verdicts))
    return {
        "questions": _json(spreads),
        "long_replies": _json(long_spreads),
        "serve_cost_ms": Spread.of([r.serve_cost_s * 1000 for r in measured.rounds]).json(1),
        "stories": [
            {"audio_s": round(s.audio_s, 3), "turn_s": round(s.waited_s, 3), "rtf": round(s.rtf, 4)}
            for s in measured.stories
        ],
        "memory_gb": _gigabytes(measured.memory),
        "memory_at_start_gb": _gigabytes(measured.memory_at_start),
        "face": measured.face,
        "verdicts": [verdict.json() for verdict in verdicts],
    }


def _table(spreads: Spreads) -> str:
    header = ["figure", *(f"{column} {p}" for column in _COLUMNS for p in ("p50", "p95"))]
    rows = []
    for name, title in _SHOWN:
        by_column = spreads.get(name, {})
        if by_column:
            cells = [_cells(name, by_column.get(column)) for column in _COLUMNS]
            rows.append([title, *(cell for pair in cells for cell in pair)])
    return table(header, rows)


def _cells(name: str, spread: Spread | None) -> tuple[str, str]:
    if spread is None:
        return "-", "-"
    shown: Callable[[float], str] = (
        (lambda value: f"{value:.3f}") if name == "rtf" else (lambda value: f"{value:.1f}")
    )
    return shown(spread.p50), shown(spread.p95)


def _memory_table(memory: Mapping[str, int]) -> str:
    rows = [[f"{size / 1e6:.0f}", name] for name, size in memory.items()]
    rows.sort(key=lambda row: -int(row[0]))
    return table(["MB", "process"], [*rows, [f"{sum(memory.values()) / 1e6:.0f}", "all"]])


def _json(spreads: Spreads) -> dict[str, dict[str, dict[str, float]]]:
    return {
        name: {column: spread.json() for column, spread in by_column.items()}
        for name, by_column in spreads.items()
    }


def _gigabytes(memory: Mapping[str, int] | None) -> float | None:
    return None if memory is None else round(sum(memory.values()) / 1e9, 3)
