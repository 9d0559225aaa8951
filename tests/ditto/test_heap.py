"""Memory that was freed is used again, not given back."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
N_MB, PAGE_BYTES = 64, 4096

# Bytes of this size are written as they are made, so every page that is new is counted.
PROGRAM = f"""
import resource, sys
from threading import Thread
from deployments.avatar.ditto.heap import keep_freed_memory

def made():
    for _ in range(3):
        b"x" * ({N_MB} << 20)

def faults_while(run):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def in_a_thread():
    thread = Thread(target=made)
    thread.start()
    thread.join()

run = in_a_thread if sys.argv[1:] else made
usually = faults_while(run)
keep_freed_memory()
run()
print(usually, faults_while(run))
"""


def faults(*arguments: str, **variables: str) -> tuple[int, int]:
    """Pages that came new to a process: before it kept its memory, and after."""
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    usually, kept = map(int, child.stdout.split())
    return usually, kept


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
@pytest.mark.parametrize(
    ("arguments", "variables"),
    [((), {}), (("thread",), {"MALLOC_ARENA_MAX": "1"})],
    ids=["main thread", "any thread"],
)
def test_pages_come_once_to_a_process_that_keeps_its_memory(
    arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    usually, kept = faults(*arguments, **variables)
    pages = (N_MB << 20) // PAGE_BYTES
    assert usually > pages
    assert kept < pages / 10
