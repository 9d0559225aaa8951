"""The dashboard asks for what is exported, and its file is what the table says."""

import json
import re
from typing import Any

import pytest
import yaml

from graph.dashboard import dashboard
from graph.metrics import (
    AdmissionMetrics,
    BatchMetrics,
    Instruments,
    LlmMetrics,
    LoadMetrics,
    TurnMetrics,
)
from graph.panels import Panel, panels
from graph.preflight import ROOT

FOLDER = ROOT / "cluster" / "observability"
_METRIC = re.compile(r"\bray_[a-z0-9_]+")
_PARTS = ("_bucket", "_sum", "_count")

# Of Ray and Serve themselves, as a running server's /metrics shows them (Ray 2.60).
FOREIGN = {
    "ray_serve_autoscaling_target_replicas",
    "ray_serve_deployment_error_counter_total",
    "ray_serve_deployment_queued_queries",
    "ray_serve_deployment_replica_healthy",
    "ray_serve_event_loop_scheduling_latency_ms",
    "ray_serve_replica_processing_queries",
    "ray_component_cpu_percentage",
    "ray_component_uss_bytes",
    "ray_node_cpu_utilization",
    "ray_node_gpus_utilization",
    "ray_node_gram_used",
    "ray_node_mem_total",
    "ray_node_mem_used",
}


class _Named:
    """Stands where Ray's metric would; all that is of interest is that it was made."""

    def inc(self, value: float, tags: dict[str, str]) -> None: ...

    def set(self, value: float, tags: dict[str, str]) -> None: ...

    def observe(self, value: float, tags: dict[str, str]) -> None: ...


def exported() -> dict[str, str]:
    """The kind of each of our metrics, by name."""
    kinds: dict[str, str] = {}

    def making(kind: str) -> Any:
        def make(name: str, **_: Any) -> _Named:
            kinds[f"ray_{name}"] = kind
            return _Named()

        return make

    make = Instruments(making("counter"), making("gauge"), making("histogram"))
    TurnMetrics(make)
    LoadMetrics(make, n_avoided=lambda: 0)
    AdmissionMetrics(make)
    BatchMetrics(make)
    LlmMetrics(make)
    return kinds


def queries(panel: Panel) -> str:
    return "\n".join(panel.queries.values())


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.title)
def test_each_metric_that_a_panel_asks_for_is_exported(panel: Panel) -> None:
    ours = exported()
    known = set(FOREIGN)
    for name, kind in ours.items():
        known |= {name + part for part in _PARTS} if kind == "histogram" else {name}
    known |= {name + part for name in FOREIGN if name.endswith("_ms") for part in _PARTS}

    asked = set(_METRIC.findall(queries(panel)))
    assert asked
    assert asked - known == set()


def test_each_of_our_metrics_is_to_be_seen_somewhere() -> None:
    text = "\n".join(queries(panel) for panel in panels())
    unseen = {name for name in exported() if name not in text}
    # The ladder's turns, a model's whole reply and the turn's end are told with its line.
    assert unseen == {
        "ray_avatar_ladder_turns_total",
        "ray_avatar_llm_ms",
        "ray_avatar_turn_ms",
    }


def test_names_have_one_prefix_and_base_units() -> None:
    units = ("_ms", "_s", "_total", "_frames", "_rtf", "_running", "_waiting")
    for name, kind in exported().items():
        assert name.startswith("ray_avatar_")
        assert (kind == "counter") == name.endswith("_total")
        stateful = ("_capacity", "_away", "_avoided", "_out")
        assert name.endswith(units) or name.endswith(stateful), name


def test_the_file_is_what_the_table_says() -> None:
    file = FOLDER / "grafana" / "dashboards" / "realtime-avatar.json"
    assert json.loads(file.read_text()) == dashboard(), "python -m graph.dashboard > that file"


def test_panels_lie_side_by_side_and_their_numbers_differ() -> None:
    shown = dashboard()["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in shown)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in shown}) == len(shown)


def test_grafana_is_led_to_prometheus_and_to_the_dashboard() -> None:
    provisioning = FOLDER / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load(
        (provisioning / "dashboards" / "realtime-avatar.yaml").read_text()
    )["providers"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
