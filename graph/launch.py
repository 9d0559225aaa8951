"""Starts Ray and the graph of a profile, says when a turn can be answered, and ends it all again.

Everything runs under a temporary folder and on ports of its own, so that other Ray clusters on the
machine are neither touched nor joined. Every process inherits a mark in its environment; what is
left after Ray's own shutdown is found by it and ended, and nothing else is.
"""

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from deployments import logical_gpu
from deployments.errors import ConfigError
from graph.environment import ray_environment
from graph.fit import NoRoomError, Resources, Wish, check_room, wishes
from graph.machine import check_machine
from graph.needs import check_needs
from graph.preflight import (
    ROOT,
    LaunchOptions,
    LaunchSettings,
    launch_settings,
    profile_config,
    serve_config,
    wants_haproxy,
)
from graph.ready import LaunchError, ServeApi, wait_until_ready

MARK = "REALTIME_AVATAR_RUN"
OBJECT_STORE_BYTES = 256 * 1024 * 1024  # no raw frame crosses a handle, so little is needed

Start = Callable[[LaunchOptions, LaunchSettings, Path], None]
"""Starts Ray (the folder is its temporary one) and joins it as a driver."""


def one_node(options: LaunchOptions, settings: LaunchSettings, folder: Path) -> None:
    """This machine as one node."""
    import ray  # reads the environment when imported

    ray.init(
        address="local",
        **logical_gpus(settings),
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        dashboard_port=options.dashboard_port,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        configure_logging=False,
        _temp_dir=str(folder),
    )


def logical_gpus(settings: LaunchSettings) -> dict[str, Any]:
    """The cards that Ray is to believe in; empty where it counts the real ones itself."""
    n = settings.logical_gpus
    if not n:
        return {}
    return {"num_gpus": n, "resources": {f"accelerator_type:{settings.gpu_type}": n}}


def main(start: Start = one_node) -> int:
    """The command behind ``make serve``; ``start`` is what benchmarks exchange."""
    options = _options()
    stop = threading.Event()
    _stop_on_signals(stop)
    try:
        config, settings = serve_config(options), launch_settings(options)
        for warning in check_needs(profile_config(options), options.profile):
            print(f"warning: {warning}", file=sys.stderr, flush=True)
        check_machine(options)
        with _run_folder() as folder, _ray(start, options, settings, folder) as token:
            _stop_on_signals(stop)  # Ray puts handlers of its own in their place
            address = _address(options)
            wanted = wishes(config)
            _check_room(wanted)
            serve = ServeApi(f"http://127.0.0.1:{options.dashboard_port}", token)
            serve.deploy(config)
            wait_until_ready(
                address, serve, stop, timeout_s=settings.ready_timeout_s, wanted=wanted, free=_free
            )
            if not stop.is_set():
                _say_ready(options, address, folder)
            stop.wait()
            print("Stopping ...", flush=True)
    except (ConfigError, LaunchError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2 if isinstance(error, ConfigError) else 1
    return 0


def _options() -> LaunchOptions:
    parser = argparse.ArgumentParser(
        prog="make serve",
        description="Serve the talking avatar. Each option is also an environment variable "
        "(PROFILE, HOST, PORT, DASHBOARD_PORT, DATA_DIR, TLS_CERT, TLS_KEY, API_KEYS_FILE, "
        "LOGICAL_GPUS, COST_MODEL, TRANSPORT).",
    )

    def add(name: str, default: Any, kind: type, text: str) -> None:
        variable = name.upper().replace("-", "_")
        given = os.environ.get(variable) or default
        parser.add_argument(f"--{name}", default=given, type=kind, help=text)

    add("profile", "embedded", str, "a file in cluster/ without its .yaml (default: embedded)")
    add("host", "127.0.0.1", str, "address to listen on; beyond loopback keys are required")
    add("port", "8000", int, "port of the page and the HTTP interface (default: 8000)")
    add("dashboard-port", "8265", int, "port of the Ray dashboard, loopback only (default: 8265)")
    add("data-dir", str(ROOT / "var" / "data"), Path, "where sessions and videos are kept")
    add("tls-cert", None, Path, "certificate (PEM), for https; needs --tls-key")
    add("tls-key", None, Path, "private key (PEM) of the certificate")
    add("api-keys-file", None, Path, "SHA-256 of each accepted key, one a line")
    add("logical-gpus", None, int, "cards that fakes are to run on, instead of the profile's")
    add("cost-model", None, str, "what the fakes cost, instead of the profile's")
    add("transport", None, str, "default or throughput, instead of the profile's")
    return LaunchOptions(**vars(parser.parse_args()))


def _stop_on_signals(stop: threading.Event) -> None:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)


@contextlib.contextmanager
def _run_folder() -> Iterator[Path]:
    # Short, because Ray's socket paths have a limit.
    folder = Path(tempfile.mkdtemp(prefix="ra-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _ray(
    start: Start, options: LaunchOptions, settings: LaunchSettings, folder: Path
) -> Iterator[str]:
    """A cluster of our own; yields the dashboard's token."""
    run_id, token = secrets.token_hex(8), secrets.token_hex(32)
    token_file = folder / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(token)
    gpus = folder / "gpus"
    gpus.mkdir()
    python_path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ.update(
        {
            MARK: run_id,
            "PROFILE": options.profile,  # replicas name it where they say what to fetch
            "PYTHONPATH": python_path,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token_file),
            logical_gpu.FOLDER: str(gpus),
            **ray_environment(
                settings,
                haproxy=wants_haproxy(options, settings),
                haproxy_folder=folder / "ha",
            ),
        }
    )
    import ray  # reads the environment when imported

    print("Starting Ray ...", flush=True)
    try:
        try:
            start(options, settings, folder / "ray")
        except Exception as error:  # Ray has no kind of its own for this
            text = f"Ray did not start ({error}); is the machine busy? Try again in a moment"
            raise LaunchError(text) from error
        yield token
    finally:
        ray.shutdown()
        _end_leftovers(run_id)


def _check_room(wanted: list[Wish]) -> None:
    """Raises:
    LaunchError: replicas that this cluster can never place; Serve would wait for ever.
    """
    import ray

    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    try:
        check_room(wanted, [node["Resources"] for node in nodes if node["Alive"]])
    except NoRoomError as error:
        raise LaunchError(f"the profile does not fit here: {error}") from None


def _free() -> Resources:
    import ray

    found: Resources = ray.available_resources()  # type: ignore[no-untyped-call]
    return found


def _say_ready(options: LaunchOptions, address: str, folder: Path) -> None:
    print(
        f"\nReady.\n"
        f"  Page       {address}/\n"
        f"  Interface  {address}/docs\n"
        f"  Dashboard  http://127.0.0.1:{options.dashboard_port}/  "
        f"(its token: cat {folder / 'token'})\n"
        f"  Logs       {folder / 'ray' / 'session_latest' / 'logs' / 'serve'}\n"
        f"  Stop with Ctrl-C.",
        flush=True,
    )


def _address(options: LaunchOptions) -> str:
    scheme = "http" if options.tls_cert is None else "https"
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)
    return f"{scheme}://{shown}:{options.port}"


def _end_leftovers(run_id: str) -> None:
    """End what carries this run's mark and outlived Ray's shutdown."""
    for number, patience_s in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
        until = time.monotonic() + patience_s
        left = _marked(run_id)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        while left and time.monotonic() < until:
            time.sleep(0.05)
            left = _marked(run_id)
        if not left:
            return


def _marked(run_id: str) -> list[int]:
    wanted = f"{MARK}={run_id}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_ours = wanted in (entry / "environ").read_bytes().split(b"\0")
            if is_ours and int(entry.name) != os.getpid() and not _is_zombie(entry):
                found.append(int(entry.name))
    return found


def _is_zombie(entry: Path) -> bool:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


if __name__ == "__main__":
    sys.exit(main())
