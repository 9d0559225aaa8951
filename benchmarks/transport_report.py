"""What was measured of each transport, as a table with ratios and as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.load_record import WHOLE, TurnRecord
from benchmarks.load_report import Lateness, spread
from benchmarks.report import Spread, table


@dataclass(frozen=True, slots=True)
class LoadUnder:
    """Many speakers at once: their turns, and the processor time of the server meanwhile."""

    records: Sequence[TurnRecord]
    cpu_s: float


@dataclass
class Carried:
    """All that was measured of one transport; times in seconds.

    ``ttff_s`` and ``upload_s`` are of one speaker, ``idle_cores`` of nobody.
    """

    idle_cores: float = 0.0
    ttff_s: list[float] = field(default_factory=list)
    upload_s: list[float] = field(default_factory=list)
    loads: list[LoadUnder] = field(default_factory=list)
    memory_gb: float = 0.0

    @property
    def records(self) -> list[TurnRecord]:
        """Of all loads."""
        return [record for load in self.loads for record in load.records]

    @property
    def cpu_per_video_s(self) -> float:
        """What a second of video cost while many spoke."""
        return sum(load.cpu_s for load in self.loads) / sum(r.video_s for r in self.records)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; ``digits`` behind the point."""

    name: str
    title: str
    digits: int
    of: Callable[[Carried], float]


FIGURES = (
    Figure("ttff_p50_s", "one speaker: TTFF p50, s", 3, lambda c: Spread.of(c.ttff_s).p50),
    Figure("ttff_p95_s", "TTFF p95, s", 3, lambda c: Spread.of(c.ttff_s).p95),
    Figure("upload_p50_s", "5 MB up and understood, p50, s", 3,
           lambda c: Spread.of(c.upload_s).p50),
    Figure("loaded_ttff_p50_s", "many speakers: TTFF p50, s", 3,
           lambda c: spread(c.records, lambda r: r.ttff_s).p50),
    Figure("loaded_ttff_p95_s", "TTFF p95, s", 3,
           lambda c: spread(c.records, lambda r: r.ttff_s).p95),
    Figure("late_share", "late fragments, share", 5, lambda c: Lateness.of(c.records).share),
    Figure("not_whole", "turns that were not whole", 0,
           lambda c: sum(r.outcome not in WHOLE for r in c.records)),
    Figure("cpu_per_video_s", "server's processor seconds a second of video", 3,
           lambda c: c.cpu_per_video_s),
    Figure("idle_cores", "cores that the idle server takes", 3, lambda c: c.idle_cores),
    Figure("memory_gb", "memory of the server (PSS), GB", 2, lambda c: c.memory_gb),
)  # fmt: skip


def figures(carried: Carried) -> dict[str, float]:
    """By their names, rounded as the table shows them."""
    return {figure.name: round(figure.of(carried), figure.digits) for figure in FIGURES}


def ratios(found: Mapping[str, Mapping[str, float]], base: str) -> dict[str, dict[str, float]]:
    """Each transport's figures over those of ``base``, where that is not zero."""
    return {
        mode: {
            name: round(value / found[base][name], 3)
            for name, value in values.items()
            if found[base][name]
        }
        for mode, values in found.items()
        if mode != base
    }


def shown(found: Mapping[str, Mapping[str, float]], base: str) -> str:
    """The table: a column for each transport, and its ratio to ``base`` beside it."""
    over = ratios(found, base)
    header = ["figure", base]
    for mode in over:
        header += [mode, f"/ {base}"]
    rows = []
    for figure in FIGURES:
        row = [figure.title, f"{found[base][figure.name]:.{figure.digits}f}"]
        for mode, values in over.items():
            ratio = values.get(figure.name)
            row.append(f"{found[mode][figure.name]:.{figure.digits}f}")
            row.append("-" if ratio is None else f"{ratio:.2f}")
        rows.append(row)
    return table(header, rows)
