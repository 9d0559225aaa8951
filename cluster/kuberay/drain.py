"""Empties the Ray node of this pod before the pod ends; Kubernetes runs it as ``preStop``.

    python -m cluster.kuberay.drain SECONDS

From the moment on that Ray knows, Serve starts the node's replicas elsewhere, sends nothing new to
those here and lets them finish their answers, as it does its proxy. This program ends when none
is left, or after so many seconds; then Kubernetes ends the pod.
"""

import argparse
import sys
import time

import ray
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.core.generated import autoscaler_pb2
from ray.util.state import list_actors

_SERVING = ("ServeReplica:", "ProxyActor", "HAProxyManager")
"""Classes of Serve's actors that hold answers. Source: Ray 2.60, ``ray/serve/_private``."""
_LEAVES = autoscaler_pb2.DRAIN_NODE_REASON_PREEMPTION  # type: ignore[attr-defined]
_LOOK_EVERY_S = 1.0


def announce(node_id: str, within_s: float) -> None:
    """Tell Ray that the node will be gone by then.

    Raises:
        RuntimeError: it said no, and why.
    """
    client = GcsClient(address=ray.get_runtime_context().gcs_address)
    deadline_ms = int((time.time() + within_s) * 1000)
    is_accepted, reason = client.drain_node(node_id, _LEAVES, "its pod ends", deadline_ms)
    if not is_accepted:
        raise RuntimeError(f"Ray keeps the node: {reason}")


def serving_on(node_id: str) -> list[str]:
    """The classes of Serve's actors that still live there."""
    actors = list_actors(filters=[("node_id", "=", node_id), ("state", "=", "ALIVE")], limit=10_000)
    return [actor.class_name for actor in actors if actor.class_name.startswith(_SERVING)]


def wait_until_empty(node_id: str, within_s: float) -> bool:
    """Whether the node was empty in time."""
    until = time.monotonic() + within_s
    while serving_on(node_id):
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True


def main() -> int:
    """What ``preStop`` runs; the pod's environment names the cluster and holds the token."""
    parser = argparse.ArgumentParser(prog="drain", description="Empty this pod's Ray node.")
    parser.add_argument("seconds", type=float, help="how long its answers may take to end")
    within_s = parser.parse_args().seconds
    ray.init(address="auto", log_to_driver=False, configure_logging=False)
    node_id = ray.get_runtime_context().get_node_id()
    announce(node_id, within_s)
    if wait_until_empty(node_id, within_s):
        return 0
    print(f"still serving after {within_s:.0f} s: {serving_on(node_id)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
