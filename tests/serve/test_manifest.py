"""Ray's own readers take the Kubernetes manifest as it is meant: Serve's, and its autoscaler's."""

from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.serve.schema import ServeDeploySchema

from cluster.kuberay.generate import MANIFEST

SPEC: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())["spec"]
SERVE: dict[str, Any] = yaml.safe_load(SPEC["serveConfigV2"])
DEPLOYMENTS: list[dict[str, Any]] = SERVE["applications"][0]["deployments"]


def offers() -> dict[str, dict[str, float]]:
    """The resources of one pod of each group, as the autoscaler counts on them."""
    config = _derive_autoscaling_config_from_ray_cr(
        {"metadata": {"name": "a", "namespace": "a"}, "spec": SPEC["rayClusterConfig"]}
    )
    types: dict[str, Any] = config["available_node_types"]
    return {name: dict(found["resources"]) for name, found in types.items()}


def asked(deployment: dict[str, Any]) -> dict[str, float]:
    """What one replica asks Ray for."""
    options = deployment["ray_actor_options"]
    kind = options.get("accelerator_type")
    named = {"CPU": options.get("num_cpus", 1), "GPU": options.get("num_gpus", 0)}
    wanted = {**named, **options.get("resources", {})}
    return wanted if kind is None else {**wanted, f"accelerator_type:{kind}": 0.001}


# It is the setting that works; what Ray 2.60 names in its place it does not read (graph.preflight).
@pytest.mark.filterwarnings("ignore:The `metrics_interval_s` field:DeprecationWarning")
def test_serve_takes_the_configuration() -> None:
    ServeDeploySchema.model_validate(SERVE)


def test_the_head_offers_nothing_and_a_card_is_offered_with_its_kind() -> None:
    found = offers()
    assert found["headgroup"]["CPU"] == 0
    assert found["l4"].items() >= {"CPU": 7, "GPU": 1, "accelerator_type:L4": 1}.items()
    assert "GPU" not in found["front"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_each_replica_fits_on_one_kind_of_pod_only(deployment: dict[str, Any]) -> None:
    wanted = asked(deployment)
    fitting = {
        group
        for group, offered in offers().items()
        if all(offered.get(name, 0) >= amount for name, amount in wanted.items())
    }
    assert fitting == ({"l4"} if wanted["GPU"] else {"front"})
