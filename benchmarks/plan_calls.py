"""Who calls when, and what is said: a file, a day that is drawn, or people without end."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.plan_turn import Exchange

DAY_S = 86_400.0

HOURS = (
    4, 3, 2, 2, 3, 6, 15, 30, 50, 70, 80, 75, 65, 65, 70, 75, 75, 70, 60, 55, 50, 40, 25, 10,
)  # fmt: skip
"""How the calls of a day spread over its hours, relative to each other: quiet nights, a peak before
noon. An assumption; a file of real calls takes its place."""


@dataclass(frozen=True, slots=True)
class Call:
    """``start_s`` from the beginning; in the last ``duration_s`` a question is no longer begun."""

    start_s: float
    duration_s: float

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s


@dataclass(frozen=True, slots=True)
class Lengths:
    """Log-normal with this mean and standard deviation; what is drawn beyond the ends is put there.

    All in seconds.
    """

    mean_s: float
    deviation_s: float
    least_s: float
    most_s: float

    def draw(self, random: Random) -> float:
        if not self.deviation_s:
            return self.mean_s
        variance = math.log1p((self.deviation_s / self.mean_s) ** 2)
        middle = math.log(self.mean_s) - variance / 2
        drawn_s = random.lognormvariate(middle, math.sqrt(variance))
        return min(self.most_s, max(self.least_s, drawn_s))


@dataclass(frozen=True, slots=True)
class Talk:
    """What a turn is made of, all of it assumed unless it is given: the caller thinks (``pause``),
    asks (``question``, ``None`` when it is typed), and listens to the answer, whose sentences are
    about ``sentence_s`` long. ``is_asked_at_once``: a question takes no time, as those of a load
    test, which sends recordings."""

    pause: Lengths = Lengths(2.0, 1.5, 0.2, 15.0)
    question: Lengths | None = Lengths(4.0, 2.0, 1.0, 15.0)
    answer: Lengths = Lengths(8.0, 5.0, 1.5, 40.0)
    sentence_s: float = 4.0
    is_asked_at_once: bool = False

    def exchange(self, random: Random) -> tuple[float, Exchange]:
        """Seconds until it is asked, from the end of the answer before; and what is said."""
        pause_s = self.pause.draw(random)
        question_s = 0.0 if self.question is None else self.question.draw(random)
        answer_s = self.answer.draw(random)
        n = max(1, round(answer_s / self.sentence_s))
        asking_s = 0.0 if self.is_asked_at_once else question_s
        return pause_s + asking_s, Exchange(question_s, (answer_s / n,) * n)

    @property
    def turn_s(self) -> float:
        """About how long a turn is, its answer's delay left out."""
        is_short = self.question is None or self.is_asked_at_once
        question_s = 0.0 if is_short or self.question is None else self.question.mean_s
        return self.pause.mean_s + question_s + self.answer.mean_s

    def json(self) -> dict[str, Any]:
        return asdict(self)


TALK = Talk()

CALL = Lengths(150.0, 120.0, 20.0, 1800.0)
"""How long a call lasts: some ten turns. An assumption."""


def day_of_calls(n_calls: int, seed: int) -> list[Call]:
    """A Poisson process over the day's hours with so many calls in all."""
    random, hours = Random(f"{seed} day"), range(len(HOURS))
    hour_s = DAY_S / len(HOURS)
    starts = [(hour + random.random()) * hour_s for hour in random.choices(hours, HOURS, k=n_calls)]
    return [Call(start_s, CALL.draw(random)) for start_s in sorted(starts)]


def steady_calls(n_callers: int, seed: int, over_s: float) -> list[Call]:
    """``n_callers`` who come within ``over_s`` and never hang up."""
    random = Random(f"{seed} callers")
    starts = sorted(random.uniform(0.0, over_s) for _ in range(n_callers))
    return [Call(start_s, math.inf) for start_s in starts]


def read_calls(path: Path) -> list[Call]:
    """A CSV file with the columns ``start`` (seconds, or HH:MM or HH:MM:SS) and ``duration_s``.

    Raises:
        ValueError: the file holds something else; the message names the line.
    """
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        missing = {"start", "duration_s"} - set(rows.fieldnames or ())
        if missing:
            raise ValueError(f"{path.name} has no column {', '.join(sorted(missing))}")
        calls = list(_calls(path.name, rows))
    if not calls:
        raise ValueError(f"{path.name} holds no call")
    return sorted(calls, key=lambda call: call.start_s)


def _calls(name: str, rows: "csv.DictReader[str]") -> Iterator[Call]:
    for row in rows:
        try:
            call = Call(_seconds(row["start"]), float(row["duration_s"]))
        except (TypeError, ValueError):
            raise ValueError(f"{name}, line {rows.line_num}: no call") from None
        if not (0 <= call.start_s < math.inf and 0 < call.duration_s < math.inf):
            raise ValueError(f"{name}, line {rows.line_num}: times are from 0 on, and end")
        yield call


def _seconds(text: str) -> float:
    parts: Sequence[str] = text.split(":")
    if len(parts) == 1:
        return float(text)
    hours, minutes, *seconds = parts
    return int(hours) * 3600 + int(minutes) * 60 + (float(*seconds) if seconds else 0.0)
