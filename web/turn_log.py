"""One line for each turn, when it is over: how it went and where its time went.

Numbers and ids; nothing that anybody said.
"""

from deployments.caller import logger_of
from graph.record import TurnRecord
from web.wire import timings_json

logger = logger_of("avatar.web")


def log_turn(turn: TurnRecord) -> None:
    """Serve's JSON lines show each of the fields beside the message."""
    report = turn.report
    fields = {
        "outcome": turn.outcome,
        "language": report.language,
        "engines": dict(report.engines),
        "timings": timings_json(report.timings),
        "queue_ms": _rounded(turn.queue_ms),
        "av_skew_ms": _rounded(report.timings.av_skew_ms),
        "n_frames": report.n_frames,
        "n_late_frames": report.n_late_frames,
        "n_bytes": report.n_bytes,
        "is_shortened": report.is_shortened,
    }
    logger.info("turn %s", turn.outcome, extra={**fields, **turn.caller.fields()})


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 3)
