"""How good a profile's answers are: understood, in the right language, in the right voice, in time
with the lips, and after how long.

Starts the server (or takes the one at ``--url``), holds short, medium and long conversations in
English, Chinese and Spanish, and some in which the language changes. Questions are spoken by espeak
where the profile's ASR knows their language, else written. Needs the extras ``test`` and
``quality``; what is not installed, or what the profile cannot give, is named and left out. A server
that wants a key gets the one in the variable LOAD_API_KEY.

Run: ``python -m benchmarks.quality --profile embedded``. Writes a JSON file and an HTML report, and
ends in one line of JSON on stdout. Exit status: 0; 1 where turns had no answer or a figure is
worse than the baseline's by more than its threshold; 2 where nothing could be measured or compared.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.incoming import AnswerError
from benchmarks.load_run import add_server_arguments, serving
from benchmarks.load_settings import API_KEY
from benchmarks.machine import Machine, single_threaded
from benchmarks.quality_baseline import (
    ALL,
    ASKED,
    N_FAILED,
    WANDER,
    BaselineError,
    Compared,
    check_comparable,
    compared,
    metric_of,
    read_baseline,
    regressions_table,
    summary_of,
)
from benchmarks.quality_metrics import METRICS, missing_of, why_not
from benchmarks.quality_report import Run, columns_of, report_page
from benchmarks.quality_scenarios import LANGUAGES, REFERENCES, SCENARIOS, Scenario, chosen
from benchmarks.quality_server import Evaluated, Served, decoded
from benchmarks.quality_turn import Judge, Judged, Place, Reference, referenced
from benchmarks.report import finish, progress, show, table
from benchmarks.server import ServerError
from deployments.errors import AvatarError
from graph.preflight import ROOT


def main() -> int:
    """The command."""
    options = _options()
    single_threaded("benchmarks.quality")
    machine = Machine()
    try:
        run = _measured(options, machine)
    except (AnswerError, AvatarError, BaselineError, ServerError, ValueError, OSError,
            httpx.HTTPError) as error:  # fmt: skip
        progress(f"error: {error}")
        return 2
    _show(run)
    _write(run, options.out)
    finish("quality", run.result, run.machine)
    is_bad = any(turn.error for turn in run.turns) or any(c.is_regression for c in run.compared)
    return int(is_bad)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__,
        epilog="Thresholds against the baseline:\n" + _thresholds(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_server_arguments(parser)
    add = parser.add_argument
    add("--scenario", action="append", default=[], choices=[s.name for s in SCENARIOS],
        help="only this one; may be given several times")  # fmt: skip
    add("--languages", nargs="+", choices=LANGUAGES, default=list(LANGUAGES),
        help="only scenarios of these (default: en zh es)")  # fmt: skip
    add("--rounds", type=_count, default=1, help="how often each scenario is held (default: 1)")
    add("--sample", type=Path, help="6 to 30 s of a voice whose owner consents: it is copied, "
        "speaks every reply, is what they are compared with, and is erased at the end")  # fmt: skip
    add("--baseline", type=Path, help="the JSON file of an earlier run, to be no worse than")
    add("--out", type=Path, help="the files, less .json and .html "
        "(default: var/quality/PROFILE-DATE-TIME)")  # fmt: skip
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _thresholds() -> str:
    lines = [f"{m.title:<28}{m.threshold}" for m in (*METRICS, WANDER, N_FAILED)]
    return "\n".join(f"  {line}" for line in lines)


def _measured(options: argparse.Namespace, machine: Machine) -> Run:
    scenarios = chosen(options.scenario, options.languages)
    before = read_baseline(options.baseline) if options.baseline else None
    sample = options.sample.read_bytes() if options.sample else b""
    with (
        serving(options.url, options.profile, options.port) as server,
        Evaluated(server.url, key=os.environ.get(API_KEY, "")) as evaluated,
    ):
        served = evaluated.served()
        settings = _settings(options, served, scenarios, sample)
        if before is not None:
            check_comparable(before, settings)
        with _voice(evaluated, sample) as voice:
            references = _references(evaluated, served, scenarios, sample)
            judge = Judge(evaluated, served, references, voice)
            turns = list(_held(judge, scenarios, options.rounds))
        face = evaluated.thumbnail(served.avatar_id)
    result, facts = _result(settings, served, turns), machine.facts()
    found = compared(before, {"machine": facts, **result}) if before else ()
    return Run(result, facts, turns, references, face, found)


def _settings(
    options: argparse.Namespace, served: Served, scenarios: Sequence[Scenario], sample: bytes
) -> dict[str, Any]:
    return {
        "profile": served.profile,
        "scenarios": [scenario.name for scenario in scenarios],
        "questions": _digest("".join(line.text for s in scenarios for line in s.lines).encode()),
        "rounds": options.rounds,
        "sample": _digest(sample) if sample else "",
    }


def _digest(data: bytes) -> str:
    """Enough of it to see that something is not the same."""
    return hashlib.sha256(data).hexdigest()[:16]


@contextmanager
def _voice(evaluated: Evaluated, sample: bytes) -> Iterator[str | None]:
    """The copied voice while it is needed; ``None``: the server's own."""
    if not sample:
        yield None
        return
    voice = evaluated.clone(sample, "benchmarks.quality")
    try:
        yield voice
    finally:
        evaluated.forget(voice)


def _references(
    evaluated: Evaluated, served: Served, scenarios: Sequence[Scenario], sample: bytes
) -> dict[str, Reference]:
    """How the voice should sound, by language: as in the sample, or as the server's own voice says
    something else."""
    found: dict[str, Reference] = {}
    for language in _languages(scenarios):
        if sample:
            name, audio = "the copied sample", decoded(sample)
        else:
            name = f"the server's own voice ({served.engines['tts']}, {language})"
            audio = evaluated.speak(REFERENCES[language], language)
        found[language] = referenced(
            name,
            audio,
            embeds=not why_not("speaker_similarity", language, served),
            pitches=not why_not("f0_mean_hz", language, served),
        )
    return found


def _languages(scenarios: Sequence[Scenario]) -> list[str]:
    return [each for each in LANGUAGES if any(each in s.languages for s in scenarios)]


def _held(judge: Judge, scenarios: Sequence[Scenario], rounds: int) -> Iterator[Judged]:
    sessions = [(s, n) for n in range(1, rounds + 1) for s in scenarios]
    n_all, n_done = sum(len(s.lines) for s, _ in sessions), 0
    for scenario, round_no in sessions:
        for turn in _session(judge, scenario, round_no):
            n_done += 1
            progress(f"[{n_done}/{n_all}] {_told(turn)}")
            yield turn


def _session(judge: Judge, scenario: Scenario, round_no: int) -> Iterator[Judged]:
    session_id, language = None, scenario.lines[0].language
    for number, line in enumerate(scenario.lines, 1):
        place = Place(scenario.name, number, line, line.language != language, round_no)
        turn = judge.turn(place, session_id)
        session_id, language = turn.turn.get("session_id", session_id), line.language
        yield turn


def _told(turn: Judged) -> str:
    if turn.error:
        return f"{turn.place.name}: {turn.error}"
    parts = [
        f"{metric.title} {metric.shown(turn.figures[metric.key])}"
        for metric in METRICS
        if metric.key in turn.figures and (metric.kind != "time" or metric.key == "ttff_ms")
    ]
    return f"{turn.place.name}, {turn.turn['timings']['audio_s']:.1f} s: {', '.join(parts)}"


def _result(settings: dict[str, Any], served: Served, turns: Sequence[Judged]) -> dict[str, Any]:
    languages = list(dict.fromkeys(turn.place.line.language for turn in turns))
    return {
        "settings": settings,
        "engines": dict(served.engines),
        "summary": summary_of(turns),
        "missing": [one.json() for one in missing_of(served, languages)],
        "turns": [turn.json() for turn in turns],
    }


def _show(run: Run) -> None:
    summary = run.result["summary"]
    times = [name for name in ASKED if name in summary]
    others = [name for name in summary if name not in (ALL, *times)]
    if others:
        show("Quality, by the language of the question", table(*columns_of(summary, others)))
    if times:
        show("Times, by how the question was asked, p50", table(*columns_of(summary, times)))
    if missing := run.result["missing"]:
        rows = [[metric_of(m["metric"]).title, " ".join(m["languages"]), m["reason"]]
                for m in missing]  # fmt: skip
        show("What this profile cannot give", table(["figure", "of", "why"], rows))
    if run.compared:
        show("Against the baseline", _against(run.compared))
    show("Measured on", Machine.describe(run.machine))


def _against(found: Sequence[Compared]) -> str:
    n_worse = sum(one.is_regression for one in found)
    said = f"regressions: {n_worse}\n" if n_worse else ""
    return said + regressions_table(found)


def _write(run: Run, out: Path | None) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    profile = run.result["settings"]["profile"]
    stem = out or ROOT / "var" / "quality" / f"{profile}-{stamp}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    data, page = (stem.with_name(stem.name + suffix) for suffix in (".json", ".html"))
    with data.open("w", encoding="utf-8") as file:
        finish("quality", run.result, run.machine, file)
    page.write_text(report_page(run), encoding="utf-8")
    show("Written", f"{data}\n{page}")


if __name__ == "__main__":
    sys.exit(main())
