"""Serve's throughput mode: what differs from the default, and what must not."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import httpx

from benchmarks.machine import tree_of
from graph.transport import HAPROXY_PORTS, environment
from tests.media import boxes
from tests.serving import ROOT, free_port, running

KEY = "a key that only this test knows"
SOON = {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0"}


def test_handles_and_router_do_the_same_in_throughput_mode() -> None:
    """In a process of its own, for Serve reads its mode when it is imported."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/serve/test_router.py"],
        cwd=ROOT,
        env={**os.environ, **environment("throughput"), **SOON},
        capture_output=True,
        text=True,
        timeout=115,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]


def test_beyond_loopback_haproxy_answers_and_ends_with_the_server(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(KEY.encode()).hexdigest() + "\n")
    settings = {
        "TRANSPORT": "throughput",
        "HOST": "0.0.0.0",
        "API_KEYS_FILE": str(keys),
        **{name: str(free_port()) for name in HAPROXY_PORTS},
        **SOON,
    }
    with running("fake", **settings) as server:
        proxies = [pid for pid in tree_of(server.process.pid) if program(pid) == "haproxy"]
        assert proxies
        headers = {"Authorization": f"Bearer {KEY}"}
        url, form = f"{server.url}/api/v1/conversation", {"text": "Hello."}
        answer = httpx.post(url, data=form, headers=headers, timeout=60)
        assert answer.status_code == 200
        assert boxes(answer.content)[-1] == "mfra"
        assert len(answer.headers.get_list("x-request-id")) == 1
        refused = httpx.post(url, data=form, timeout=60)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        assert refused.json()["request_id"] == refused.headers["x-request-id"]
    assert {program(pid) for pid in proxies} == {""}


def program(pid: int) -> str:
    """The name of what a process runs; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
