"""`make models` as it is typed: the profile `cpu`, a hub on loopback, a process of its own."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployments.fetch.model import planned
from deployments.fetch.progress import amount
from deployments.fetch.source import FetchError
from deployments.weights import ModelNeed, model_problem
from graph import models
from graph.needs import profile_needs
from graph.preflight import LaunchOptions, profile_config
from tests.fake_hub import FakeHub, Repo, serving
from tests.serving import until

ROOT = Path(__file__).resolve().parents[2]


def cpu_needs() -> list[ModelNeed]:
    options = LaunchOptions("cpu", "127.0.0.1", 8000, 8265, Path("/nonexistent"))
    return profile_needs(profile_config(options))


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """Has everything that the profile `cpu` needs, each file as large as fits the test."""
    repos = {
        need.source.removeprefix("hf://"): Repo({n: n.encode() * 2000 for n in need.files})
        for need in cpu_needs()
    }
    with serving(FakeHub(repos)) as served:
        yield served


@dataclass(frozen=True)
class Done:
    """What the command printed, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


def begin(
    hub: FakeHub, models_dir: Path, *arguments: str, **environment: str
) -> "subprocess.Popen[str]":
    told = {"PROFILE": "cpu", "HF_ENDPOINT": hub.address, "MODELS_DIR": str(models_dir)}
    unset = ("HF_TOKEN", "HF_HUB_OFFLINE", "MODELS_FROM", "VERIFY")
    inherited = {key: value for key, value in os.environ.items() if key not in unset}
    return subprocess.Popen(
        [sys.executable, "-m", "graph.models", *arguments],
        cwd=ROOT,
        env={**inherited, **told, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: "subprocess.Popen[str]") -> Done:
    stdout, stderr = process.communicate(timeout=120)
    return Done(process.returncode, stdout, stderr)


def run(hub: FakeHub, models_dir: Path, *arguments: str, **environment: str) -> Done:
    return end(begin(hub, models_dir, *arguments, **environment))


def test_a_profiles_models_come_are_checked_and_do_not_come_twice(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    needs = cpu_needs()
    assert needs
    first = run(hub, tmp_path)
    n_needed = sum(len(repo.files[n]) for repo in hub.repos.values() for n in repo.files)
    assert first.returncode == 0
    assert first.stderr.startswith(f"  100%  {amount(n_needed)} of {amount(n_needed)}, ")
    assert first.stderr.count("\n") == 1
    lines = first.stdout.splitlines()
    assert lines[0].startswith(f"{amount(n_needed)} to fetch, ")
    assert lines[0].endswith(f" free in {tmp_path}")
    assert lines[1:-1] == [f"{n.name} from {n.source} (licence: {n.licence})" for n in needs]
    assert lines[-1] == f"The models of the profile cpu are in {tmp_path}."
    assert [model_problem(need) for need in needs] == [None] * len(needs)
    n_asked = len(hub.asked)
    again = run(hub, tmp_path)
    assert (again.returncode, again.stdout.splitlines()) == (0, lines[-1:])
    assert len(hub.asked) == n_asked


def test_verifying_finds_a_damaged_file_of_the_right_length_and_fetches_it_anew(
    hub: FakeHub, tmp_path: Path
) -> None:
    run(hub, tmp_path)
    need = cpu_needs()[0]
    damaged = tmp_path / need.name / need.files[-1]
    good = damaged.read_bytes()
    damaged.write_bytes(good[::-1])
    verified = run(hub, tmp_path, VERIFY="1")
    assert verified.returncode == 0
    assert f"{damaged} is damaged: removed, it is fetched again" in verified.stdout.splitlines()
    assert damaged.read_bytes() == good


def test_a_hub_that_refuses_is_one_line_and_leaves_nothing(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos.clear()
    refused = run(hub, tmp_path)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("error: hf://")
    assert refused.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_gets_one_line_and_goes_on_later(
    hub: FakeHub, tmp_path: Path, number: signal.Signals
) -> None:
    need = cpu_needs()[0]
    hub.stalls = [5000]
    process = begin(hub, tmp_path)
    half = tmp_path / need.name / f"{need.files[0]}.part"
    until(lambda: half.is_file() and half.stat().st_size == 5000, "half a file never came")
    process.send_signal(number)
    stopped = end(process)
    assert (stopped.returncode, stopped.stderr) == (
        130, "Stopped; the same command goes on from here.\n",
    )  # fmt: skip
    assert model_problem(need) is not None
    assert run(hub, tmp_path).returncode == 0
    assert hub.asked[:2] == [f"{need.files[0]} 0", f"{need.files[0]} 5000"]


def test_a_profile_without_weights_says_so(hub: FakeHub, tmp_path: Path) -> None:
    done = run(hub, tmp_path, "--profile", "fake")
    assert (done.returncode, done.stdout) == (0, "The profile fake needs no models.\n")


def test_an_unknown_profile_is_one_line(hub: FakeHub, tmp_path: Path) -> None:
    done = run(hub, tmp_path, "--profile", "cpux")
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown profile 'cpux'")


def test_nothing_is_fetched_that_does_not_fit(
    hub: FakeHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / "shop"
    source.mkdir()
    (source / "weights").write_bytes(bytes(1000))
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    plan = planned(ModelNeed("tiny", f"file://{source}", ("weights",)))
    assert plan is not None
    models.check_room([plan], free=lambda _folder: models.KEPT_FREE_BYTES + 1000)
    where = tmp_path / "models"
    assert capsys.readouterr().out == f"1.0 kB to fetch, 1.0 GB free in {where}\n"
    with pytest.raises(FetchError) as caught:
        models.check_room([plan], free=lambda _folder: models.KEPT_FREE_BYTES + 999)
    assert str(caught.value) == (
        f"1.0 kB to fetch, 1.0 GB free in {where}, of which 1.0 GB must stay free: free some, or "
        "name another MODELS_DIR"
    )


def test_two_at_once_do_not_write_the_same_halves(hub: FakeHub, tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = run(hub, tmp_path)
    assert second.returncode == 1
    assert second.stderr == f"error: another `make models` is at work in {tmp_path}\n"
