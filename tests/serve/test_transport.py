"""Serve's throughput mode: what differs from the default, and what must not."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import yaml

from benchmarks.machine import tree_of
from graph.transport import HAPROXY_PORTS, environment
from tests.media import boxes
from tests.serving import ROOT, free_port, n_cancelled, running

KEY = "a key that only this test knows"
AS_US = {"Authorization": f"Bearer {KEY}"}


def test_handles_and_router_do_the_same_in_throughput_mode() -> None:
    """In a process of its own, for Serve reads its mode when it is imported."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/serve/test_router.py"],
        cwd=ROOT,
        env={**os.environ, **environment("throughput")},
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
    }
    with running(talkative(tmp_path), **settings) as server:
        proxies = [pid for pid in tree_of(server.process.pid) if program(pid) == "haproxy"]
        assert proxies
        url, form = f"{server.url}/api/v1/conversation", {"text": "Hello."}
        answer = httpx.post(url, data=form, headers=AS_US, timeout=60)
        assert answer.status_code == 200
        assert boxes(answer.content)[-1] == "mfra"
        assert len(answer.headers.get_list("x-request-id")) == 1
        refused = httpx.post(url, data=form, timeout=60)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        assert refused.json()["request_id"] == refused.headers["x-request-id"]
        endless = {"text": "Again and again. " * 100}
        with httpx.stream("POST", url, data=endless, headers=AS_US, timeout=60) as begun:
            next(begun.iter_bytes())
        until = time.monotonic() + 30
        while not n_cancelled(server.url, AS_US):
            assert time.monotonic() < until, "the turn goes on"
            time.sleep(0.5)
    assert {program(pid) for pid in proxies} == {""}


def talkative(folder: Path) -> Path:
    """A profile of fakes that says what it hears."""
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    config["applications"][0]["args"]["llm"]["options"] = {"rule": "echo"}
    profile = folder / "talkative.yaml"
    profile.write_text(yaml.safe_dump(config))
    return profile


def program(pid: int) -> str:
    """The name of what a process runs; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
