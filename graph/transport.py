"""How Serve carries requests and answers: as it does by default, or in its throughput mode.

In throughput mode replicas call each other by gRPC, and their code shares Serve's event loop: one
blocking call would hold up every stream and the health checks. HAProxy in front belongs to it where
other machines are served; on loopback Serve's own proxy stays, for HAProxy shows its statistics to
everybody who can reach the machine.

Serve reads all of this from the environment when it is imported, so it must be the same in every
process of a cluster: head, workers and drivers.

Source: Ray 2.60, ``ray/serve/_private/constants.py`` and ``haproxy.py``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Transport = Literal["default", "throughput"]

MESSAGE_BYTES = 64 * 2**20
"""The largest item between replicas. Two minutes of sound are 8 MB; gRPC's own limit is 4 MB."""

HAPROXY_PORTS: Mapping[str, int] = {
    "RAY_SERVE_HAPROXY_METRICS_PORT": 9101,
    "RAY_SERVE_HAPROXY_STATS_PORT": 8404,
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 8500,
}
"""What HAProxy and the proxy behind it take beside the port of the interface, unless the
environment says otherwise. The first two are open on every address."""

LONGEST_ANSWER_S = 180
"""The longest ``graceful_shutdown_timeout_s`` of the profiles: so long may an answer be sent."""

_HAPROXY_FILES = {
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": "haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": "admin.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": "",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": "server-state",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": "metrics.sock",
}


def has_haproxy(transport: Transport, *, is_loopback: bool, is_tls: bool) -> bool:
    """Whether HAProxy stands in front. It speaks no TLS as Serve sets it up."""
    return transport == "throughput" and not is_loopback and not is_tls


def environment(
    transport: Transport, *, haproxy: bool = False, folder: Path | None = None
) -> dict[str, str]:
    """What every process of the cluster must have in its environment.

    Args:
        transport: of the profile.
        haproxy: see ``has_haproxy``.
        folder: a private one for HAProxy's files and sockets, with a short path, since a socket's
            may have 97 characters and Serve adds 70; without it Serve's own places in ``/tmp``.
    """
    if transport == "default":  # said too, so that nothing else in the environment mixes the two
        return {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "0", "RAY_SERVE_ENABLE_HA_PROXY": "0"}
    files = _HAPROXY_FILES if haproxy and folder is not None else {}
    # For load balancers, which hear late that a replica goes; Serve's own proxy is told at once.
    # HAProxy hands over to a new process with each new replica; by default the old one ends after
    # two minutes, and with it every answer that is still being sent.
    drain = (
        {"RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(LONGEST_ANSWER_S)}
        if haproxy
        else {"RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0"}
    )
    return {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": str(int(haproxy)),
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(MESSAGE_BYTES),
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",  # else a turn's line waits for 999 others
        **drain,
        **{name: str(Path(folder or "", file)) for name, file in files.items()},
    }
