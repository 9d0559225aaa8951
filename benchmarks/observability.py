"""What seeing costs: TTFF with metrics, logs and traces on, against the same graph with all off.

Two servers of one profile run at once and are asked the same spoken questions in turn, so that
whatever else the machine does falls on both alike. *On*: lines of INFO, metrics exported and
scraped every ten seconds, a trace of every turn sent to a collector (in this process). *Off*: lines
of WARNING, no metrics collected by Ray, no traces. Run: ``python -m benchmarks.observability``.
Ends in one line of JSON on stdout.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from benchmarks.client import User
from benchmarks.incoming import AnswerError
from benchmarks.machine import Machine
from benchmarks.report import Spread, Verdict, finish, progress, show, table, verdict_table
from benchmarks.server import Launched, ServerError, running
from benchmarks.speech import QUESTIONS, Question, Speaker
from graph.preflight import PROFILES

MOST_ADDED = 0.05  # of TTFF's median. Source: issue 4.
SCRAPE_EVERY_S = 10.0
_N_RESAMPLED = 10_000


def main() -> int:
    """The command."""
    options = _options()
    machine = Machine()
    try:
        measured = _measure(options)
    except (AnswerError, ServerError, ValueError) as error:
        progress(f"error: {error}")
        return 1
    facts = machine.facts()
    verdict = measured.verdict()
    show("Time to the first fragment, at the client (s)", measured.table())
    show("What was on", measured.proof())
    show("Against what it must reach", verdict_table([verdict]))
    print(f"\nMeasured on\n{Machine.describe(facts)}")
    settings = {"profile": options.profile, "n": options.n}
    result = {"settings": settings, **measured.json(), "verdicts": [verdict.json()]}
    finish("observability", result, facts)
    return 0 if verdict.is_ok else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.observability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--profile", default="embedded", help="in cluster/, of both servers (default: embedded)")
    add("-n", type=int, default=100, help="questions to each (default: 100)")
    add("--warm-ups", type=int, default=5, help="questions before that (default: 5)")
    return parser.parse_args()


@dataclass
class Measured:
    """Seconds to the first fragment, pair by pair, and what the observers got meanwhile."""

    on_s: list[float] = field(default_factory=list)
    off_s: list[float] = field(default_factory=list)
    n_lines: int = 0
    n_series: int = 0
    n_trace_bytes: int = 0
    n_series_off: int = 0
    n_lines_off: int = 0

    @property
    def added(self) -> float:
        """Of the median, as a share."""
        return float(np.median(self.on_s) / np.median(self.off_s)) - 1

    @property
    def interval(self) -> tuple[float, float]:
        """Between these two the added share lies with 95 %: pairs drawn anew, with replacement."""
        pairs = np.array([self.on_s, self.off_s])
        drawn = np.random.default_rng(0).integers(0, pairs.shape[1], (_N_RESAMPLED, pairs.shape[1]))
        on_s, off_s = np.median(pairs[:, drawn], axis=2)
        low, high = np.percentile(on_s / off_s - 1, (2.5, 97.5))
        return float(low), float(high)

    def table(self) -> str:
        rows = [
            [name, *(f"{x:.3f}" for x in (spread.p50, spread.p95, spread.p99)), str(spread.n)]
            for name, spread in (("on", Spread.of(self.on_s)), ("off", Spread.of(self.off_s)))
        ]
        return table(["metrics, logs and traces", "p50", "p95", "p99", "n"], rows)

    def proof(self) -> str:
        """That *on* was on and *off* was off."""
        rows = [
            ["lines about turns and calls", str(self.n_lines), str(self.n_lines_off)],
            ["our series at /metrics", str(self.n_series), str(self.n_series_off)],
            ["kilobytes of traces", str(self.n_trace_bytes // 1000), "0"],
        ]
        return table(["", "on", "off"], rows)

    def verdict(self) -> Verdict:
        low, high = self.interval
        note = f"(95 %: {low * 100:+.1f} to {high * 100:+.1f})"
        return Verdict(
            "what metrics, logs and traces add to TTFF's median",
            f"<= {MOST_ADDED * 100:.0f} %",
            self.added * 100,
            MOST_ADDED * 100,
            "%",
            note=note,
        )

    def json(self) -> dict[str, Any]:
        return {
            "on": Spread.of(self.on_s).json(),
            "off": Spread.of(self.off_s).json(),
            "added": round(self.added, 4),
            "interval_95": [round(x, 4) for x in self.interval],
            "lines": self.n_lines,
            "series": self.n_series,
            "trace_bytes": self.n_trace_bytes,
        }


def _measure(options: argparse.Namespace) -> Measured:
    speaker = Speaker()
    questions = [speaker.ask(text) for text in QUESTIONS]
    measured = Measured()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avatar-seen-")))
        collector = stack.enter_context(_collecting())
        progress("starting two servers ...")
        on = stack.enter_context(running(options.profile, settings=collector.settings))
        off = stack.enter_context(
            running(
                _quiet_profile(options.profile, folder),
                settings={"RAY_enable_metrics_collection": "0"},
            )
        )
        with User(on.url) as seen, User(off.url) as unseen:
            _ask_both(seen, unseen, questions, options.warm_ups)
            with _scraping(on):
                pairs = _ask_both(seen, unseen, questions, options.n)
        measured.on_s, measured.off_s = map(list, zip(*pairs, strict=True))
        measured.n_lines, measured.n_lines_off = _n_lines(on), _n_lines(off)
        measured.n_series, measured.n_series_off = _n_series(on), _n_series(off)
    measured.n_trace_bytes = collector.n_bytes
    _check(measured)
    return measured


def _check(measured: Measured) -> None:
    """Refuse to compare what does not differ.

    Raises:
        ValueError: something was off that should have been on, or the other way round.
    """
    on = (measured.n_lines, measured.n_series, measured.n_trace_bytes)
    if not all(on) or measured.n_lines_off or measured.n_series_off:
        raise ValueError(f"one of the two servers was not as it should be:\n{measured.proof()}")


def _ask_both(
    seen: User, unseen: User, questions: Sequence[Question], n: int
) -> list[tuple[float, float]]:
    """Pairs of TTFF; whoever comes first changes from pair to pair."""
    pairs = []
    for i in range(n):
        wav = questions[i % len(questions)].wav
        first, second = (seen, unseen) if i % 2 else (unseen, seen)
        took = {id(user): user.ask(wav=wav).first_fragment_s for user in (first, second)}
        pairs.append((took[id(seen)], took[id(unseen)]))
        progress(f"question {i + 1}/{n}: on {pairs[-1][0]:.3f} s, off {pairs[-1][1]:.3f} s")
    return pairs


def _quiet_profile(profile: str, folder: Path) -> Path:
    """The profile's own configuration, but only warnings are logged."""
    config = yaml.safe_load((PROFILES / f"{profile}.yaml").read_text())
    config["logging_config"]["log_level"] = "WARNING"
    path = folder / "quiet.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def _scraping(server: Launched) -> Iterator[None]:
    """Read /metrics as a Prometheus would."""
    stop = threading.Event()

    def scrape() -> None:
        while not stop.wait(SCRAPE_EVERY_S):
            httpx.get(f"{server.url}/metrics", timeout=30)

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _n_series(server: Launched) -> int:
    text = httpx.get(f"{server.url}/metrics", timeout=30).text
    return sum(line.startswith("ray_avatar_") for line in text.splitlines())


def _n_lines(server: Launched) -> int:
    """Lines of INFO that know a turn; a warning is written in either case."""
    (place,) = [line for line in server.lines if line.strip().startswith("Logs")]
    files = Path(place.split()[1]).glob("replica_*.log")
    lines = (line for file in files for line in file.read_text().splitlines())
    return sum('"turn_id"' in line and '"INFO"' in line for line in lines)


class _Collector(ThreadingHTTPServer):
    """Takes traces and forgets them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.n_bytes = 0

    @property
    def settings(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server_address[1]}"}


class _Handler(BaseHTTPRequestHandler):
    server: _Collector

    def do_POST(self) -> None:
        self.server.n_bytes += len(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def _collecting() -> Iterator[_Collector]:
    with _Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


if __name__ == "__main__":
    sys.exit(main())
