"""A run in few figures, and whether they are worse than those of an earlier run."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.quality_metrics import BY_KEY, METRICS, Metric
from benchmarks.quality_turn import Asked, Judged
from benchmarks.quality_voice import deviation_hz
from benchmarks.report import table

ALL, SWITCHED = "all", "switched"
"""Groups of turns: every one, and those whose language is not that of the turn before in the
session. The others are the languages, and how a question was asked."""

ASKED: tuple[Asked, ...] = ("aloud", "in writing")
"""Times are told apart by it: a question in writing spares decoding and ASR."""

WANDER = Metric("f0_wander_hz", "pitch, RMSE across turns", "Hz", 1, "voice", "lower", 5.0)
"""Of a group rather than of a turn: about the mean of its turns."""

N_FAILED = Metric("n_failed", "turns without an answer", "", 0, "words", "lower", 0.0)

COMPARABLE = ("profile", "scenarios", "questions", "rounds", "sample")
"""Settings that must be the same, or the figures say nothing about each other."""

Summary = Mapping[str, Mapping[str, float]]
"""By group, then by metric."""


class BaselineError(Exception):
    """The file is no run that this one could be compared with."""


def summary_of(turns: Sequence[Judged]) -> dict[str, dict[str, float]]:
    """Times by how the question was asked, as medians; everything else by language, and once more
    of the turns after a change of language: means, of the lips' offset the median."""
    times = [metric for metric in METRICS if metric.kind == "time"]
    others = [metric for metric in METRICS if metric.kind != "time"]
    found = {ALL: {N_FAILED.key: float(sum(bool(turn.error) for turn in turns))}}
    for asked in ASKED:
        found[asked] = _figures([turn for turn in turns if turn.asked == asked], times)
    for language in dict.fromkeys(turn.place.line.language for turn in turns):
        own = [turn for turn in turns if turn.place.line.language == language]
        found[language] = _figures(own, others) | _wander(own)
    found[SWITCHED] = _figures([turn for turn in turns if turn.place.is_switched], others)
    return {name: figures for name, figures in found.items() if figures}


def _wander(turns: Sequence[Judged]) -> dict[str, float]:
    """Of one language: another has another voice, unless it is a copied one."""
    means = [t.figures["f0_mean_hz"] for t in turns if "f0_mean_hz" in t.figures]
    return {WANDER.key: round(deviation_hz(means), 4)} if len(means) > 1 else {}


def _figures(turns: Sequence[Judged], metrics: Sequence[Metric]) -> dict[str, float]:
    found = {}
    for metric in metrics:
        values = [t.figures[metric.key] for t in turns if metric.key in t.figures]
        if values:
            found[metric.key] = round(_middle(metric)(values), 4)
    return found


def _middle(metric: Metric) -> Callable[[Sequence[float]], float]:
    return median if metric.kind == "time" or metric.key == "av_offset_ms" else fmean


def metric_of(key: str) -> Metric:
    """The metric of a summary's figure."""
    return {WANDER.key: WANDER, N_FAILED.key: N_FAILED}.get(key) or BY_KEY[key]


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of two runs; ``None``: that run does not have it. ``note``: why it is not
    judged."""

    group: str
    metric: Metric
    before: float | None
    now: float | None
    note: str = ""

    @property
    def is_regression(self) -> bool:
        """Worse by more than is allowed, or gone."""
        if self.before is None or self.note:
            return False
        return self.now is None or self.metric.is_worse(self.now, self.before)

    @property
    def verdict(self) -> str:
        if self.note:
            return self.note
        if self.before is None:
            return "new"
        return "REGRESSION" if self.is_regression else "ok"

    def row(self) -> list[str]:
        shown = self.metric.shown
        cells = [self.group, self.metric.heading, shown(self.before), shown(self.now)]
        return [*cells, self.metric.threshold, self.verdict]

    def json(self) -> dict[str, Any]:
        return {
            "group": self.group,
            "metric": self.metric.key,
            "before": self.before,
            "now": self.now,
            "verdict": self.verdict,
        }


HEADER = ("turns", "figure", "baseline", "now", "may change by", "verdict")


def check_comparable(before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Check that an earlier run was asked what a run with these ``settings`` is.

    Raises:
        BaselineError: the first difference.
    """
    for name in COMPARABLE:
        if before["settings"][name] != settings[name]:
            was, is_now = before["settings"][name], settings[name]
            raise BaselineError(f"the baseline's {name}: {was}; this run's: {is_now}")


def compared(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Compared]:
    """Every figure of two runs' JSON. Times are judged only on the same hardware."""
    is_same = _hardware(before) == _hardware(now)
    return [
        Compared(
            group,
            metric_of(key),
            before["summary"].get(group, {}).get(key),
            now["summary"].get(group, {}).get(key),
            "" if is_same or metric_of(key).kind != "time" else "not judged: other hardware",
        )
        for group, key in _figures_of_both(before["summary"], now["summary"])
    ]


def _hardware(run: Mapping[str, Any]) -> tuple[str, int]:
    return run["machine"]["cpu"], run["machine"]["cores"]


def _figures_of_both(before: Summary, now: Summary) -> list[tuple[str, str]]:
    pairs = [(group, key) for run in (now, before) for group in run for key in run[group]]
    return list(dict.fromkeys(pairs))


def read_baseline(path: Path) -> dict[str, Any]:
    """The JSON of an earlier run.

    Raises:
        BaselineError: the file is not there, or is something else.
    """
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaselineError(f"the baseline {path} cannot be read: {error}") from None
    if not isinstance(run, dict) or run.get("benchmark") != "quality":
        raise BaselineError(f"the baseline {path} is not a run of benchmarks.quality")
    return run


def regressions_table(found: Sequence[Compared]) -> str:
    """What is worse, and what was not judged; the rest in one line."""
    told = [one.row() for one in found if one.is_regression or one.note]
    n_fine = len(found) - len(told)
    rest = f"{n_fine} figures are as good as the baseline's"
    return f"{table(HEADER, told)}\n{rest}" if told else rest
