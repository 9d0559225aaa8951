"""One line for every turn of a load test, and what kind of end it came to."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks.load_questions import Question
from benchmarks.load_viewer import Viewer, watched

FPS, N_REST_FRAMES = 25, 8
"""Source: the interface: ceil(25 x seconds of speech) frames, then 8 in which the face rests."""

OFFSET_LEAST_MS, OFFSET_MOST_MS = -80.0, 40.0
"""How much later the sound may end than the picture. Source: issue 3."""

Outcome = Literal[
    "finished",  # whole, and the face never reduced
    "ladder",  # whole, the face reduced for a while
    "unverified",  # looks whole, but the server could not be asked what it should have been
    "shortened",  # ended early, and said so
    "refused",  # no room: told at once or after queueing
    "error",  # failed, and said so
    "cut",  # the connection ended too early: no closing box, no word
    "left",  # we left on purpose
    "broken",  # claims to be whole and is not, or is somebody else's
]

WHOLE: tuple[Outcome, ...] = ("finished", "ladder")

_REFUSALS = ("overloaded", "rate_limited")


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One attempt at one turn, as its user saw it.

    ``asked_at`` is seconds since 1970; times that end in ``_s`` count from the last byte of the
    request unless they say otherwise. ``predicted_wait_s`` is the first prediction that the user
    heard (queue or Retry-After), ``waited_s`` the wait from then until it was let in or, where
    ``is_let_in`` is false, until it was cut off, over all attempts so far; ``queue_predicted_s``
    and ``queue_waited_s`` are of this attempt's time in the queue alone. ``is_impatient``: comes
    back before it was told to. ``attempt`` counts from 1. ``arrivals``: when each fragment came,
    and from when on it is played, in seconds of the reply's clock.
    """

    user: int
    number: int
    attempt: int
    kind: str
    endpoint: str
    asked_at: float
    outcome: Outcome
    turn_id: str = ""
    session_id: str = ""
    status: int = 0
    code: str = ""
    fault: str = ""
    end_s: float = 0.0
    retry_after_s: float | None = None
    was_queued: bool = False
    predicted_wait_s: float | None = None
    waited_s: float | None = None
    queue_predicted_s: float | None = None
    queue_waited_s: float | None = None
    is_let_in: bool = False
    is_impatient: bool = False
    ttfa_s: float | None = None
    ttff_s: float | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    n_fragments: int = 0  # with a picture: only these can be late
    n_late: int = 0
    worst_late_s: float = 0.0
    longest_gap_s: float = 0.0
    stalled_s: float = 0.0
    video_s: float = 0.0
    audio_s: float | None = None
    n_frames: int = 0
    n_frames_due: int | None = None
    is_whole: bool = False
    is_shortened: bool = False
    ladder: tuple[Mapping[str, Any], ...] = ()
    av_offset_ms: float | None = None
    n_bytes: int = 0
    is_slow: bool = False
    arrivals: tuple[tuple[float, float], ...] = ()

    def json(self) -> dict[str, Any]:
        """Rounded to what can be measured."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "TurnRecord":
        arrivals = tuple((at_s, start_s) for at_s, start_s in values["arrivals"])
        return cls(**{**values, "ladder": tuple(values["ladder"]), "arrivals": arrivals})


def write_line(record: TurnRecord) -> str:
    return json.dumps(record.json(), ensure_ascii=False, separators=(",", ":")) + "\n"


def read_records(path: Path) -> list[TurnRecord]:
    """Every turn of a ``--turns-file``."""
    return list(_of_lines(path.read_text().splitlines()))


def _of_lines(lines: Iterable[str]) -> Iterator[TurnRecord]:
    return (TurnRecord.of_json(json.loads(line)) for line in lines)


@dataclass
class Heard:
    """All that came back for one attempt, with times on one clock.

    ``how_ended``: ``clean`` as HTTP means it, ``cut`` otherwise, ``left`` by ourselves. ``problem``
    is what the server said went wrong; ``turn`` what it said of the finished turn.
    """

    asked_at: float
    sent_s: float
    status: int = 0
    turn_id: str = ""
    session_id: str = ""
    retry_after_s: float | None = None
    queued_s: float | None = None
    predicted_wait_s: float | None = None
    let_in_s: float | None = None
    problem: Mapping[str, Any] | None = None
    turn: Mapping[str, Any] | None = None
    is_turn_told: bool = True  # an answer that ends well ends in `done`
    how_ended: Literal["clean", "cut", "left"] = "clean"
    why_cut: str = ""
    ended_s: float = 0.0
    viewer: Viewer = field(default_factory=Viewer)

    @property
    def is_refused(self) -> bool:
        return self.problem is not None and self.problem.get("code") in _REFUSALS


def judge(heard: Heard, question: Question) -> tuple[Outcome, str, str]:
    """How the turn ended: its outcome, the error's code, and what is broken about it."""
    if heard.is_refused and heard.problem:
        return "refused", str(heard.problem["code"]), ""
    if heard.problem is not None:
        return "error", str(heard.problem.get("code", f"http_{heard.status}")), ""
    if heard.how_ended == "left":
        return "left", "", ""
    viewer = heard.viewer
    if heard.how_ended == "cut" and not (viewer.is_whole and heard.turn):
        return "cut", heard.why_cut, ""
    if fault := _fault(heard, question):
        return "broken", "", fault
    if heard.turn and heard.turn.get("is_shortened"):
        return "shortened", "", ""
    if heard.turn is None:
        return "unverified", "", ""
    return ("ladder" if _ladder(heard) else "finished"), "", ""


def _fault(heard: Heard, question: Question) -> str:
    """Why an answer that ended well is none."""
    if not heard.viewer.is_whole:
        return "ended without its closing box"
    if fault := heard.viewer.fault or _sound_fault(heard.viewer.av_offset_ms):
        return fault
    if heard.turn is None:
        return "ended without `done`" if heard.is_turn_told else ""
    if heard.turn_id and heard.turn["turn_id"] != heard.turn_id:
        return "another turn's id"
    if heard.session_id and heard.turn["session_id"] != heard.session_id:
        return "another session's id"
    n_due = n_frames_due(heard.turn["timings"].get("audio_s"))
    if n_due is not None and heard.viewer.n_frames not in n_due:
        return f"{heard.viewer.n_frames} frames instead of {n_due[-1]}"
    return _wrong_words(heard.turn, question)


def _sound_fault(offset_ms: float | None) -> str:
    if offset_ms is None:
        return "without sound or without picture"
    if not OFFSET_LEAST_MS <= round(offset_ms, 1) <= OFFSET_MOST_MS:
        return f"sound ends {offset_ms:+.0f} ms after the picture"
    return ""


def _wrong_words(turn: Mapping[str, Any], question: Question) -> str:
    response = str(turn["response_text"])
    if turn.get("is_shortened"):
        return "" if question.is_begun_by(response) else "not the beginning of its answer"
    if question.is_answered_by(response):
        return ""
    is_begun = bool(question.answer) and question.is_begun_by(response)
    return "shortened without a mark" if is_begun else "not the answer to its question"


def n_frames_due(audio_s: float | None) -> tuple[int, ...] | None:
    """How many frames a whole answer has. ``audio_s`` is told in thousandths of a second, so at a
    frame's edge there are two possible numbers."""
    if audio_s is None:
        return None
    edges = (audio_s - 0.0005, audio_s + 0.0005)
    least, most = (math.ceil(round(FPS * edge, 6)) + N_REST_FRAMES for edge in edges)
    return tuple(range(least, most + 1))


def _ladder(heard: Heard) -> tuple[Mapping[str, Any], ...]:
    return tuple((heard.turn or {}).get("timings", {}).get("ladder") or ())


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who asked what, the how-manieth time, and what it had been told before."""

    user: int
    number: int
    attempt: int
    endpoint: str
    question: Question
    buffer_s: float
    is_slow: bool = False
    predicted_wait_s: float | None = None
    waiting_since_s: float | None = None
    is_impatient: bool = False

    def record(self, heard: Heard) -> TurnRecord:
        """The line that is written of it."""
        outcome, code, fault = judge(heard, self.question)
        viewer, sent_s = heard.viewer, heard.sent_s
        view = watched(viewer.arrivals, self.buffer_s)
        timings = (heard.turn or {}).get("timings", {})
        predicted_s, since_s = self._first_wait(heard)
        is_let_in = heard.let_in_s is not None and outcome != "refused"
        until_s = heard.let_in_s if is_let_in and heard.let_in_s is not None else heard.ended_s
        n_due = n_frames_due(timings.get("audio_s"))
        return TurnRecord(
            user=self.user,
            number=self.number,
            attempt=self.attempt,
            kind=self.question.kind,
            endpoint=self.endpoint,
            asked_at=heard.asked_at,
            outcome=outcome,
            turn_id=heard.turn_id,
            session_id=heard.session_id,
            status=heard.status,
            code=code,
            fault=fault,
            end_s=heard.ended_s - sent_s,
            retry_after_s=heard.retry_after_s,
            was_queued=heard.queued_s is not None,
            predicted_wait_s=predicted_s,
            waited_s=None if since_s is None else until_s - since_s,
            queue_predicted_s=heard.predicted_wait_s,
            queue_waited_s=None if heard.queued_s is None else until_s - heard.queued_s,
            is_let_in=is_let_in,
            is_impatient=self.is_impatient,
            ttfa_s=None if viewer.first_sound_s is None else viewer.first_sound_s - sent_s,
            ttff_s=viewer.arrivals[0].at_s - sent_s if viewer.arrivals else None,
            timings={k: v for k, v in timings.items() if isinstance(v, int | float)},
            n_fragments=view.n_fragments,
            n_late=view.n_late,
            worst_late_s=view.worst_late_s,
            longest_gap_s=view.longest_gap_s,
            stalled_s=view.stalled_s,
            video_s=viewer.video_s,
            audio_s=timings.get("audio_s"),
            n_frames=viewer.n_frames,
            n_frames_due=n_due[-1] if n_due else None,
            is_whole=viewer.is_whole,
            is_shortened=bool((heard.turn or {}).get("is_shortened")),
            ladder=_ladder(heard),
            av_offset_ms=viewer.av_offset_ms,
            n_bytes=viewer.n_bytes,
            is_slow=self.is_slow,
            arrivals=tuple(
                (round(a.at_s - sent_s, 3), round(a.fragment.picture.start_s, 3))
                for a in viewer.arrivals
                if a.fragment.picture
            ),
        )

    def again(self, heard: Heard, *, is_impatient: bool) -> "Attempt":
        """The next one, after a refusal; what was told first is what counts."""
        predicted_s, since_s = self._first_wait(heard)
        return replace(
            self,
            attempt=self.attempt + 1,
            predicted_wait_s=predicted_s,
            waiting_since_s=since_s,
            is_impatient=is_impatient,
        )

    def _first_wait(self, heard: Heard) -> tuple[float | None, float | None]:
        """The first prediction, and since when the user has waited; nothing where it did not."""
        if self.waiting_since_s is not None:
            return self.predicted_wait_s, self.waiting_since_s
        if heard.queued_s is not None:
            return heard.predicted_wait_s, heard.queued_s
        return (heard.retry_after_s, heard.ended_s) if heard.is_refused else (None, None)
