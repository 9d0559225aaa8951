"""How a turn went, for whoever operates the server: the one source of its log line, its spans and
its metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from deployments.caller import Caller
from graph.events import Timings


@dataclass(frozen=True, slots=True)
class TurnReport:
    """What the graph knows of a turn, however it ended.

    ``marks_ms``: when things happened, by name, since the request's last byte; ``timings`` follow
    from them. ``n_late_frames``: those that left more than 50 ms after their viewer needed them.
    ``engines`` is empty where the turn did not finish.
    """

    timings: Timings
    marks_ms: Mapping[str, float]
    language: str = ""
    engines: Mapping[str, str] = field(default_factory=dict)
    n_frames: int = 0
    n_late_frames: int = 0
    n_bytes: int = 0
    is_shortened: bool = False


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A turn that is over: ``outcome`` is ``finished``, ``cancelled`` or an error code of the
    interface; ``received_at_s`` is the Unix time of the request's last byte."""

    outcome: str
    caller: Caller
    received_at_s: float
    report: TurnReport

    @property
    def queue_ms(self) -> float | None:
        """How long it waited to be let in."""
        return next((s.length_ms for s in self.spans() if s.name == "queue"), None)

    def spans(self) -> "list[Span]":
        """What it was busy with and when; the first is the whole turn.

        A stage that began and did not end was at work when the turn ended.
        """
        marks = self.report.marks_ms
        end_ms = marks["turn_end"]
        whole = Span("turn", 0.0, end_ms, _events(("first_audio", "first_fragment"), marks))
        begun = [stage for stage in _STAGES if stage.start in marks]
        return [whole, *(stage.span(marks, end_ms) for stage in begun)]


@dataclass(frozen=True, slots=True)
class Span:
    """Times are milliseconds since the request's last byte. ``events`` lie within, by name."""

    name: str
    start_ms: float
    end_ms: float
    events: Mapping[str, float] = field(default_factory=dict)
    is_whole: bool = True

    @property
    def length_ms(self) -> float:
        return self.end_ms - self.start_ms


class _Stage(NamedTuple):
    """A span's name, the marks of its beginning and its end, and those in between."""

    name: str
    start: str
    end: str
    between: tuple[str, ...] = ()

    def span(self, marks: Mapping[str, float], turn_end_ms: float) -> Span:
        events = _events(self.between, marks)
        end_ms = marks.get(self.end, turn_end_ms)
        return Span(self.name, marks[self.start], end_ms, events, is_whole=self.end in marks)


_STAGES = (
    _Stage("decode", "decode_start", "decode_end"),
    _Stage("vad", "vad_start", "vad_end"),
    _Stage("queue", "queue_start", "queue_end"),
    _Stage("asr", "asr_start", "asr_end"),
    _Stage("llm", "llm_start", "llm_end", ("llm_first_token",)),
    _Stage("tts", "tts_start", "tts_end", ("tts_first_audio",)),
    _Stage("avatar", "avatar_start", "avatar_end", ("avatar_first_frame",)),
)


def _events(names: tuple[str, ...], marks: Mapping[str, float]) -> dict[str, float]:
    return {name: marks[name] for name in names if name in marks}
