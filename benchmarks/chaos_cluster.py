"""The launcher with a second Ray node, which SIGUSR1 takes away and SIGUSR2 brings back.

``python -m benchmarks.chaos_cluster`` takes and prints what ``python -m graph.launch`` does. Head
and ingress stay; what the second node carried is lost at once, as with a machine's power.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from graph.launch import OBJECT_STORE_BYTES, main
from graph.preflight import LaunchOptions, LaunchSettings

N_CPUS = 2.0
"""Of each node, for scheduling only; the replicas of a profile ask for less than one."""

HEAD = "head"
"""A resource of the head node alone."""

_NOT_DOUBLED = ("ingress", "admission")


def start(options: LaunchOptions, _settings: LaunchSettings, folder: Path) -> None:
    """Head and worker, both on this machine."""
    # Cluster notes its address in a folder `ray` of this one, and so not for other people's Ray.
    os.environ["RAY_TMPDIR"] = str(folder.parent)
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
    """Comes and goes as signals say.

    All in the main thread, which has nothing else to do: Ray starts nodes in no other.
    """

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self._node: Any = None
        self._is_wanted = False
        self._is_changing = False

    def obey_signals(self) -> None:
        def on_signal(number: int, _frame: FrameType | None) -> None:
            self._is_wanted = number == signal.SIGUSR2
            if not self._is_changing:  # else the change in progress will see it
                self._change()

        signal.signal(signal.SIGUSR1, on_signal)
        signal.signal(signal.SIGUSR2, on_signal)

    def add(self) -> None:
        self._node = self._cluster.add_node(num_cpus=N_CPUS, object_store_memory=OBJECT_STORE_BYTES)
        self._is_wanted = True

    def _change(self) -> None:
        self._is_changing = True
        try:
            while self._is_wanted != (self._node is not None):
                if self._is_wanted:
                    with _same_handlers():
                        self.add()
                else:
                    self._cluster.remove_node(self._node, allow_graceful=False)
                    self._node = None
        finally:
            self._is_changing = False


@contextmanager
def _same_handlers() -> Iterator[None]:
    """Ray puts handlers of its own in the place of the launcher's whenever it starts a node."""
    ours = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


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
