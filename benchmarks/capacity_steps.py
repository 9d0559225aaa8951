"""One step of the climb: so many speakers at once, and whether that was too many."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.load_record import Outcome, TurnRecord
from benchmarks.load_report import Lateness, ladder_share, spread

TTFF_P95_S, LATE_SHARE, LADDER_SHARE = 1.0, 0.001, 0.01
"""Where the climb ends. Source: issue 3; the ladder's share is our own limit."""

FRAGMENTS_PER_S = 5.0
"""Of video, as the embedded profile sends it: fragments of five frames."""

FAILURES: tuple[Outcome, ...] = ("error", "cut", "broken")


@dataclass(frozen=True, slots=True)
class Step:
    """What ``n_speakers`` at once were shown; ``load_average`` is its mean over the step."""

    n_speakers: int
    n_turns: int
    ttff_p50_s: float
    ttff_p95_s: float
    n_fragments: int
    n_late: int
    ladder_share: float
    video_s_per_s: float
    n_refused: int
    n_failed: int
    load_average: float

    @classmethod
    def of(
        cls, n_speakers: int, records: Sequence[TurnRecord], wall_s: float, load_average: float
    ) -> "Step":
        late, outcomes = Lateness.of(records), Counter(r.outcome for r in records)
        ttff = spread(records, lambda r: r.ttff_s)
        return cls(
            n_speakers=n_speakers,
            n_turns=len(records),
            ttff_p50_s=round(ttff.p50, 4),
            ttff_p95_s=round(ttff.p95, 4),
            n_fragments=late.n_fragments,
            n_late=late.n_late,
            ladder_share=round(ladder_share(records), 6),
            video_s_per_s=round(sum(r.video_s for r in records) / wall_s, 3),
            n_refused=outcomes["refused"],
            n_failed=sum(outcomes[outcome] for outcome in FAILURES),
            load_average=load_average,
        )

    @property
    def late_share(self) -> float:
        return self.n_late / self.n_fragments if self.n_fragments else 0.0

    @property
    def broke(self) -> str:
        """What was too much, first of all reasons; empty if all was well."""
        if self.n_failed:
            return f"{self.n_failed} turns failed"
        if self.n_refused:
            return f"{self.n_refused} turns refused"
        if self.late_share > LATE_SHARE:
            return f"{self.late_share:.2%} of fragments late"
        if self.ttff_p95_s > TTFF_P95_S:
            return f"p95 TTFF {self.ttff_p95_s:.2f} s"
        if self.ladder_share > LADDER_SHARE:
            return f"{self.ladder_share:.1%} of the video on the ladder"
        return ""

    def row(self) -> list[str]:
        return [
            str(self.n_speakers),
            str(self.n_turns),
            f"{self.ttff_p50_s:.3f}",
            f"{self.ttff_p95_s:.3f}",
            f"{self.n_late} of {self.n_fragments}",
            f"{self.ladder_share:.2%}",
            f"{self.video_s_per_s:.2f}",
            f"{self.load_average:.1f}",
            self.broke or "-",
        ]

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "late_share": round(self.late_share, 6), "broke": self.broke}


HEADER = (
    "speakers", "turns", "TTFF p50 s", "p95 s", "late fragments", "on the ladder", "video s/s",
    "mean load", "broke",
)  # fmt: skip


def capacity_of(steps: Sequence[Step]) -> int:
    """The most speakers before the first step that broke; 0 where even the first did."""
    carried = 0
    for step in steps:
        if step.broke:
            break
        carried = step.n_speakers
    return carried


def turns_for(n_fragments: int, n_speakers: int, answer_s: float) -> int:
    """Turns that bring so many fragments: as many for each speaker, and two at least."""
    each = math.ceil(n_fragments / (answer_s * FRAGMENTS_PER_S * n_speakers))
    return n_speakers * max(2, each)
