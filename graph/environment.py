"""What Ray is told by environment variables; it reads them when imported, on every node alike."""

from pathlib import Path

from graph.preflight import LaunchSettings
from graph.transport import environment


def ray_environment(
    settings: LaunchSettings, *, haproxy: bool = True, haproxy_folder: Path | None = None
) -> dict[str, str]:
    """The variables that follow from a profile, for all processes of all nodes.

    Args:
        settings: of the profile.
        haproxy: see ``graph.transport.has_haproxy``; it matters in throughput mode only.
        haproxy_folder: where its files are; by default where Serve puts them.
    """
    return {
        "OMP_NUM_THREADS": "1",  # one thread per replica, or two cores fight over themselves
        "HF_HUB_OFFLINE": "1",  # whoever asks first must not wait for a download: `make models`
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # Ray's 15 would let any browser starve the replicas
        "RAY_metrics_report_interval_ms": "2000",
        **environment(settings.transport, haproxy=haproxy, folder=haproxy_folder),
    }
