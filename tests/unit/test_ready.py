"""The launcher's wait for the graph: it ends with an answer, or with one line that says why not."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from graph.fit import Resources, Wish
from graph.ready import LaunchError, ServeApi, wait_until_ready

LOADING = {"status": "loading", "deployments": {"avatar": {"status": "loading"}}}
READY = {"status": "ready", "deployments": {"avatar": {"status": "ready"}}}
FACE = {"GPU": 0.334, "CPU": 0.02, "accelerator_type:L4": 0.001}


@contextmanager
def serving(answers: Mapping[str, Any]) -> Iterator[str]:
    """The address of somebody who answers each path with JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def waited(health: Mapping[str, Any], applications: Mapping[str, Any], free: Resources) -> None:
    said = {"/health": health, "/api/serve/applications/": {"applications": applications}}
    with serving(said) as address:
        wait_until_ready(
            address,
            ServeApi(address, "token"),
            threading.Event(),
            timeout_s=0.3,
            wanted=[Wish("avatar", 2, FACE)],
            free=lambda: free,
        )


def application(*replicas: tuple[str, int | None], status: str = "DEPLOYING", message: str = ""
                ) -> dict[str, Any]:  # fmt: skip
    found = [{"state": state, "pid": pid} for state, pid in replicas]
    return {
        "avatar": {
            "status": status,
            "message": message,
            "deployments": {"avatar": {"message": "", "replicas": found}},
        }
    }


def refused(health: Mapping[str, Any], applications: Mapping[str, Any], free: Resources) -> str:
    with pytest.raises(LaunchError) as caught:
        waited(health, applications, free)
    return str(caught.value)


def test_a_graph_that_can_answer_is_not_waited_for() -> None:
    waited(READY, application(("STARTING", None)), {})


def test_replicas_without_a_place_are_told_at_the_deadline_with_what_is_free() -> None:
    replicas = application(("RUNNING", 7), ("STARTING", None), ("STARTING", 8))
    assert refused(LOADING, replicas, {"GPU": 0.25, "CPU": 1.5, "memory": 1e9}) == (
        "not ready after 0 s: avatar; no node has a place for 1 of avatar "
        "(each 0.334 GPU and 0.02 CPU (of type L4)); free in all: 0.25 GPU and 1.5 CPU"
    )


def test_what_loads_for_too_long_is_told_as_such() -> None:
    assert refused(LOADING, application(("STARTING", 8)), {}) == (
        "not ready after 0 s: avatar; it may still be loading"
    )


def test_what_failed_is_told_at_once_in_the_words_of_its_error() -> None:
    message = "Traceback (most recent call last):\n  File x\nEngineLoadError: no weights\nafter"
    failed = application(status="DEPLOY_FAILED", message=message)
    assert refused(LOADING, failed, {}) == "avatar did not start: EngineLoadError: no weights"
