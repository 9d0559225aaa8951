"""Whether this machine can serve a profile: ports, libraries, files, disk."""

import ctypes
import os
import platform
import socket

from deployments.errors import ConfigError
from graph.disk import check_disk
from graph.preflight import LaunchOptions, launch_settings, wants_haproxy
from graph.transport import HAPROXY_PORTS

MIN_GLIBC = (2, 34)  # moonshine's wheel


def check_machine(options: LaunchOptions) -> None:
    """Ports, libraries, files and disk.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    _check_port(options.host, options.port, "PORT")
    _check_port("127.0.0.1", options.dashboard_port, "DASHBOARD_PORT")
    if options.port == options.dashboard_port:
        raise ConfigError(f"PORT and DASHBOARD_PORT are both {options.port}; choose two ports")
    if wants_haproxy(options, launch_settings(options)):
        _check_haproxy_ports()
    _check_libraries()
    _check_tls(options)
    try:
        options.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"DATA_DIR={options.data_dir}: {error.strerror}") from None
    check_disk(options.profile, options.data_dir)


def _check_haproxy_ports() -> None:
    for name, usual in HAPROXY_PORTS.items():
        try:
            port = int(os.environ.get(name, usual))
        except ValueError:
            raise ConfigError(f"{name}={os.environ[name]} is no port") from None
        _check_port("0.0.0.0", port, name)


def _check_port(host: str, port: int, name: str) -> None:
    if not 0 < port < 65536:
        raise ConfigError(f"{name}={port} is no port; choose one from 1 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} on {host} cannot be used ({error.strerror}); "
                f"choose another: make serve {name}={port + 1}"
            ) from None


def _check_libraries() -> None:
    if platform.system() != "Linux":
        return  # other platforms as far as their wheels go; untested
    libc, version = platform.libc_ver()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if libc == "glibc" and numbers < MIN_GLIBC:
        raise ConfigError(f"glibc {version} is too old; 2.34 or newer is needed (Debian 12 has it)")
    try:
        ctypes.CDLL("libstdc++.so.6")
    except OSError:
        raise ConfigError(
            "the system library libstdc++.so.6 is missing; on Debian: apt install libstdc++6"
        ) from None


def _check_tls(options: LaunchOptions) -> None:
    if (options.tls_cert is None) != (options.tls_key is None):
        raise ConfigError("TLS_CERT and TLS_KEY go together; set both or neither")
    for name, path in (("TLS_CERT", options.tls_cert), ("TLS_KEY", options.tls_key)):
        if path is not None and not path.is_file():
            raise ConfigError(f"{name}={path}: no such file")
