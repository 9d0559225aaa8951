"""A loaded server as its operator sees it: Prometheus, the dashboard's queries, logs and traces."""

import json
import math
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from benchmarks.speech import wav
from graph.panels import Panel, panels
from tests.otlp import Collector, attributes, collecting
from tests.serving import ROOT, Server, free_port, running, until

_UNPACKED = ROOT / "var" / "prometheus-package" / "usr" / "bin" / "prometheus"
PROMETHEUS = shutil.which("prometheus") or str(_UNPACKED)
FOLDER = ROOT / "cluster" / "observability"
RATE_OVER = "15s"

needs_prometheus = pytest.mark.skipif(
    not Path(PROMETHEUS).exists(),
    reason="Prometheus is missing; tests/serve/install_prometheus.sh fetches it",
)

# A machine that makes 2.4 s of video per second and lets in more: frames come late, the face is
# reduced, some wait and some are refused. One call of ASR fails and is made once more; the best
# language model fails once, and the other one answers.
PRICES = {"usd_per_million_prompt_tokens": 0.3, "usd_per_million_output_tokens": 2.5}
ECHO = {"rule": "echo", "prices": PRICES}
ARGS: dict[str, Any] = {
    "asr": {"engine": "fake", "options": {"fail_on_call": 3}},
    "llm": {
        "engine": "chain",
        "options": {
            "engines": [
                {"engine": "fake", "name": "best", "options": {**ECHO, "fail_on_call": 3}},
                {"engine": "fake", "name": "other", "options": ECHO},
            ]
        },
    },
    "avatar": {"engine": "fake", "options": {"cost": {"frames_per_s": {1: 30, 8: 30}}}},
    "turn": {"ladder": {"grace_s": 2.0}},
    "admission": {
        "target_utilisation": 1.0, "slack_s": 3.0, "reserve_s": 0.0, "max_queue": 2,
        "max_wait_s": 2.0,
    },
}  # fmt: skip
N_SPEAKERS = 6
HAS_EXPORTER = find_spec("opentelemetry.exporter") is not None and (
    find_spec("opentelemetry.exporter.otlp") is not None
)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


@pytest.fixture(scope="module")
def server(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = yaml.safe_load((ROOT / "cluster" / "fake.yaml").read_text())
    config["applications"][0]["args"].update(ARGS)
    path: Path = tmp_path_factory.mktemp("profile") / "full.yaml"
    path.write_text(yaml.safe_dump(config))
    settings = {"OTEL_BSP_SCHEDULE_DELAY": "200"}  # ms
    if HAS_EXPORTER:
        settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.endpoint
    with running(path, **settings) as server:
        yield server


def question() -> bytes:
    """Two seconds of a tone, which the fakes take for speech."""
    t = np.arange(32_000) / 16_000
    return wav(np.sin(2 * np.pi * 150 * t).astype(np.float32) * 0.6, 16_000)


@contextmanager
def loaded(server: Server) -> Iterator[None]:
    """Speakers who ask all the time, one of whom always leaves in the middle."""
    stop, sound = threading.Event(), question()

    def ask(*, leaves: bool) -> None:
        url, files = f"{server.url}/api/v1/conversation", {"audio": ("a", sound)}
        with suppress(httpx.HTTPError), httpx.stream("POST", url, files=files, timeout=60) as got:
            for _ in got.iter_bytes():
                if leaves or stop.is_set():
                    return

    def speak(*, leaves: bool) -> None:
        while not stop.is_set():
            ask(leaves=leaves)
            stop.wait(0.1)  # who is refused asks again, but not at once

    threads = [threading.Thread(target=speak, kwargs={"leaves": i == 0}) for i in range(N_SPEAKERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Prometheus:
    """One that runs with a configuration of ours, but on other ports and in more of a hurry."""

    def __init__(self, url: str) -> None:
        self.url = url

    def values(self, query: str) -> list[float]:
        """What the query gives now; numbers that are none are left out."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=10)
        assert answer.status_code == 200, answer.text
        found = [float(series["value"][1]) for series in answer.json()["data"]["result"]]
        return [value for value in found if math.isfinite(value)]


@contextmanager
def prometheus(config: Mapping[str, Any], folder: Path) -> Iterator[Prometheus]:
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({**config, "global": {"scrape_interval": "2s"}}))
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            PROMETHEUS,
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=error",
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: is_ready(f"http://{address}"), "Prometheus did not start")
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(30)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def config_of(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return config


def queries(panel: Panel) -> dict[str, str]:
    return {
        f"{panel.title} / {name}": query.replace("$__rate_interval", RATE_OVER)
        for name, query in panel.queries.items()
    }


@needs_prometheus
def test_every_panel_of_the_dashboard_shows_something(server: Server, tmp_path: Path) -> None:
    config = config_of("prometheus.yml")
    (job,) = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:8000"]}]
    job["static_configs"] = [{"targets": [server.url.removeprefix("http://")]}]
    pending = {
        name: query
        for panel in panels()
        if not panel.needs_gpu
        for name, query in queries(panel).items()
    }
    assert len(pending) > 40

    with prometheus(config, tmp_path) as prom, loaded(server):

        def all_show() -> bool:
            time.sleep(0.5)  # asked of a busy machine
            for name, query in list(pending.items()):
                if prom.values(query):
                    del pending[name]
            return not pending

        until(all_show, "some panels stayed empty", 60)
        for panel in panels():  # what needs a GPU can be asked all the same
            for query in queries(panel).values():
                prom.values(query)
    assert pending == {}


@needs_prometheus
def test_the_nodes_that_rays_dashboard_names_show_the_same(server: Server, tmp_path: Path) -> None:
    config = config_of("prometheus-cluster.yml")
    (job,) = config["scrape_configs"]
    (discovery,) = job["http_sd_configs"]
    assert discovery["authorization"]["credentials_file"] == "ray-token"  # beside the file
    discovery["url"] = discovery["url"].replace("http://127.0.0.1:8265", server.dashboard.url)
    discovery["refresh_interval"] = "1s"
    (tmp_path / "ray-token").write_text(server.dashboard.token)
    ask(server, "hello")

    with prometheus(config, tmp_path) as prom:
        counted = "sum(ray_avatar_turns_total)"
        until(lambda: bool(prom.values(counted)), "no node was found that counts turns")
        until(lambda: min(prom.values("up")) == 1, "a node that was named could not be asked")


def ask(server: Server, text: str) -> httpx.Response:
    """A whole turn, as soon as there is room."""
    url, accept = f"{server.url}/api/v1/conversation", {"Accept": "application/json"}
    while True:
        answer = httpx.post(url, data={"text": text}, headers=accept, timeout=60)
        if answer.status_code != 503:
            return answer
        time.sleep(float(answer.headers["retry-after"]))


def lines_of(server: Server) -> list[dict[str, Any]]:
    """All that the replicas have logged so far."""
    (line,) = [line for line in server.lines if line.strip().startswith("Logs")]
    files = sorted(Path(line.split()[1]).glob("replica_*.log"))
    return [json.loads(text) for file in files for text in file.read_text().splitlines()]


def test_a_turn_can_be_followed_through_all_stages(server: Server) -> None:
    answer = ask(server, "Is a xylophone nearby?")
    ids = {
        "request_id": answer.headers["x-request-id"],
        "turn_id": answer.headers["x-turn-id"],
        "session_id": answer.headers["x-session-id"],
    }

    def followed() -> list[dict[str, Any]]:
        return [line for line in lines_of(server) if line.get("turn_id") == ids["turn_id"]]

    stages = {"llm", "tts", "avatar"}  # nobody spoke
    until(lambda: {line.get("stage") for line in followed()} >= stages, "a stage logged nothing")
    found = followed()
    assert all(ids.items() <= line.items() for line in found)
    assert {line["deployment"] for line in found if "stage" in line} == {
        f"avatar_{stage}" for stage in stages
    }
    (whole,) = [line for line in found if line["message"] == "turn finished"]
    body = answer.json()
    assert whole["deployment"] == "avatar_ingress"
    assert whole["timings"] == body["timings"]
    assert whole["engines"] == body["engines"]
    n_frames = math.ceil(round(25 * body["timings"]["audio_s"], 3)) + 8
    assert whole["n_frames"] == n_frames
    drawn = [line for line in found if line.get("stage") == "avatar" and "media_s" in line]
    assert all(line["busy_ms"] > 0 and line["media_s"] > 0 for line in drawn)


def test_nothing_that_was_said_is_in_any_log(server: Server) -> None:
    answer = ask(server, "Is a xylophone nearby?").json()
    assert "xylophone" in answer["user_text"]
    assert "xylophone" in answer["response_text"]

    (line,) = [line for line in server.lines if line.strip().startswith("Logs")]
    texts = [file.read_text() for file in Path(line.split()[1]).iterdir() if file.is_file()]
    assert len(texts) > 5
    assert not any("xylophone" in text for text in texts)


@pytest.mark.skipif(not HAS_EXPORTER, reason="opentelemetry-exporter-otlp-proto-http is missing")
def test_a_turn_is_one_trace_at_the_collector(server: Server, collector: Collector) -> None:
    answer = ask(server, "hello")
    turn_id, timings = answer.headers["x-turn-id"], answer.json()["timings"]

    def traced() -> dict[str, tuple[int, int]]:
        for spans in collector.wait_for_turns(1).values():
            by_name = {span.name: span for span in spans}
            if attributes(by_name["turn"])["turn_id"] == turn_id:
                return {
                    name: (span.start_time_unix_nano, span.end_time_unix_nano)
                    for name, span in by_name.items()
                }
        return {}

    until(lambda: bool(traced()), "the turn's trace did not arrive")
    spans = traced()
    assert set(spans) == {"turn", "queue", "llm", "tts", "avatar"}
    start_ns, end_ns = spans["turn"]
    assert (end_ns - start_ns) / 1e6 == pytest.approx(timings["turn_ms"], abs=0.002)
    assert (spans["llm"][1] - spans["llm"][0]) / 1e6 == pytest.approx(timings["llm_ms"], abs=0.002)
    assert abs(end_ns / 1e9 - time.time()) < 30
