"""What a figure was measured on: hardware, load, versions; memory and time of process trees."""

import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PROC = Path("/proc")

_PACKAGES = (
    "ray", "numpy", "av", "opencv-python-headless", "onnxruntime", "moonshine-voice",
    "espeakng-loader", "faster-whisper", "torch", "coqui-tts", "pyworld", "Resemblyzer", "jiwer",
)  # fmt: skip


class Machine:
    """The machine as it was when the measuring began; ``facts`` adds how it is now."""

    def __init__(self) -> None:
        self._load_before = os.getloadavg()

    def facts(self) -> dict[str, Any]:
        return {
            "cpu": _cpu_model(),
            "cores": len(os.sched_getaffinity(0)),
            "ram_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "system": platform.platform(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "load_before": [round(x, 2) for x in self._load_before],
            "load_after": [round(x, 2) for x in os.getloadavg()],
            "python": platform.python_version(),
            "versions": _versions(),
        }

    @staticmethod
    def describe(facts: Mapping[str, Any]) -> str:
        """The facts that belong under a table, in one line."""
        before, after = facts["load_before"][0], facts["load_after"][0]
        return (
            f"{facts['cpu']}, {facts['cores']} cores, {facts['ram_gb']} GB; {facts['date']}; "
            f"load average {before} before, {after} after; Python {facts['python']}"
            + _caution(facts)
        )


def _caution(facts: Mapping[str, Any]) -> str:
    """A word about other work on the machine before the measuring began, which slows all of it."""
    is_busy = facts["load_before"][0] > facts["cores"] / 2
    return (
        "\nThe machine was busy before: these figures are slower than its own." if is_busy else ""
    )


def _cpu_model(cpuinfo: Path = PROC / "cpuinfo") -> str:
    for line in cpuinfo.read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def single_threaded(module: str) -> None:
    """Start this program again with one BLAS thread, as the launcher gives each replica.

    The libraries read the variable when they are loaded, which is before any of our code runs.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "OMP_NUM_THREADS": "1"})


def tree_of(root_pid: int, proc: Path = PROC) -> list[int]:
    """``root_pid`` and all that descends from it."""
    children: dict[int, list[int]] = {}
    for entry in proc.glob("[0-9]*"):
        parent = _parent(entry)
        if parent is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root_pid]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, ()))
    return found


def _parent(entry: Path) -> int | None:
    try:
        # The command in parentheses may hold spaces and parentheses of its own.
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):  # it ended meanwhile
        return None


def tree_pss_bytes(root_pid: int, proc: Path = PROC) -> dict[str, int]:
    """Proportional memory (what is shared is counted once in all) by process, as ``name pid``."""
    found = {}
    for pid in tree_of(root_pid, proc):
        size = memory_bytes(pid, "Pss", proc)
        if size is not None:
            found[f"{_name(proc / str(pid))} {pid}"] = size
    return found


def memory_bytes(pid: int, kind: str, proc: Path = PROC) -> int | None:
    """``Pss`` or ``Rss`` of one process; ``None`` once it has ended."""
    try:
        lines = (proc / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024
    return None


def tree_cpu_s(root_pid: int, proc: Path = PROC) -> dict[str, float]:
    """Processor time so far, by name: those that go by the same one together."""
    found: dict[str, float] = {}
    for pid in tree_of(root_pid, proc):
        entry = proc / str(pid)
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        ticks = int(fields[11]) + int(fields[12])  # its own, in user and in kernel mode
        name = _name(entry)
        found[name] = found.get(name, 0.0) + ticks / os.sysconf("SC_CLK_TCK")
    return found


def _name(entry: Path) -> str:
    """What the process calls itself: Ray's workers write it over their command line."""
    try:
        words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "?"
    first, _, rest = words.strip().partition(" ")
    program = Path(first).name
    if first.startswith("ray::"):
        return first.partition(".")[0]  # what follows is the method it is in just now
    if not program.startswith("python"):
        return program or "?"
    script = next((w for w in rest.split() if w.endswith(".py") or w.startswith("graph.")), "")
    return Path(script).name or program
