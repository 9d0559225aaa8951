"""Which mode of Serve a profile runs in, and what its processes are told."""

import importlib.util
from pathlib import Path

import pytest

from graph.environment import ray_environment
from graph.preflight import LaunchOptions, LaunchSettings, filled_profile, wants_haproxy
from graph.transport import HAPROXY_PORTS, MESSAGE_BYTES, environment

MODES = {"RAY_SERVE_THROUGHPUT_OPTIMIZED", "RAY_SERVE_ENABLE_HA_PROXY"}
LONGEST_SOCKET_PATH = 97  # HAProxy's own limit


def options(host: str = "127.0.0.1", tls_cert: Path | None = None) -> LaunchOptions:
    return LaunchOptions("embedded", host, 8000, 8265, Path(), tls_cert)


@pytest.mark.parametrize(
    ("transport", "host", "tls_cert", "expected"),
    [
        ("throughput", "127.0.0.1", None, False),
        ("throughput", "localhost", None, False),
        ("throughput", "::1", None, False),
        ("throughput", "0.0.0.0", None, True),
        ("throughput", "10.0.0.7", None, True),
        ("throughput", "0.0.0.0", Path("cert.pem"), False),
        ("default", "0.0.0.0", None, False),
    ],
)
def test_haproxy_stands_in_front_beyond_loopback_only(
    transport: str, host: str, tls_cert: Path | None, expected: bool
) -> None:
    settings = LaunchSettings.model_validate({"transport": transport})
    assert wants_haproxy(options(host, tls_cert), settings) is expected


def test_the_default_switches_everything_off_whatever_the_shell_says() -> None:
    assert environment("default") == dict.fromkeys(MODES, "0")


def test_throughput_lets_two_minutes_of_sound_pass_between_replicas() -> None:
    told = environment("throughput")
    assert told == {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "0",
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(MESSAGE_BYTES),
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
    }
    assert MESSAGE_BYTES > 120 * 16_000 * 4


def test_all_of_haproxys_files_are_in_the_given_folder() -> None:
    folder = Path("/tmp/ra-12345678/ha")
    told = environment("throughput", haproxy=True, folder=folder)
    paths = [Path(value) for value in told.values() if value.startswith("/")]
    assert len(paths) == 5
    assert all(path.is_relative_to(folder) for path in paths)
    node_id = "0" * 56
    sockets = [path.parent / node_id / path.name for path in paths if path.suffix == ".sock"]
    assert len(sockets) == 2
    assert max(len(str(path)) for path in sockets) <= LONGEST_SOCKET_PATH


@pytest.mark.parametrize("profile", ["embedded", "fake", "fake-l4", "l4", "production"])
def test_haproxy_lets_the_longest_answer_of_every_profile_end(profile: str) -> None:
    config = filled_profile(LaunchOptions(profile, "127.0.0.1", 8000, 8265, Path()))
    deployments = config["applications"][0]["deployments"]
    longest_s = max(float(d.get("graceful_shutdown_timeout_s", 20)) for d in deployments)
    told = environment("throughput", haproxy=True)
    assert int(told["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"]) >= longest_s


def test_without_a_folder_they_are_where_serve_puts_them() -> None:
    told = environment("throughput", haproxy=True)
    assert told["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert not [value for value in told.values() if value.startswith("/")]


def test_a_replica_that_goes_stays_open_for_load_balancers_only() -> None:
    name = "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"
    assert environment("throughput")[name] == "0"
    assert name not in environment("throughput", haproxy=True)


def test_ray_is_told_of_the_profiles_transport() -> None:
    settings = LaunchSettings(transport="throughput")
    assert ray_environment(settings, haproxy=False).items() >= environment("throughput").items()
    assert ray_environment(LaunchSettings()).items() >= environment("default").items()


def test_serve_knows_every_variable() -> None:
    found = importlib.util.find_spec("ray")
    assert found is not None
    assert found.submodule_search_locations is not None
    (ray,) = found.submodule_search_locations
    known = Path(ray, "serve", "_private", "constants.py").read_text()
    ours = {*environment("throughput", haproxy=True, folder=Path("/x")), *HAPROXY_PORTS}
    assert {name for name in ours if f'"{name}"' not in known} == set()
