"""``make serve``: what goes wrong is one line before anything starts; what ends, ends whole."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.serving import ROOT, free_port, launch, running


def refused(**settings: str) -> tuple[int, str, float]:
    began = time.monotonic()
    process = launch(**settings)
    output, _ = process.communicate(timeout=30)
    return process.returncode, output.strip(), time.monotonic() - began


def test_an_unknown_profile_is_named_with_those_there_are() -> None:
    status, line, took_s = refused(PROFILE="embeded")
    assert status == 2
    assert line.startswith("error: unknown profile 'embeded'; PROFILE can be")
    assert "embedded" in line.partition(";")[2]
    assert "\n" not in line
    assert took_s < 10


@pytest.mark.parametrize("name", ["PORT", "DASHBOARD_PORT"])
def test_a_busy_port_is_named_with_the_setting_that_changes_it(name: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, line, _ = refused(
            **{"PORT": str(free_port()), "DATA_DIR": str(tmp_path), name: str(port)}
        )
    assert status == 2
    assert line.startswith(f"error: port {port} on 127.0.0.1 cannot be used")
    assert f"make serve {name}={port + 1}" in line
    assert "\n" not in line


def test_a_host_beyond_loopback_without_keys_is_refused() -> None:
    status, line, _ = refused(HOST="0.0.0.0")
    assert status == 2
    assert "api_keys_file" in line
    assert "\n" not in line


def test_a_misspelt_setting_in_a_profile_is_named(tmp_path: Path) -> None:
    text = (ROOT / "cluster" / "fake.yaml").read_text()
    profile = tmp_path / "mine.yaml"
    profile.write_text(text.replace("tts: {engine: fake}", "tts: {engine: fake, enginee: 1}"))
    status, output, _ = refused(
        PROFILE=str(profile),
        PORT=str(free_port()),
        DASHBOARD_PORT=str(free_port()),
        DATA_DIR=str(tmp_path),
    )
    assert (status, output) == (
        2,
        "error: the profile's tts.enginee: Extra inputs are not permitted",
    )


def descendants(launcher_pid: int) -> set[int]:
    """Every process that it started, directly or not."""
    tree = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    parents = {
        int(pid): int(parent) for pid, parent in (line.split() for line in tree.split("\n") if line)
    }
    found = {launcher_pid}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {launcher_pid}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_process_that_was_started(number: signal.Signals) -> None:
    with running("fake") as server:
        family = descendants(server.process.pid)
        assert len(family) > 10
        folder = Path(next(line for line in server.lines if "Logs" in line).split()[1]).parents[3]
        assert folder.exists()
        server.process.send_signal(number)
        assert server.process.wait(30) == 0
    assert {pid for pid in family if _is_alive(pid)} == set()
    assert not folder.exists()


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_help_names_every_setting() -> None:
    output = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in ("PROFILE", "HOST", "PORT", "DASHBOARD_PORT", "DATA_DIR", "TLS_CERT", "TLS_KEY"):
        assert name in output
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
