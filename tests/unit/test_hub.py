"""A model hub on loopback: what comes of it, and every way in which it can refuse."""

import io
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.fetch.model import fetch, planned
from deployments.fetch.progress import Progress
from deployments.fetch.source import FetchError
from deployments.weights import ModelNeed, model_problem, read_manifest
from tests.fake_hub import COMMIT, FakeHub, Repo, serving

WEIGHTS = bytes(range(256)) * 100
NEED = ModelNeed("tiny", "hf://somebody/tiny", ("config.json", "model.bin"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    repo = Repo({"config.json": b"{}", "model.bin": WEIGHTS, "README.md": b"not needed"})
    with serving(FakeHub({"somebody/tiny": repo}, token="open")) as served:
        monkeypatch.setenv("MODELS_DIR", str(tmp_path))
        point_to(served.address, monkeypatch)
        yield served


def point_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HF_ENDPOINT does, which the library reads once, when it is imported."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def bring(need: ModelNeed = NEED) -> None:
    if (plan := planned(need)) is not None:
        fetch(plan, Progress(1, io.StringIO()))


def refusal(need: ModelNeed = NEED) -> str:
    with pytest.raises(FetchError) as caught:
        bring(need)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_only_the_needed_files_come_with_the_hubs_own_checksums(
    hub: FakeHub, tmp_path: Path
) -> None:
    bring()
    assert model_problem(NEED) is None
    assert sorted(p.name for p in (tmp_path / "tiny").iterdir()) == [
        "config.json", "manifest.json", "model.bin",
    ]  # fmt: skip
    manifest = read_manifest(tmp_path / "tiny")
    assert manifest is not None
    assert (manifest.source, manifest.revision) == (NEED.source, COMMIT)
    kinds = {name: record.checksum.split(":")[0] for name, record in manifest.files.items()}
    assert kinds == {"config.json": "git-sha1", "model.bin": "sha256"}


def test_a_connection_that_breaks_off_goes_on_where_it_stopped(hub: FakeHub) -> None:
    hub.cuts = [10_000, 10_000]  # the small file is shorter, so it comes whole
    bring()
    assert model_problem(NEED) is None
    assert hub.asked == ["config.json 0", "model.bin 0", "model.bin 10000"]


def test_a_busy_hub_is_asked_again(hub: FakeHub) -> None:
    hub.refusals = [503]
    bring()
    assert model_problem(NEED) is None


def test_what_is_fetched_later_is_of_the_revision_that_was_begun(
    hub: FakeHub, tmp_path: Path
) -> None:
    bring()
    (tmp_path / "tiny" / "config.json").unlink()
    hub.repos["somebody/tiny"].commit = "f" * 40  # the hub has moved on, and forgotten the old one
    assert refusal() == "hf://somebody/tiny: there is no such revision"


def test_a_repository_that_does_not_exist_is_one_line(hub: FakeHub) -> None:
    assert refusal(ModelNeed("other", "hf://somebody/other", ("model.bin",))) == (
        f"hf://somebody/other: {hub.address} has no such repository, or not for everybody: "
        "check the name; of a private one set HF_TOKEN"
    )


def test_a_revision_that_does_not_exist_is_one_line(hub: FakeHub) -> None:
    need = ModelNeed("tiny", "hf://somebody/tiny@v9", ("model.bin",))
    assert refusal(need) == "hf://somebody/tiny@v9: there is no such revision"


def test_a_file_that_is_not_in_the_repository_is_named(hub: FakeHub) -> None:
    need = ModelNeed("tiny", NEED.source, ("config.json", "other.bin"))
    assert refusal(need) == "hf://somebody/tiny has no file other.bin"


def test_a_gated_repository_says_where_to_accept_its_terms_and_opens_to_a_token(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos["somebody/tiny"].is_gated = True
    assert refusal() == (
        f"hf://somebody/tiny is gated: accept its terms at {hub.address}/somebody/tiny, "
        "then set HF_TOKEN"
    )
    monkeypatch.setenv("HF_TOKEN", hub.token)
    bring()
    assert model_problem(NEED) is None


def test_damaged_content_is_not_kept(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos["somebody/tiny"].sent = {"model.bin": WEIGHTS[::-1]}
    assert "model.bin: what came is not what the source says" in refusal()
    assert not list((tmp_path / "tiny").glob("model.bin*"))


def test_a_damaged_small_file_is_noticed_too(hub: FakeHub) -> None:
    hub.repos["somebody/tiny"].sent = {"config.json": b"[]"}
    assert "config.json: what came is not what the source says (git-sha1:" in refusal()


def test_a_hub_that_nobody_reaches_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        point_to(address, monkeypatch)
        text = refusal()
    assert text.startswith(f"{address} cannot be reached (")
    assert text.endswith("check the network, or name a mirror by HF_ENDPOINT or MODELS_FROM")
