"""What many turns amount to: the figures of a load test, as a table and as JSON."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from benchmarks.load_record import WHOLE, Outcome, TurnRecord
from benchmarks.load_waits import Honesty, Returned, queue_waits, refused_waits
from benchmarks.report import Spread, show, table
from graph.events import LadderLevel

_STAGES = (
    ("decode_ms", "decode"),
    ("asr_ms", "ASR"),
    ("llm_first_token_ms", "LLM, first token"),
    ("llm_ms", "LLM, whole"),
    ("tts_first_audio_ms", "TTS, first audio"),
    ("avatar_first_frame_ms", "avatar, first frames"),
    ("ttfa_ms", "TTFA, by the server's clock"),
    ("ttff_ms", "TTFF, by the server's clock"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run beside its turns. ``generator_cpu_s``: processor time of all the
    generator's own processes in ``wall_s``."""

    n_users: int
    wall_s: float
    generator_cpu_s: float
    load_average: tuple[float, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lateness:
    """Fragments of viewers who read as fast as they can, of all turns that brought any."""

    n_fragments: int
    n_late: int
    worst_s: float
    longest_gap_s: float

    @classmethod
    def of(cls, records: Iterable[TurnRecord]) -> "Lateness":
        fair = [r for r in records if r.n_fragments and not r.is_slow]
        return cls(
            sum(r.n_fragments for r in fair),
            sum(r.n_late for r in fair),
            max((r.worst_late_s for r in fair), default=0.0),
            max((r.longest_gap_s for r in fair), default=0.0),
        )

    @property
    def share(self) -> float:
        return self.n_late / self.n_fragments if self.n_fragments else 0.0

    def json(self) -> dict[str, Any]:
        return {
            "n": self.n_fragments,
            "late": self.n_late,
            "share": round(self.share, 6),
            "worst_s": round(self.worst_s, 3),
            "longest_gap_s": round(self.longest_gap_s, 3),
        }


def spread(records: Iterable[TurnRecord], figure: Callable[[TurnRecord], float | None]) -> Spread:
    """Of the turns that have the figure; of none, all zero."""
    values = [value for r in records if (value := figure(r)) is not None]
    return Spread.of(values) if values else Spread(0.0, 0.0, 0.0, 0)


def ladder_s(records: Iterable[TurnRecord]) -> dict[str, float]:
    """Seconds of video on each step of the ladder."""
    seconds = dict.fromkeys(get_args(LadderLevel), 0.0)
    for record in records:
        for step in record.ladder:
            seconds[step["level"]] = seconds.get(step["level"], 0.0) + step["to_s"] - step["from_s"]
    return seconds


def ladder_share(records: Sequence[TurnRecord]) -> float:
    """Seconds of video on any step of the ladder, over those of turns that told."""
    told_s = sum(r.video_s for r in records if r.audio_s is not None)
    return sum(ladder_s(records).values()) / told_s if told_s else 0.0


def refusals(records: Sequence[TurnRecord]) -> dict[str, Any]:
    """Told at once, and told after waiting in the queue."""
    refused = [r for r in records if r.outcome == "refused"]
    at_once = [r for r in refused if not r.was_queued]
    return {
        "at_once": len(at_once),
        "after_queueing": len(refused) - len(at_once),
        "time_s": spread(at_once, lambda r: r.end_s).json(),
        "retry_after_s": spread(refused, lambda r: r.retry_after_s).json(),
    }


def waits(records: Sequence[TurnRecord]) -> dict[str, Any]:
    """In the queue and, once refused, outside; each kind with its own honesty."""
    return {
        "queued": sum(r.was_queued for r in records),
        "real_s": spread(records, lambda r: r.waited_s if r.is_let_in else None).json(),
        "queue": Honesty.of(queue_waits(records)).json(),
        "refused_early": Honesty.of(refused_waits(records, is_impatient=True)).json(),
        "refused_as_told": Honesty.of(refused_waits(records, is_impatient=False)).json(),
        "returned_as_told": Returned.of(records).json(),
    }


def summary(records: Sequence[TurnRecord], run: Run) -> dict[str, Any]:
    """All figures, as the line of JSON has them."""
    outcomes = Counter(r.outcome for r in records)
    video_s = sum(r.video_s for r in records)
    n_whole = sum(outcomes[outcome] for outcome in WHOLE)
    wall_s = max(run.wall_s, 1e-9)
    share = ladder_s(records)
    told_s = sum(r.video_s for r in records if r.audio_s is not None) or 1.0
    offsets = [r.av_offset_ms for r in records if r.is_whole and r.av_offset_ms is not None]
    return {
        "settings": dict(run.settings),
        "users": run.n_users,
        "wall_s": round(run.wall_s, 1),
        "turns": {"all": len(records), **{o: outcomes[o] for o in get_args(Outcome)}},
        "errors": dict(Counter(r.code for r in records if r.outcome in ("error", "cut"))),
        "faults": dict(Counter(r.fault for r in records if r.fault)),
        "ttff_s": spread(records, lambda r: r.ttff_s).json(),
        "ttfa_s": spread(records, lambda r: r.ttfa_s).json(),
        "stages": {
            name: spread(records, lambda r, name=name: r.timings.get(name)).json(1)  # type: ignore[misc]
            for name, _ in _STAGES
        },
        "answer_s": spread(records, lambda r: r.audio_s).json(),
        "fragments": Lateness.of(records).json(),
        "av_offset_ms": {
            "least": round(min(offsets), 1) if offsets else None,
            "most": round(max(offsets), 1) if offsets else None,
        },
        "refusals": refusals(records),
        "waits": waits(records),
        "ladder": {
            "share": round(ladder_share(records), 6),
            **{level: round(seconds / told_s, 6) for level, seconds in share.items()},
        },
        "video_s_per_s": round(video_s / wall_s, 3),
        "videos_per_hour": round(n_whole * 3600 / wall_s, 1),
        "generator_cores_per_user": round(run.generator_cpu_s / wall_s / max(run.n_users, 1), 5),
        "load_average": [round(x, 2) for x in run.load_average],
    }


def show_summary(found: Mapping[str, Any]) -> None:
    """The tables, from what ``summary`` returned."""
    turns = found["turns"]
    show(
        f"{turns['all']} turns of {found['users']} users in {found['wall_s']:.0f} s",
        table(["ended", "turns"], [[o, str(turns[o])] for o in get_args(Outcome)]),
    )
    for title in ("errors", "faults"):
        if found[title]:
            rows = [[what or "?", str(n)] for what, n in found[title].items()]
            show(title.capitalize(), table([title, "turns"], rows))
    show("Times", table(["figure", "p50", "p95", "p99", "n"], _time_rows(found)))
    show("On time", table(["figure", "measured"], _on_time_rows(found)))


def _time_rows(found: Mapping[str, Any]) -> list[list[str]]:
    rows = [
        _time_row("TTFF at the client, s", found["ttff_s"], 3),
        _time_row("TTFA at the client, s", found["ttfa_s"], 3),
        *(_time_row(f"  {title}, ms", found["stages"][name], 1) for name, title in _STAGES),
        _time_row("answer, s of speech", found["answer_s"], 1),
        _time_row("refusal, at once, s", found["refusals"]["time_s"], 3),
        _time_row("wait until let in, s", found["waits"]["real_s"], 2),
    ]
    return [row for row in rows if row[-1] != "0"]


def _time_row(title: str, of: Mapping[str, float], digits: int) -> list[str]:
    return [title, *(f"{of[p]:.{digits}f}" for p in ("p50", "p95", "p99")), str(of["n"])]


_WAITS = (
    ("queue", "in the queue"),
    ("refused_early", "refused, asked early and often"),
    ("refused_as_told", "refused, came as told (cannot be sooner)"),
)


def _honest(of: Mapping[str, Any]) -> str:
    off = of["predicted_off_median"]
    shown = "-" if off is None else f"{off:.0%}"
    return f"{shown} ({of['n']} waits, {of['cut_off']} cut off, {of['dropped']} dropped)"


def _on_time_rows(found: Mapping[str, Any]) -> list[list[str]]:
    fragments, offset, ladder = found["fragments"], found["av_offset_ms"], found["ladder"]
    waited, refused = found["waits"], found["refusals"]
    levels = ", ".join(f"{level} {ladder[level]:.2%}" for level in get_args(LadderLevel))
    return [
        ["fragments, late (more than 50 ms)", f"{fragments['late']} of {fragments['n']}"
         f" ({fragments['share']:.3%})"],
        ["latest fragment", f"{fragments['worst_s']:.3f} s after its time"],
        ["longest gap that a viewer saw", f"{fragments['longest_gap_s']:.3f} s"],
        ["sound's end after the picture's, whole videos", "-" if offset["least"] is None
         else f"{offset['least']} to {offset['most']} ms"],
        ["video on the ladder", f"{ladder['share']:.2%} ({levels})"],
        ["refused", f"{refused['at_once']} at once, {refused['after_queueing']} after queueing"],
        ["queued", str(waited["queued"])],
        *([f"predicted wait off the real one, median: {title}", _honest(waited[name])]
          for name, title in _WAITS),
        ["came back as told, refused again", f"{waited['returned_as_told']['refused_again']} of "
         f"{waited['returned_as_told']['n']}"],
        ["seconds of video per second", f"{found['video_s_per_s']:.2f}"],
        ["videos per hour", f"{found['videos_per_hour']:.0f}"],
        ["generator's own work", f"{found['generator_cores_per_user']:.2%} of a core per user"],
        ["load average", ", ".join(map(str, found["load_average"])) or "-"],
    ]  # fmt: skip
