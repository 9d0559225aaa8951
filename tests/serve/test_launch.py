"""``make serve``: what goes wrong is one line before anything starts; what ends, ends whole."""

import datetime
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.serving import ROOT, free_port, launch, running


def refused(**settings: str) -> tuple[int, str, float]:
    began = time.monotonic()
    process = launch(**settings)
    output, _ = process.communicate(timeout=30)
    return process.returncode, output.strip(), time.monotonic() - began


def test_an_unknown_profile_is_named_with_those_there_are() -> None:
    status, line, took_s = refused(PROFILE="embeded")
    assert status == 2
    assert line.startswith("error: unknown profile 'embeded'; PROFILE can be")
    assert "embedded" in line.partition(";")[2]
    assert "\n" not in line
    assert took_s < 10


@pytest.mark.parametrize("name", ["PORT", "DASHBOARD_PORT"])
def test_a_busy_port_is_named_with_the_setting_that_changes_it(name: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, line, _ = refused(
            **{"PORT": str(free_port()), "DATA_DIR": str(tmp_path), name: str(port)}
        )
    assert status == 2
    assert line.startswith(f"error: port {port} on 127.0.0.1 cannot be used")
    assert f"make serve {name}={port + 1}" in line
    assert "\n" not in line


def test_a_host_beyond_loopback_without_keys_is_refused() -> None:
    status, line, _ = refused(HOST="0.0.0.0")
    assert status == 2
    assert "api_keys_file" in line
    assert "\n" not in line


def test_a_misspelt_setting_in_a_profile_is_named(tmp_path: Path) -> None:
    text = (ROOT / "cluster" / "fake.yaml").read_text()
    profile = tmp_path / "mine.yaml"
    profile.write_text(text.replace("tts: {engine: fake}", "tts: {engine: fake, enginee: 1}"))
    status, output, _ = refused(
        PROFILE=str(profile),
        PORT=str(free_port()),
        DASHBOARD_PORT=str(free_port()),
        DATA_DIR=str(tmp_path),
    )
    assert (status, output) == (
        2,
        "error: the profile's tts.enginee: Extra inputs are not permitted",
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"PORT": "99999"}, "PORT=99999 is no port"),
        ({"API_KEYS_FILE": "/nonexistent"}, "api_keys_file"),
        ({"TLS_CERT": "cert.pem"}, "TLS_CERT and TLS_KEY go together"),
    ],
)
def test_a_setting_that_cannot_work_is_one_line(settings: dict[str, str], words: str) -> None:
    status, line, _ = refused(**{"PORT": str(free_port()), **settings})
    assert status == 2
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize("text", ["applications: [", "{}", "applications: []", "- 1"])
def test_a_file_that_is_no_profile_is_one_line(text: str, tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text(text)
    status, line, _ = refused(PROFILE=str(profile))
    assert status == 2
    assert line.startswith("error: the profile mine.yaml")
    assert "\n" not in line


def test_an_engine_that_cannot_load_ends_the_start_with_its_own_words(tmp_path: Path) -> None:
    text = (ROOT / "cluster" / "fake.yaml").read_text()
    profile = tmp_path / "mine.yaml"
    broken = "tts: {engine: fake, options: {fail_load: true}}"
    profile.write_text(text.replace("tts: {engine: fake}", broken))
    process = launch(
        PROFILE=str(profile),
        PORT=str(free_port()),
        DASHBOARD_PORT=str(free_port()),
        DATA_DIR=str(tmp_path / "data"),
    )
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 1
    assert "this fake was told not to load" in output.splitlines()[-1]


def descendants(launcher_pid: int) -> set[int]:
    """Every process that it started, directly or not."""
    tree = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    parents = {
        int(pid): int(parent) for pid, parent in (line.split() for line in tree.split("\n") if line)
    }
    found = {launcher_pid}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {launcher_pid}


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """A key and a certificate of its own for 127.0.0.1, as TLS_KEY and TLS_CERT."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today)
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    (tmp_path / "cert.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    return {"TLS_KEY": str(tmp_path / "key.pem"), "TLS_CERT": str(tmp_path / "cert.pem")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_process_that_was_started(
    number: signal.Signals, certificate: dict[str, str]
) -> None:
    is_https = number == signal.SIGTERM  # one start less
    with running("fake", **(certificate if is_https else {})) as server:
        if is_https:
            trusted = ssl.create_default_context(cafile=certificate["TLS_CERT"])
            url = server.url.replace("http:", "https:")
            assert httpx.get(f"{url}/health", verify=trusted).json()["status"] == "ready"
            assert any(line.strip().startswith("Page       https://") for line in server.lines)
        family = descendants(server.process.pid)
        assert len(family) > 10
        folder = Path(next(line for line in server.lines if "Logs" in line).split()[1]).parents[3]
        assert folder.exists()
        server.process.send_signal(number)
        assert server.process.wait(30) == 0
    assert {pid for pid in family if _is_alive(pid)} == set()
    assert not folder.exists()


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_help_names_every_setting() -> None:
    output = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in ("PROFILE", "HOST", "PORT", "DASHBOARD_PORT", "DATA_DIR", "TLS_CERT", "TLS_KEY"):
        assert name in output
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
