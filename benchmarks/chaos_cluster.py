"""The launcher with a second Ray node, which SIGUSR1 takes away and SIGUSR2 brings back.

``python -m benchmarks.chaos_cluster`` takes and prints what ``python -m graph.launch`` does. Head
and ingress stay; what the second node carried is lost at once, as with a machine's power.
"""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from graph.launch import OBJECT_STORE_BYTES, main
from graph.preflight import LaunchOptions

N_CPUS = 2.0
"""Of each node, for scheduling only; the replicas of a profile ask for less than one."""

HEAD = "head"
"""A resource of the head node alone."""

_NOT_DOUBLED = ("ingress", "admission")


def start(options: LaunchOptions, folder: Path) -> None:
    """Head and worker, both on this machine."""
    os.environ["RAY_TMPDIR"] = str(folder)  # Cluster notes its address there, and not for others
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": N_CPUS,
            "resources": {HEAD: 1.0},
            "include_dashboard": True,
            "dashboard_host": "127.0.0.1",
            "dashboard_port": options.dashboard_port,
            "object_store_memory": OBJECT_STORE_BYTES,
            "temp_dir": str(folder),
        },
    )
    second = _SecondNode(cluster)
    second.add()
    ray.init(address=cluster.address, log_to_driver=False, configure_logging=False)
    second.obey_signals()


class _SecondNode:
    """Comes and goes as signals say, one change after another."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self._node: Any = None
        self._lock = threading.Lock()

    def obey_signals(self) -> None:
        # In a thread, so that the launcher's main thread can wait for its own signals meanwhile.
        def on_signal(number: int, _frame: FrameType | None) -> None:
            change = self.remove if number == signal.SIGUSR1 else self.add
            threading.Thread(target=change, daemon=True).start()

        signal.signal(signal.SIGUSR1, on_signal)
        signal.signal(signal.SIGUSR2, on_signal)

    def add(self) -> None:
        with self._lock:
            if self._node is None:
                self._node = self._cluster.add_node(
                    num_cpus=N_CPUS, object_store_memory=OBJECT_STORE_BYTES
                )

    def remove(self) -> None:
        with self._lock:
            if self._node is not None:
                self._cluster.remove_node(self._node, allow_graceful=False)
                self._node = None


def spread(config: Mapping[str, Any]) -> dict[str, Any]:
    """A profile whose stages have a replica on each node, and the rest on the head.

    Args:
        config: a Serve configuration, as in ``cluster/``.
    """
    (application,) = config["applications"]
    deployments = [_placed(one) for one in application["deployments"]]
    return {**config, "applications": [{**application, "deployments": deployments}]}


def _placed(deployment: Mapping[str, Any]) -> dict[str, Any]:
    placed = dict(deployment)
    if placed["name"] in _NOT_DOUBLED:
        options = placed.get("ray_actor_options", {})
        placed["ray_actor_options"] = {**options, "resources": {HEAD: 0.01}}
        return placed
    placed["max_replicas_per_node"] = 1
    scaling = placed.get("autoscaling_config", {})
    placed["autoscaling_config"] = {**scaling, "min_replicas": 2, "max_replicas": 2}
    return placed


if __name__ == "__main__":
    sys.exit(main(start))
