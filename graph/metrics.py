"""The names under which turns, stages and admission are counted and measured, whoever exports them.

Ray puts ``ray_`` before each name. Labels are few and of few values: no id of a turn, a session or
a caller is ever one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Protocol

from deployments.types import TokenUsage
from graph.cluster_gate import GateReport
from graph.events import Timings
from graph.record import TurnRecord

PREFIX = "avatar_"
_MS_BOUNDARIES: list[float] = [
    5, 10, 25, 50, 100, 150, 200, 300, 400, 550, 750, 1000, 2000, 5000, 10_000, 60_000,
]  # fmt: skip
_WAIT_MS_BOUNDARIES: list[float] = [
    1, 100, 250, 500, 1000, 2000, 3000, 5000, 7500, 10_000, 15_000, 20_000, 30_000, 60_000,
]  # fmt: skip
_LEAD_MS_BOUNDARIES: list[float] = [
    1, 100, 200, 400, 600, 1000, 1500, 2500, 4000, 6000, 10_000, 15_000, 20_000, 30_000,
]  # fmt: skip
_RTF_BOUNDARIES = [0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0]
_BATCH_BOUNDARIES: list[float] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]


class CounterLike(Protocol):
    """What ``ray.serve.metrics.Counter`` does."""

    def inc(self, value: float, tags: dict[str, str]) -> None: ...


class GaugeLike(Protocol):
    """What ``ray.serve.metrics.Gauge`` does."""

    def set(self, value: float, tags: dict[str, str]) -> None: ...


class HistogramLike(Protocol):
    """What ``ray.serve.metrics.Histogram`` does."""

    def observe(self, value: float, tags: dict[str, str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Instruments:
    """What makes the metrics of each kind. A replica shows its gauges for as long as it sets them
    every few seconds."""

    counter: Callable[..., CounterLike]
    gauge: Callable[..., GaugeLike]
    histogram: Callable[..., HistogramLike]


class TurnMetrics:
    """One ingress process's turns: how they were let in, how they ended, and their times."""

    def __init__(self, make: Instruments) -> None:
        self._turns = make.counter(
            f"{PREFIX}turns_total", description="Turns by how they ended.", tag_keys=("outcome",)
        )
        self._admissions = make.counter(
            f"{PREFIX}admissions_total",
            description="Wishes to start a turn, by what came of them.",
            tag_keys=("decision",),
        )
        self._queue_wait = make.histogram(
            f"{PREFIX}queue_wait_ms",
            description="How long turns that were let in had waited; 0 where they did not.",
            boundaries=_WAIT_MS_BOUNDARIES,
        )
        self._ladder_seconds = make.counter(
            f"{PREFIX}ladder_seconds_total",
            description="Seconds of replies with a reduced face, by level.",
            tag_keys=("level",),
        )
        self._ladder_turns = make.counter(
            f"{PREFIX}ladder_turns_total",
            description="Finished turns whose face was reduced for a while, by level.",
            tag_keys=("level",),
        )
        self._sent = {
            name: make.counter(f"{PREFIX}{name}_total", description=description)
            for name, description in _SENT.items()
        }
        self._times = {
            f.name: make.histogram(
                f"{PREFIX}{f.name}",
                description=f"{f.name} of turns, as in the interface's timings.",
                boundaries=_RTF_BOUNDARIES if f.name == "rtf" else _MS_BOUNDARIES,
            )
            for f in fields(Timings)
            if f.name.endswith("_ms") or f.name == "rtf"
        }

    def record(self, turn: TurnRecord) -> None:
        """Count a turn that ended; its times only if it finished."""
        self._turns.inc(1, tags={"outcome": turn.outcome})
        report = turn.report
        sent = {"frames": report.n_frames, "late_frames": report.n_late_frames}
        for name, n in {**sent, "sent_bytes": report.n_bytes}.items():
            if n:  # Ray's counters refuse to be increased by nothing
                self._sent[name].inc(n, tags={})
        if turn.outcome != "finished":
            return
        for name, value in _measured(report.timings).items():
            self._times[name].observe(value, tags={})
        for level, seconds in _reduced(report.timings).items():
            self._ladder_turns.inc(1, tags={"level": level})
            self._ladder_seconds.inc(seconds, tags={"level": level})

    def admit(self, decision: str, wait_ms: float | None) -> None:
        """Count a wish to start; ``wait_ms`` is ``None`` where it was not let in."""
        self._admissions.inc(1, tags={"decision": decision})
        if wait_ms is not None:
            self._queue_wait.observe(wait_ms, tags={})


_SENT = {
    "frames": "Frames sent, those in place of drawn ones included.",
    "late_frames": "Frames sent more than 50 ms after their viewer needed them.",
    "sent_bytes": "Bytes of video sent.",
}


def _measured(timings: Timings) -> Mapping[str, float]:
    every = {f.name: getattr(timings, f.name) for f in fields(timings)}
    return {
        name: value
        for name, value in every.items()
        if value is not None and (name.endswith("_ms") or name == "rtf")
    }


def _reduced(timings: Timings) -> Mapping[str, float]:
    """Seconds on each level of the ladder that the turn was on."""
    seconds: dict[str, float] = {}
    for step in timings.ladder:
        seconds[step.level] = seconds.get(step.level, 0.0) + step.to_s - step.from_s
    return {level: s for level, s in seconds.items() if s > 0}


class LoadMetrics:
    """What one ingress process has to do now, and what the stages' work for it costs.

    ``n_avoided`` says how many replicas it leaves alone.
    """

    def __init__(self, make: Instruments, n_avoided: Callable[[], int]) -> None:
        self._n_avoided = n_avoided
        self._running = make.gauge(f"{PREFIX}turns_running", description="Turns let in, not over.")
        self._waiting = make.gauge(f"{PREFIX}turns_waiting", description="Turns not yet let in.")
        self._lead = make.histogram(
            f"{PREFIX}lead_ms",
            description="How far ahead of its viewer each running turn is, every so often; late "
            "ones are in the lowest bucket.",
            boundaries=_LEAD_MS_BOUNDARIES,
        )
        self._busy = make.counter(
            f"{PREFIX}stage_busy_seconds_total",
            description="Seconds in which an engine was at work, by stage.",
            tag_keys=("stage",),
        )
        self._media = make.counter(
            f"{PREFIX}stage_media_seconds_total",
            description="Seconds of speech made, heard or shown, by stage.",
            tag_keys=("stage",),
        )
        self._repeats = make.counter(
            f"{PREFIX}repeats_total",
            description="Calls made once more, by stage and why: the first was lost, or silent for "
            "too long, or a second one was asked beside it (hedge).",
            tag_keys=("stage", "reason"),
        )
        self._avoided = make.gauge(
            f"{PREFIX}replicas_avoided", description="Replicas left alone because they hang."
        )
        self._alone = make.gauge(
            f"{PREFIX}admission_away",
            description="1 while admission does not answer and an ingress process decides alone.",
        )

    def report(self, report: GateReport, n_waiting: int, is_alone: bool) -> None:
        """How things stand, told as often as admission is."""
        self._running.set(len(report.turns), tags={})
        self._waiting.set(n_waiting, tags={})
        self._avoided.set(self._n_avoided(), tags={})
        self._alone.set(float(is_alone), tags={})
        for progress in report.turns.values():
            if progress is not None:
                self._lead.observe(progress.ahead_s * 1000, tags={})
        for stage, effort in report.efforts:
            for counter, seconds in ((self._busy, effort.busy_s), (self._media, effort.media_s)):
                if seconds > 0:
                    counter.inc(seconds, tags={"stage": stage})

    def repeated(self, stage: str, reason: str) -> None:
        """A call is made once more."""
        self._repeats.inc(1, tags={"stage": stage, "reason": reason})


class AdmissionMetrics:
    """What the one place that lets turns in knows of the machine."""

    def __init__(self, make: Instruments) -> None:
        self._capacity = make.gauge(
            f"{PREFIX}admission_capacity",
            description="Seconds of speech per second that the machine can make; none until known.",
        )
        self._running = make.gauge(
            f"{PREFIX}admission_turns_running", description="Turns let in, of all ingresses."
        )
        self._waiting = make.gauge(
            f"{PREFIX}admission_turns_waiting", description="Turns in line, of all ingresses."
        )
        self._wait = make.gauge(
            f"{PREFIX}admission_predicted_wait_s",
            description="How long the last in line will have to wait.",
        )

    def show(
        self, capacity: float | None, n_running: int, n_waiting: int, predicted_wait_s: float
    ) -> None:
        """How things stand."""
        if capacity is not None:
            self._capacity.set(capacity, tags={})
        self._running.set(n_running, tags={})
        self._waiting.set(n_waiting, tags={})
        self._wait.set(predicted_wait_s, tags={})


class LlmMetrics:
    """What one replica's language models do; ``engine`` is the name that answers give."""

    def __init__(self, make: Instruments) -> None:
        self._tokens = make.counter(
            f"{PREFIX}llm_tokens_total",
            description="Tokens of replies, prompt and output, by the provider's count where it "
            "tells it, else by an estimate.",
            tag_keys=("engine", "kind"),
        )
        self._cost = make.counter(
            f"{PREFIX}llm_cost_usd_total",
            description="What these cost, by the prices in the profile.",
            tag_keys=("engine",),
        )
        self._attempts = make.counter(
            f"{PREFIX}llm_attempts_total",
            description="What came of each engine of a chain that was to answer.",
            tag_keys=("engine", "outcome"),
        )
        self._is_out = make.gauge(
            f"{PREFIX}llm_engine_out",
            description="1 while an engine of a chain is not asked: it did not load, or kept "
            "failing.",
            tag_keys=("engine",),
        )

    def used(self, engine: str, usage: TokenUsage) -> None:
        """A reply is over."""
        for kind, n in (("prompt", usage.n_prompt), ("output", usage.n_output)):
            if n:
                self._tokens.inc(n, tags={"engine": engine, "kind": kind})
        if usage.cost_usd:
            self._cost.inc(usage.cost_usd, tags={"engine": engine})

    def attempted(self, engine: str, outcome: str) -> None:
        """An engine was to answer."""
        self._attempts.inc(1, tags={"engine": engine, "outcome": outcome})

    def standing(self, is_out: Mapping[str, bool]) -> None:
        """Which engines are out, told every few seconds."""
        for engine, value in is_out.items():
            self._is_out.set(float(value), tags={"engine": engine})


class BatchMetrics:
    """What one avatar replica draws at once."""

    def __init__(self, make: Instruments) -> None:
        self._batch = make.histogram(
            f"{PREFIX}draw_batch_frames",
            description="Frames drawn together, whoever they belong to.",
            boundaries=_BATCH_BOUNDARIES,
        )

    def __call__(self, n_frames: int) -> None:
        self._batch.observe(n_frames, tags={})
