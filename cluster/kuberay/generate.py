"""Writes rayservice.yaml: what Kubernetes is told follows from what Serve is told.

    python -m cluster.kuberay.generate

reads the profile ``production`` and template.yaml. The tests fail while the file differs.
"""

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import yaml

from graph.environment import ray_environment
from graph.launch import OBJECT_STORE_BYTES
from graph.preflight import LaunchOptions, filled_profile, launch_settings

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "rayservice.yaml"
KEYS_FILE = Path("/etc/realtime-avatar/api_keys")
DATA_DIR = Path("/data")
MARGIN_S = 60
"""What a pod may take beyond its last answer: Serve starts the replicas elsewhere first, and a
proxy that is not needed any more stays for half a minute (Ray 2.60's default)."""

SURGE_CARDS = 1
"""Beyond what the replicas fill, for a new version to begin on (cluster/production.yaml)."""

_FRONT = "front"  # the custom resource of the pod that holds the store
_HEADER = """\
# Made by `python -m cluster.kuberay.generate` from cluster/{profile}.yaml and from template.yaml,
# whose comments say why; change those. Not run here: no Kubernetes was at hand.
# An upgrade runs beside the old cluster until it is ready: the pool of cards needs room for two.
"""

Json = dict[str, Any]
Bound = Literal["min_replicas", "max_replicas"]


def manifest(profile: str) -> Json:
    """The RayService of a profile, complete.

    Raises:
        ConfigError: no such profile, or a setting that cannot work.
    """
    options = LaunchOptions(
        profile, "0.0.0.0", 8000, 8265, data_dir=DATA_DIR, api_keys_file=KEYS_FILE
    )
    serve = filled_profile(options, environment={})  # of nobody's machine
    deployments = serve["applications"][0]["deployments"]
    _keep_off_cards(deployments)
    made: Json = yaml.safe_load((HERE / "template.yaml").read_text())
    longest_s = longest_answer_s(deployments)
    made["spec"]["rayClusterDeletionDelaySeconds"] = longest_s + MARGIN_S
    made["spec"]["serveConfigV2"] = _Literal(yaml.safe_dump(serve, sort_keys=False))
    cluster = made["spec"]["rayClusterConfig"]
    cluster["rayVersion"] = version("ray")
    front, l4 = cluster["workerGroupSpecs"]
    _size_front(front, deployments)
    _size_cards(l4, deployments)
    environment = _variables(ray_environment(launch_settings(options)))
    for group in (cluster["headGroupSpec"], front, l4):
        group["rayStartParams"]["object-store-memory"] = str(OBJECT_STORE_BYTES)
        _container(group)["env"] = environment
    for group in (front, l4):
        _drain(group, longest_s)
    return made


def longest_answer_s(deployments: Sequence[Json]) -> int:
    """For how long the profile lets a replica that is to stop finish what it streams."""
    return math.ceil(max(float(d.get("graceful_shutdown_timeout_s", 20)) for d in deployments))


def cards_needed(deployments: Sequence[Json], bound: Bound, n_cpus: float) -> int:
    """How many machines with one card and ``n_cpus`` cores hold that many replicas of each.

    The largest first, each on the first machine with room. Serve may place them less well.
    """
    wanted = [_request(d) for d in deployments for _ in range(_n_replicas(d, bound))]
    free: list[tuple[float, float]] = []
    for gpus, cpus in sorted((w for w in wanted if w[0]), reverse=True):
        if gpus > 1 or cpus > n_cpus:
            raise ValueError(f"a replica with {gpus} GPUs and {cpus} CPUs fits on no machine")
        at = next((i for i, (g, c) in enumerate(free) if _fits(gpus, g) and _fits(cpus, c)), None)
        if at is None:
            at = len(free)
            free.append((1.0, n_cpus))
        free[at] = (free[at][0] - gpus, free[at][1] - cpus)
    return len(free)


def _fits(wanted: float, free: float) -> bool:
    return wanted <= free + 1e-6  # fractions are sums of tenths and the like


def _n_replicas(deployment: Json, bound: Bound) -> int:
    scaling = deployment.get("autoscaling_config", {})
    return int(scaling.get(bound, deployment.get("num_replicas", 1)))


def _request(deployment: Json) -> tuple[float, float]:
    """GPUs and CPUs of one replica."""
    options = deployment["ray_actor_options"]
    return float(options.get("num_gpus", 0)), float(options.get("num_cpus", 1))


def _keep_off_cards(deployments: Sequence[Json]) -> None:
    """What needs no card goes to the pod that has none: the ingress to its store, the others so
    that a machine with a card is not kept for their sake."""
    for deployment in deployments:
        options = deployment["ray_actor_options"]
        if not options.get("num_gpus"):
            options["resources"] = {**options.get("resources", {}), _FRONT: 0.001}


def _size_front(group: Json, deployments: Sequence[Json]) -> None:
    cpus = [_request(d)[1] * _n_replicas(d, "max_replicas") for d in deployments if _is_front(d)]
    n_cpus = str(math.ceil(sum(cpus)) + 1)  # one for Ray itself and the proxy
    resources = _container(group)["resources"]
    for part in ("requests", "limits"):
        resources[part] = {"cpu": n_cpus, **resources[part]}
    group.update(replicas=1, minReplicas=1, maxReplicas=1)


def _is_front(deployment: Json) -> bool:
    return _FRONT in deployment["ray_actor_options"].get("resources", {})


def _size_cards(group: Json, deployments: Sequence[Json]) -> None:
    n_cpus = float(_container(group)["resources"]["limits"]["cpu"])
    least = cards_needed(deployments, "min_replicas", n_cpus)
    group.update(
        replicas=least,
        minReplicas=least,
        maxReplicas=cards_needed(deployments, "max_replicas", n_cpus) + SURGE_CARDS,
    )


def _variables(told: Mapping[str, str]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in sorted(told.items())]


def _drain(group: Json, longest_s: int) -> None:
    """Its pods end when their last answer has."""
    command = ["python", "-m", "cluster.kuberay.drain", str(longest_s + MARGIN_S)]
    _container(group)["lifecycle"] = {"preStop": {"exec": {"command": command}}}
    group["template"]["spec"]["terminationGracePeriodSeconds"] = longest_s + 2 * MARGIN_S


def _container(group: Json) -> Json:
    container: Json = group["template"]["spec"]["containers"][0]
    return container


class _Literal(str):
    """A text that YAML shows line by line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True  # anchors help who writes, not who reads what was written


def _represent(dumper: yaml.SafeDumper, text: _Literal) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")


_Dumper.add_representer(_Literal, _represent)


def rendered(profile: str = "production") -> str:
    """The file's text."""
    body = yaml.dump(manifest(profile), Dumper=_Dumper, sort_keys=False, width=100)
    return _HEADER.format(profile=profile) + body


if __name__ == "__main__":
    MANIFEST.write_text(rendered())
