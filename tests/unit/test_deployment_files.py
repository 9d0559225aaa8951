"""The container files say what is true: of each other, of the locks, and of the server itself."""

import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from cluster.docker.healthcheck import is_healthy
from deployments.errors import ConfigError
from graph.disk import DiskSizes, check_disk, disk_sizes
from graph.launch import OBJECT_STORE_BYTES
from graph.preflight import ROOT
from tests.dockerfile import Instruction, Stage, read_dockerfile, sources
from web.keys import read_hashes
from web.settings import check_exposure

DOCKER = ROOT / "cluster" / "docker"
SCRIPT = DOCKER / "make_secrets.sh"
STAGES = read_dockerfile(DOCKER / "Dockerfile")
SERVER = STAGES[-1]
SIZES = {name: disk_sizes(name) for name in yaml.safe_load((DOCKER / "sizes.yaml").read_text())}
TOOLS = Path(sys.executable).parent
SECRET_WORDS = re.compile("key|token|password|secret", re.IGNORECASE)


def stage(name: str) -> Stage:
    return next(stage for stage in STAGES if stage.name == name)


def image_profiles() -> set[str]:
    return {s.name.removeprefix("base-") for s in STAGES if s.name.startswith("base-")}


def all_of(word: str) -> list[Instruction]:
    return [instruction for stage in STAGES for instruction in stage.all(word)]


def checked(tool: str, *arguments: str | Path) -> str:
    """What a linter of the test tools says, which is nothing."""
    run = subprocess.run([TOOLS / tool, *arguments], capture_output=True, text=True)
    return "" if run.returncode == 0 else run.stdout + run.stderr


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    assert checked("hadolint", DOCKER / "Dockerfile") == ""


def test_every_base_is_a_stage_or_pinned_by_its_full_tag() -> None:
    names = {stage.name for stage in STAGES}
    outside = {s.base for s in STAGES if s.base not in names | {"scratch"} and "$" not in s.base}
    assert {base.partition(":")[0] for base in outside} == {"python", "nvidia/cuda"}
    assert all(re.search(r":\d+\.\d+\.\d+-[\w.-]+$", base) for base in outside)


def test_each_profile_picks_its_base_and_its_packages() -> None:
    assert {s.base for s in STAGES if "$" in s.base} == {"packages-${PROFILE}", "base-${PROFILE}"}
    assert image_profiles() == {"embedded", "l4"}
    for profile in image_profiles():
        [copy] = stage(f"packages-{profile}").all("COPY")
        assert all((ROOT / source).is_file() for source in sources(copy))
    assert set(sources(stage("packages-embedded").all("COPY")[0])) == {
        "requirements.lock",
        "requirements-portraits.lock",
    }


def test_every_profile_runs_the_python_that_the_locks_are_made_for() -> None:
    assert stage("base-embedded").base.startswith("python:3.11.")
    made_for = re.search(r"--python-version (\S+)", (ROOT / "Makefile").read_text())
    assert made_for is not None
    assert made_for[1] == "3.11"


def test_what_is_copied_exists_and_is_let_through_to_the_build() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied = {s for copy in all_of("COPY") if copy.flag("from") is None for s in sources(copy)}
    assert "*" in ignore
    assert copied == let_through
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_what_is_copied_from_a_stage_is_of_an_earlier_one() -> None:
    for number, each in enumerate(STAGES):
        earlier = {stage.name for stage in STAGES[:number]}
        assert {copy.flag("from") for copy in each.all("COPY")} - {None} <= earlier


def test_secrets_and_models_stay_out_of_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    never_committed = (DOCKER / ".gitignore").read_text().splitlines()
    assert never_committed == ["secrets/", "models/"]
    assert {f"cluster/docker/{name.rstrip('/')}" for name in never_committed} <= set(ignored)


def test_no_secret_is_a_build_argument_or_an_environment_variable() -> None:
    said = [instruction.rest for instruction in all_of("ARG") + all_of("ENV")]
    assert said
    assert [text for text in said if SECRET_WORDS.search(text)] == []


def test_the_server_runs_as_a_user_who_is_not_root_and_may_write_where_it_must() -> None:
    words = [instruction.word for instruction in SERVER.instructions]
    [user] = SERVER.all("USER")
    number = user.rest.partition(":")[0]
    assert int(number) > 0
    assert "RUN" not in words[words.index("USER") :]
    [made] = [run.rest for run in SERVER.all("RUN") if "useradd" in run.rest]
    assert f"--uid {number}" in made
    assert "install --directory --owner=avatar --group=avatar --mode=0700 /data" in made


@pytest.mark.parametrize("run", all_of("RUN"), ids=lambda run: run.rest[:30])
def test_what_is_run_parses_as_shell(run: Instruction) -> None:
    subprocess.run(["bash", "-n"], input=run.rest, text=True, check=True)


@pytest.mark.parametrize("profile", sorted(image_profiles()))
def test_the_image_installs_as_the_makefile_does(profile: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    options = ("--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check")
    [run] = stage(f"packages-{profile}").all("RUN")
    installing = [part for part in run.rest.split("&&") if ".lock" in part][-1]
    assert [o for o in options if o not in installing or o not in makefile] == []


def test_the_image_of_a_card_has_the_torch_of_the_makefile() -> None:
    torch = re.search(r"^TORCH := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert torch is not None
    [run] = stage("packages-l4").all("RUN")
    assert torch[1] in run.rest.split("&&")[0].split()


def test_the_image_starts_the_launcher_and_asks_it_for_its_health() -> None:
    [check], [command] = SERVER.all("HEALTHCHECK"), SERVER.all("CMD")
    assert json.loads(command.rest) == ["python", "-m", "graph.launch"]
    program = json.loads(check.rest.removeprefix("CMD"))[1]
    assert ROOT / Path(program).relative_to("/app") == DOCKER / "healthcheck.py"


# The health check


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a server that gives every request this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: what is asked is not worth a line."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False), (404, False)])
def test_a_server_is_healthy_when_it_says_so(status: int, healthy: bool) -> None:
    with answering(status) as port:
        assert is_healthy({"PORT": str(port)}) is healthy


def test_a_server_that_is_not_there_is_not_healthy() -> None:
    with answering(200) as port:
        pass
    assert is_healthy({"PORT": str(port)}) is False


# Secrets


def test_the_keys_made_are_those_that_the_server_accepts(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    said = subprocess.run([SCRIPT, folder], capture_output=True, text=True, check=True).stdout
    callers_key = said.strip().removeprefix("Authorization: Bearer ")
    metrics_key = (folder / "metrics_key").read_text()
    hashes = [hashlib.sha256(key.encode()).hexdigest() for key in (callers_key, metrics_key)]
    assert read_hashes(folder / "api_keys") == tuple(hashes)
    assert {file.name for file in folder.iterdir()} == {
        "api_keys", "metrics_key", "grafana_password",
    }  # fmt: skip
    assert callers_key not in "".join(file.read_text() for file in folder.iterdir())
    assert oct(folder.stat().st_mode)[-3:] == "700"


def test_keys_that_exist_are_never_overwritten(tmp_path: Path) -> None:
    again = subprocess.run([SCRIPT, tmp_path], capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == []


# Sizes


TORCH_FOR_CUDA_MB = 6000  # as sizes.yaml estimates


def test_the_packages_take_what_the_table_says() -> None:
    megabytes = _installed_mb(_locked("requirements.lock"))
    for profile in ("embedded", "cpu"):
        assert SIZES[profile].packages == pytest.approx(megabytes, rel=0.1)


@pytest.mark.skipif(not find_spec("TTS"), reason="coqui-tts is not installed; `make test` does it")
def test_the_packages_of_a_card_take_what_the_table_says() -> None:
    locked = _locked("requirements.lock") | _locked("requirements-torch.lock")
    megabytes = _installed_mb(locked) + TORCH_FOR_CUDA_MB
    for profile in ("l4", "production"):
        assert SIZES[profile].packages == pytest.approx(megabytes, rel=0.1)


def _locked(lock: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.MULTILINE))


def _installed_mb(names: set[str]) -> float:
    installed = [d for d in importlib.metadata.distributions() if _plain(d.name) in names]
    paths = {file.locate() for d in installed for file in d.files or ()}
    return sum(_on_disk(Path(str(path))) for path in paths) / 1e6


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512 if path.exists() else 0


def test_every_image_has_its_sizes() -> None:
    assert image_profiles() <= set(SIZES)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path


def test_a_server_starts_with_room_for_its_logs_and_an_hour_of_videos(data_dir: Path) -> None:
    sizes = SIZES["embedded"]
    check_disk("embedded", data_dir, free_mb=lambda _: sizes.logs + sizes.video)


@pytest.mark.parametrize(("profile", "row"), [("embedded", "embedded"), ("/my/own.yaml", "other")])
def test_a_server_with_less_is_told_what_is_missing(profile: str, row: str, data_dir: Path) -> None:
    needed = SIZES[row].logs + SIZES[row].video
    with pytest.raises(ConfigError) as caught:
        check_disk(profile, data_dir, free_mb=lambda _: needed - 1)
    assert f"only {needed - 1} MB are free where {data_dir} is" in str(caught.value)
    assert f"profile {profile} needs {needed}" in str(caught.value)


def test_folders_on_two_disks_need_only_their_own_share() -> None:
    other_disk = Path("/proc")  # not the one of the temporary folder
    free = {other_disk: SIZES["l4"].video}
    check_disk("l4", other_disk, free_mb=lambda folder: free.get(folder, SIZES["l4"].logs))


def test_a_size_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        DiskSizes.model_validate({**SIZES["l4"].model_dump(), "weights": 1})


# Compose


def compose(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text())
    return read


COMPOSE_SCHEMA = ("--builtin-schema", "vendor.compose-spec")


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cpu.yaml", "compose.l4.yaml"])
def test_compose_files_fit_their_schema(name: str) -> None:
    assert checked("check-jsonschema", *COMPOSE_SCHEMA, DOCKER / name) == ""


def test_a_misspelt_field_of_compose_is_found(tmp_path: Path) -> None:
    whole = compose("compose.yaml")
    whole["services"]["server"]["shm_sise"] = "1m"
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(yaml.safe_dump(whole))
    assert "shm_sise" in checked("check-jsonschema", *COMPOSE_SCHEMA, wrong)


def bind_mounts() -> Iterator[Path]:
    """Files and folders of the repository that a container is given."""
    for service in compose("compose.yaml")["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                yield (DOCKER / source).resolve()


def test_what_is_mounted_is_in_the_repository() -> None:
    mounted = list(bind_mounts())
    assert mounted
    assert [path for path in mounted if not path.exists()] == []


def test_the_container_is_reachable_only_with_keys_and_from_this_machine_unless_told() -> None:
    server = compose("compose.yaml")["services"]["server"]
    environment = server["environment"]
    check_exposure(environment["HOST"], Path(environment["API_KEYS_FILE"]))
    with pytest.raises(ConfigError):
        check_exposure(environment["HOST"], None)
    assert environment["API_KEYS_FILE"] == "/run/secrets/api_keys"
    assert "api_keys" in server["secrets"]
    for service in compose("compose.yaml")["services"].values():
        assert all(port.startswith("${BIND:-127.0.0.1}:") for port in service.get("ports", []))


def test_the_secrets_of_compose_are_those_that_the_script_makes(tmp_path: Path) -> None:
    subprocess.run([SCRIPT, tmp_path / "secrets"], capture_output=True, check=True)
    files = {Path(secret["file"]) for secret in compose("compose.yaml")["secrets"].values()}
    assert files == {Path("secrets") / made.name for made in (tmp_path / "secrets").iterdir()}


def test_prometheus_and_grafana_differ_from_their_own_files_by_addresses_and_the_key_alone() -> (
    None
):
    observability = ROOT / "cluster" / "observability"
    scraping = yaml.safe_load((observability / "prometheus.yml").read_text())
    [job] = scraping["scrape_configs"]
    job["static_configs"] = [{"targets": ["server:8000"]}]
    job["authorization"] = {"type": "Bearer", "credentials_file": "/run/secrets/metrics_key"}
    assert compose("prometheus.yml") == scraping
    sources = observability / "grafana" / "provisioning" / "datasources" / "prometheus.yaml"
    showing = yaml.safe_load(sources.read_text())
    showing["datasources"][0]["url"] = "http://prometheus:9090"
    assert compose("grafana-datasource.yaml") == showing


def test_shared_memory_holds_the_object_store_with_room_to_spare() -> None:
    size = compose("compose.yaml")["services"]["server"]["shm_size"]
    assert int(size.removesuffix("m")) * 2**20 >= 1.5 * OBJECT_STORE_BYTES


def test_every_image_that_is_not_ours_is_pinned_by_its_full_tag() -> None:
    services = compose("compose.yaml")["services"]
    theirs = [s["image"] for s in services.values() if "build" not in s]
    assert len(theirs) == 2
    assert all(re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", image) for image in theirs)


def test_no_container_may_become_more_than_it_is() -> None:
    for service in compose("compose.yaml")["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        assert service["deploy"]["resources"]["limits"]["memory"]


def test_the_l4_file_adds_the_card_to_the_same_server() -> None:
    server = compose("compose.l4.yaml")["services"]["server"]
    [device] = server["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert server["build"]["args"]["PROFILE"] in image_profiles()


@pytest.mark.parametrize("profile", ["cpu", "l4"])
def test_weights_are_fetched_by_one_container_and_only_read_by_the_other(profile: str) -> None:
    services = compose(f"compose.{profile}.yaml")["services"]
    assert set(services) == {"server", "models"}
    folder = "${MODELS_DIR:-./models}:/models"
    assert services["server"]["volumes"] == [f"{folder}:ro"]
    assert services["models"]["volumes"] == [folder]
    assert services["models"]["environment"]["PROFILE"] == profile
    assert services["models"]["profiles"] == ["models"]  # not started with the server


@pytest.mark.parametrize("profile", ["cpu", "l4"])
def test_the_server_is_told_everything_that_its_profile_leaves_to_the_environment(
    profile: str,
) -> None:
    asked = set(re.findall(r"\$\{(\w+):-", (ROOT / "cluster" / f"{profile}.yaml").read_text()))
    assert asked
    assert asked <= set(compose(f"compose.{profile}.yaml")["services"]["server"]["environment"])
