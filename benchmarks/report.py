"""What every benchmark prints: progress for who waits, tables for people, JSON for machines."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

_NUMBER = re.compile(r"-|-?\d+(?:\.\d+)?")  # a dash stands where there is no number


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the slow end of ``n`` measurements."""

    p50: float
    p95: float
    p99: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Percentiles with linear interpolation; ``values`` is not empty."""
        p50, p95, p99 = np.percentile(values, (50, 95, 99))
        return cls(float(p50), float(p95), float(p99), len(values))

    def json(self, digits: int = 4) -> dict[str, float]:
        return {
            "p50": round(self.p50, digits),
            "p95": round(self.p95, digits),
            "p99": round(self.p99, digits),
            "n": self.n,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure against what it must reach; ``measured`` is ``None`` where it was not measured,
    and ``note`` then says why."""

    figure: str
    must: str
    measured: float | None
    limit: float
    unit: str
    is_minimum: bool = False
    note: str = ""

    @property
    def is_ok(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.is_minimum else self.measured <= self.limit

    def row(self) -> list[str]:
        words = {True: "yes", False: "NO", None: "not measured"}
        shown = "-" if self.measured is None else f"{self.measured:.3g} {self.unit}".strip()
        return [self.figure, self.must, f"{shown} {self.note}".strip(), words[self.is_ok]]

    def json(self) -> dict[str, Any]:
        measured = None if self.measured is None else round(self.measured, 4)
        return {
            "figure": self.figure,
            "must": self.must,
            "measured": measured,
            "unit": self.unit,
            "ok": self.is_ok,
        }


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    return table(["figure", "must", "measured", "ok"], [v.row() for v in verdicts])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; numbers to the right, words to the left."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if _is_number(cell) else cell.ljust(width)
        for cell, width in zip(row, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def show(title: str, text: str) -> None:
    """A part of the report, on stdout."""
    print(f"\n{title}\n{text}", flush=True)


def progress(text: str) -> None:
    """A line for whoever waits, on stderr, so that stdout stays the report."""
    print(text, file=sys.stderr, flush=True)


def finish(
    benchmark: str,
    result: Mapping[str, Any],
    machine: Mapping[str, Any],
    file: TextIO | None = None,
) -> None:
    """The last line of stdout (or of ``file``): all of it as one JSON object."""
    line = {"benchmark": benchmark, "machine": machine, **result}
    print("\n" + json.dumps(line, ensure_ascii=False), flush=True, file=file)
