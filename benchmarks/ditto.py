"""How fast Ditto's networks are here, and how many live sessions that makes.

Every network at full size with random weights, in batches: milliseconds, operations, and the share
of what a matrix product reaches in the same run; from these frames a second, live sessions at 25
frames a second of which none is late, the delay of the first frame, memory; and the diffusion
against its plain form. Not among them: HuBERT, which comes as a file for ONNX Runtime, and the
stitch network, a twentieth of a millisecond on any processor.

Run: ``python -m benchmarks.ditto [--device cuda] [--half] [--quick]``; wants torch and numpy, and
on a CPU some three minutes. Ends in one line of JSON on stdout.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.ditto_clock import Clock, operations
from benchmarks.ditto_sessions import Costs, sessions
from benchmarks.ditto_work import N_STEPS, PUBLISHED_GFLOP, Windows, Work, works
from benchmarks.machine import Machine
from benchmarks.report import Verdict, finish, progress, show, table, verdict_table
from deployments.avatar.ditto.heap import keep_freed_memory

BATCHES = {"cpu": (1, 2), "cuda": (1, 2, 4, 8, 16)}
WINDOWS = {"cpu": (1, 2), "cuda": (1, 2, 4, 8)}
N_RUNS = {"cpu": 3, "cuda": 20}
_FPS = 25
_USUAL_BATCH = 8  # of the engine's setting ``batch``


@dataclass(frozen=True, slots=True)
class Row:
    """One network at one size of batch."""

    name: str
    batch: int
    dtype: str
    seconds: float
    done: float
    """Operations of the batch, in the form that runs."""
    peak: float
    """Of a matrix product in the same precision, operations a second."""
    memory_gb: float
    """The most that was taken meanwhile."""

    @property
    def share(self) -> float:
        return self.done / self.seconds / self.peak

    @property
    def published_share(self) -> float | None:
        gflop = PUBLISHED_GFLOP.get(self.name)
        return gflop and gflop * 1e9 * self.batch / self.seconds / self.peak

    def cells(self) -> list[str]:
        published = self.published_share
        return [
            self.name,
            str(self.batch),
            self.dtype,
            f"{1e3 * self.seconds:.2f}",
            f"{self.done / self.batch / 1e9:.1f}",
            f"{self.done / self.seconds / 1e12:.3f}",
            f"{100 * self.share:.1f}",
            "-" if published is None else f"{100 * published:.1f}",
        ]

    def json(self) -> dict[str, Any]:
        published = self.published_share
        return {
            "network": self.name,
            "batch": self.batch,
            "dtype": self.dtype,
            "ms": round(1e3 * self.seconds, 3),
            "gflop": round(self.done / 1e9, 1),
            "tflops": round(self.done / self.seconds / 1e12, 3),
            "memory_gb": round(self.memory_gb, 2),
            "share": round(self.share, 4),
            "published_share": None if published is None else round(published, 4),
        }


HEADER = ("network", "batch", "in", "ms", "GFLOP each", "TFLOP/s", "% of peak", "% published")


@dataclass(frozen=True, slots=True)
class Result:
    """All that was measured."""

    device: str
    is_gpu: bool
    half: bool
    peaks: dict[str, float]  # operations a second by precision
    rows: list[Row]
    windows: Costs
    plain_window_s: float

    @property
    def memory(self) -> tuple[int, float]:
        """Frames painted at once, and GB taken meanwhile: of as many as are usual, or as fit."""
        frames = (row for row in self.rows if row.name == "frame" and row.batch <= _USUAL_BATCH)
        return max((row.batch, row.memory_gb) for row in frames)

    def frames(self) -> dict[int, float]:
        return {row.batch: row.seconds for row in self.rows if row.name == "frame"}

    def json(self) -> dict[str, Any]:
        return {
            "device": self.device,
            "half": self.half,
            "gemm_tflops": {name: round(peak / 1e12, 3) for name, peak in self.peaks.items()},
            "networks": [row.json() for row in self.rows],
            "window_ms": {n: round(1e3 * s, 2) for n, s in self.windows.items()},
            "plain_window_ms": round(1e3 * self.plain_window_s, 2),
            **self.served(),
            "memory_gb": round(self.memory[1], 2),
        }

    def served(self) -> dict[str, float]:
        """What these times come to for those who watch."""
        frames = self.frames()
        return {
            "frames_per_s": round(max(n / seconds for n, seconds in frames.items()), 3),
            "live_sessions": sessions(frames, self.windows),
            "first_frame_ms": round(1e3 * (self.windows[1] + frames[1]), 1),
        }


def main() -> int:
    """The command."""
    options = _options()
    keep_freed_memory()
    machine, device = Machine(), torch.device(options.device)
    half = options.half or options.device == "cuda"
    n_runs = 1 if options.quick else N_RUNS[options.device]
    result = measured(Clock(device, n_runs), half, _name(device))
    facts = machine.facts()
    show_all(result)
    show("Measured on", f"{result.device}, torch {torch.__version__}; {Machine.describe(facts)}")
    judged = verdicts(result)
    show("Against the targets", verdict_table(judged))
    figures = {**result.json(), "verdicts": [verdict.json() for verdict in judged]}
    finish("ditto", figures, facts)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ditto", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default=None)
    parser.add_argument("--half", action="store_true", help="on a CPU too, in bfloat16")
    parser.add_argument("--quick", action="store_true", help="each network once")
    options = parser.parse_args()
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return options


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{torch.get_num_threads()} threads"


def measured(clock: Clock, half: bool, device: str) -> Result:
    """Everything, the matrix product before and after the networks."""
    todo = works(clock.device, half)
    kinds = {work.dtype for work in todo}
    before = _peaks(clock, kinds)
    timed = [one for work in todo for one in _timed(clock, work)]
    windows, plain_s = _windows(clock)
    peaks = {kind: max(peak, before[kind]) for kind, peak in _peaks(clock, kinds).items()}
    rows = [
        Row(work.name, n, _short(work.dtype), seconds, done, peaks[work.dtype], gb)
        for work, n, seconds, done, gb in timed
    ]
    named = {_short(kind): peak for kind, peak in peaks.items()}
    return Result(device, clock.is_gpu, half, named, rows, windows, plain_s)


def _peaks(clock: Clock, kinds: set[torch.dtype]) -> dict[torch.dtype, float]:
    progress("matrix products ...")
    return {kind: clock.peak_flops(kind) for kind in kinds}


def _timed(clock: Clock, work: Work) -> list[tuple[Work, int, float, float, float]]:
    """With the batch, the seconds, the operations and the memory."""
    progress(f"{work.name} ...")
    timed = []
    for n in BATCHES[clock.device.type]:
        call = work.call(n)
        clock.forget_memory()
        try:
            seconds = clock.recorded_s(call) if work.is_recorded else clock.whole_s(call)
            timed.append((work, n, seconds, operations(call), clock.memory_gb()))
        except torch.OutOfMemoryError:
            progress(f"{work.name}: {n} at once do not fit")
            torch.cuda.empty_cache()
            break
    return timed


def _windows(clock: Clock) -> tuple[dict[int, float], float]:
    progress("the diffusion ...")
    windows = Windows(clock.device)
    ours = {n: clock.whole_s(windows.ours(n)) for n in WINDOWS[clock.device.type]}
    return ours, clock.whole_s(windows.plain())


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def show_all(result: Result) -> None:
    """The tables."""
    peaks = (f"{name} {peak / 1e12:.3f} TFLOP/s" for name, peak in result.peaks.items())
    show("The best matrix product of this run", ", ".join(peaks))
    show("Networks", table(HEADER, [row.cells() for row in result.rows]))
    print(
        "GFLOP each: in the form that runs; % published: as if it did what the published one does"
    )
    rows = [[f"{n} at once", f"{1e3 * s:.1f}"] for n, s in result.windows.items()]
    rows.append(["plain, 1", f"{1e3 * result.plain_window_s:.1f}"])
    show(f"A window of 80 frames in {N_STEPS} steps", table(("sessions", "ms"), rows))
    served = result.served()
    lines = [
        f"{served['frames_per_s']} frames a second ({served['frames_per_s'] / _FPS:.2f} of life)",
        f"{served['live_sessions']} live sessions without a late frame (simulated)",
        f"{served['first_frame_ms']} ms from a window's features to its first frame",
        f"{result.memory[1]:.2f} GB of memory at most, with {result.memory[0]} frames at once",
    ]
    show("Which comes to", "\n".join(lines))


def verdicts(result: Result) -> list[Verdict]:
    """The figures of issue 6. A share is of operations that were really done."""
    return _of_gpu(result) if result.is_gpu else _of_cpu(result)


def _of_cpu(result: Result) -> list[Verdict]:
    faster = result.plain_window_s / result.windows[1]
    share = max(row.share for row in result.rows if row.name == "frame")
    note = "in bfloat16, which the target does not mean" if result.half else ""
    return [
        Verdict("window, times as fast as plain", ">= 1.6", faster, 1.6, "", is_minimum=True),
        Verdict(
            "frame, share of peak", ">= 60 %", 100 * share, 60, "%", is_minimum=True, note=note
        ),
    ]


def _of_gpu(result: Result) -> list[Verdict]:
    grown = result.windows.get(8)
    slower = None if grown is None else grown / result.windows[1]
    return [
        _share(result.rows, "decoder", 55),
        _share(result.rows, "frame", 40),
        Verdict("window, 8 sessions against one", "<= 2 times", slower, 2, ""),
    ]


def _share(rows: Sequence[Row], name: str, limit: float) -> Verdict:
    found = [100 * row.share for row in rows if row.name == name and row.batch == 8]
    share, note = (found[0], "") if found else (None, "8 at once do not fit")
    figure = f"{name}, batch 8, share of peak"
    return Verdict(figure, f">= {limit:g} %", share, limit, "%", is_minimum=True, note=note)


if __name__ == "__main__":
    sys.exit(main())
