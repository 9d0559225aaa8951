"""Speed, memory and quality of every engine that can run here, each in a process of its own.

Run: ``python -m benchmarks.engines``. Ends in one line of JSON on stdout.
"""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from benchmarks.machine import Machine
from benchmarks.report import Verdict, finish, progress, show, table, verdict_table
from deployments.registry import ENGINES
from graph.preflight import ROOT

FRAMES_PER_S_MUST = 150.0
_TIMEOUT_S = 300.0


def main() -> int:
    """The command."""
    options = _options()
    machine = Machine()
    results = []
    for stage, name in chosen(options.engine, with_fakes=options.fakes):
        progress(f"measuring {stage}/{name} ...")
        results.append({"stage": stage, "engine": name, **probe(stage, name)})
    facts = machine.facts()
    show("Engines", table(_HEADER, [row(result) for result in results]))
    verdicts = [
        frames_verdict(result)
        for result in results
        if (result["stage"], result["engine"]) == ("avatar", "warp2d")  # of those that need no GPU
    ]
    if verdicts:
        show("Against the targets", verdict_table(verdicts))
    show("Measured on", Machine.describe(facts))
    finish("engines", {"engines": results, "verdicts": [v.json() for v in verdicts]}, facts)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--fakes", action="store_true", help="measure the fake engines as well")
    parser.add_argument(
        "--engine",
        action="append",
        metavar="STAGE/NAME",
        help="only this one, such as asr/moonshine; may be given several times",
    )
    return parser.parse_args()


def chosen(wanted: list[str] | None, *, with_fakes: bool) -> list[tuple[str, str]]:
    """The registry's entries that were asked for; all but the fakes by default.

    Raises:
        SystemExit: an entry that the registry does not have.
    """
    known = {f"{stage}/{name}": (stage, name) for stage, name in ENGINES}
    if wanted is None:
        return [key for key in ENGINES if with_fakes or key[1] != "fake"]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"error: no engine {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in wanted]


def probe(stage: str, name: str) -> dict[str, Any]:
    """One engine's figures, or ``missing`` with the reason why there are none."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", "benchmarks.engine_probe", stage, name],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"missing": f"took more than {_TIMEOUT_S:.0f} s"}
    lines = child.stdout.splitlines()
    if child.returncode or not lines:
        said = child.stderr.strip().splitlines() or ["no output"]
        return {"missing": f"ended with status {child.returncode}: {said[-1]}"}
    figures: dict[str, Any] = json.loads(lines[-1])
    return figures


def frames_verdict(result: dict[str, Any]) -> Verdict:
    """The face's drawing and encoding against what it must reach."""
    rate, cpu_rate = result.get("frames_per_s"), result.get("frames_per_cpu_s")
    return Verdict(
        figure="drawing + encoding, one core",
        must=f">= {FRAMES_PER_S_MUST:.0f} frames/s",
        measured=rate,
        limit=FRAMES_PER_S_MUST,
        unit="frames/s",
        is_minimum=True,
        note=f"({cpu_rate:.0f} by CPU time)" if cpu_rate else str(result.get("missing", "")),
    )


_HEADER = ("engine", "load s", "memory MB", "RTF", "first ms", "details")


def row(result: dict[str, Any]) -> list[str]:
    """One line of the table."""
    name = f"{result['stage']}/{result['engine']}"
    if "missing" in result:
        return [name, "-", "-", "-", "-", f"not measured: {result['missing']}"]
    rtf = f"{result['rtf']:.4f}" if "rtf" in result else "-"
    first = f"{result['first_output_ms']:.2f}"
    memory, load = f"{result['memory_mb']:.0f}", f"{result['load_s']:.2f}"
    return [name, load, memory, rtf, first, result["says"]]


if __name__ == "__main__":
    sys.exit(main())
