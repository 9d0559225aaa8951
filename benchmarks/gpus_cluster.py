"""The launcher with a node for each logical GPU, as a cluster of machines with one card each.

``python -m benchmarks.gpus_cluster`` takes and prints what ``python -m graph.launch`` does; a node
for each of the profile's cards joins the head, which has none. All of it is on this machine.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graph.launch import OBJECT_STORE_BYTES, main
from graph.preflight import LAUNCH_KEY, LaunchOptions, LaunchSettings

GPU_STAGES = ("asr", "tts", "avatar")
"""What each card carries one replica of."""

_N_CPUS = 2.0  # of each node, for scheduling only
_CPU_SHARE = 0.01


def start(options: LaunchOptions, settings: LaunchSettings, folder: Path) -> None:
    """The head, and a node for each card."""
    # Cluster notes its address in a folder `ray` of this one, and so not for other people's Ray.
    # And each node has an agent that looks at all of its machine, which is the same for all here.
    mine = {"RAY_TMPDIR": str(folder.parent), "RAY_metrics_report_interval_ms": "20000"}
    os.environ.update(mine)
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": _N_CPUS,
            "num_gpus": 0,
            "include_dashboard": True,
            "dashboard_host": "127.0.0.1",
            "dashboard_port": options.dashboard_port,
            "object_store_memory": OBJECT_STORE_BYTES,
            "temp_dir": str(folder),
        },
    )
    for _ in range(settings.logical_gpus):
        cluster.add_node(
            num_cpus=_N_CPUS,
            num_gpus=1,
            resources={f"accelerator_type:{settings.gpu_type}": 1},
            object_store_memory=OBJECT_STORE_BYTES,
        )
    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)


def one_each(config: Mapping[str, Any], n_gpus: int, n_ingresses: int) -> dict[str, Any]:
    """A profile with a replica of each of the cards' stages on every card, and no other scaling.

    Args:
        config: a Serve configuration, as in ``cluster/``.
    """
    application = dict(config["applications"][0])
    application.pop("autoscaling_policy", None)
    n_of = {**dict.fromkeys(GPU_STAGES, n_gpus), "ingress": n_ingresses}
    application["deployments"] = [_placed(one, n_of) for one in application["deployments"]]
    launch = {**config.get(LAUNCH_KEY, {}), "logical_gpus": n_gpus}
    return {**config, LAUNCH_KEY: launch, "applications": [application]}


def _placed(deployment: Mapping[str, Any], n_of: Mapping[str, int]) -> dict[str, Any]:
    placed, name = dict(deployment), deployment["name"]
    placed.pop("num_replicas", None)
    n = n_of.get(name, 1)
    placed["autoscaling_config"] = {"min_replicas": n, "max_replicas": n}
    options = placed.get("ray_actor_options", {})
    placed["ray_actor_options"] = {**options, "num_cpus": _CPU_SHARE}
    if name in GPU_STAGES:
        placed["max_replicas_per_node"] = 1
    return placed


if __name__ == "__main__":
    sys.exit(main(start))
