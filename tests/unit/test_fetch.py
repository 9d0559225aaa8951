"""Weights on their way: gone on with, checked, and never half under a whole file's name."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from deployments.fetch.model import Plan, fetch, planned, remove_damaged
from deployments.fetch.progress import Progress, amount
from deployments.fetch.source import ConnectionLostError, FetchError, Listing
from deployments.fetch.transfer import N_TRIES, fetch_file, part_of
from deployments.weights import FileRecord, ModelNeed, model_problem

CONTENT = bytes(range(256)) * 40
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Broken:
    """A source of one file that breaks off after each of ``n_bytes`` in turn, then no more."""

    def __init__(self, *n_bytes: int, content: bytes = CONTENT) -> None:
        self._n_bytes = list(n_bytes)
        self._content = content
        self.asked: list[int] = []

    def listing(self, names: Sequence[str], revision: str) -> Listing:
        return Listing("", {name: FileRecord(size=len(self._content)) for name in names})

    def blocks(self, name: str, revision: str, start: int) -> Iterator[bytes]:
        self.asked.append(start)
        if not self._n_bytes:
            yield self._content[start:]
            return
        yield self._content[start : start + self._n_bytes.pop(0)]
        raise ConnectionLostError("the line is dead")


def bring(source: Broken, path: Path, checksum: str = SHA256) -> FileRecord:
    record = FileRecord(size=len(CONTENT), checksum=checksum)
    return fetch_file(source, "m", "", record, path, silent(), pause=lambda _s: None)


def silent() -> Progress:
    return Progress(1, io.StringIO())


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_whole_file_gets_its_name_and_its_checksum_is_written_down(tmp_path: Path) -> None:
    record = bring(Broken(), tmp_path / "m", checksum="")
    assert record == FileRecord(size=len(CONTENT), checksum=SHA256)
    assert files_in(tmp_path) == {"m": CONTENT}


def test_a_connection_that_breaks_off_is_opened_again_where_it_stopped(tmp_path: Path) -> None:
    source = Broken(100, 50)
    bring(source, tmp_path / "m")
    assert source.asked == [0, 100, 150]
    assert files_in(tmp_path) == {"m": CONTENT}


def test_a_connection_that_gives_nothing_any_more_ends_it_and_leaves_a_half(tmp_path: Path) -> None:
    source = Broken(100, *[0] * N_TRIES)
    with pytest.raises(FetchError, match="the line is dead"):
        bring(source, tmp_path / "m")
    assert files_in(tmp_path) == {"m.part": CONTENT[:100]}
    assert len(source.asked) == N_TRIES


def test_half_a_file_is_gone_on_with(tmp_path: Path) -> None:
    part_of(tmp_path / "m").write_bytes(CONTENT[:4000])
    source = Broken()
    bring(source, tmp_path / "m")
    assert source.asked == [4000]
    assert files_in(tmp_path) == {"m": CONTENT}


def test_a_half_that_is_longer_than_the_whole_is_begun_anew(tmp_path: Path) -> None:
    part_of(tmp_path / "m").write_bytes(CONTENT + b"more")
    source = Broken()
    bring(source, tmp_path / "m")
    assert source.asked == [0]
    assert files_in(tmp_path) == {"m": CONTENT}


def test_what_is_not_the_announced_content_is_removed(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"what came is not what the source says \(sha256:"):
        bring(Broken(content=bytes(len(CONTENT))), tmp_path / "m")
    assert files_in(tmp_path) == {}


def test_a_file_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="m is longer than its source says"):
        bring(Broken(content=CONTENT + b"more"), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_disk_that_fills_in_the_middle_is_one_line_and_gets_its_room_back(tmp_path: Path) -> None:
    part_of(tmp_path / "m").symlink_to("/dev/full")  # writing there fails as on a full disk
    with pytest.raises(FetchError) as caught:
        bring(Broken(), tmp_path / "m")
    assert str(caught.value) == (
        f"the disk of {tmp_path} is full; m.part was removed: free some room, or name another "
        "MODELS_DIR"
    )
    assert not any(tmp_path.iterdir())


def test_whoever_stops_it_leaves_a_half_and_no_whole_file(tmp_path: Path) -> None:
    class Stopped(Broken):
        def blocks(self, name: str, revision: str, start: int) -> Iterator[bytes]:
            yield CONTENT[:300]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(Stopped(), tmp_path / "m")
    assert files_in(tmp_path) == {"m.part": CONTENT[:300]}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModelNeed]:
    """Puts files into a folder that is the source of a model; the model has yet to come."""
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "models"))

    def stocked(**files: bytes) -> ModelNeed:
        source = tmp_path / "shop" / "tiny"
        source.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (source / name).write_bytes(content)
        return ModelNeed("tiny", f"file://{source}", tuple(files))

    return stocked


def brought(need: ModelNeed, mirror: str = "") -> Plan | None:
    if (plan := planned(need, mirror)) is not None:
        fetch(plan, silent())
    return plan


def test_a_model_comes_whole_with_a_manifest_and_is_not_asked_for_again(
    shop: Callable[..., ModelNeed], tmp_path: Path
) -> None:
    need = shop(config=b"{}", weights=CONTENT)
    assert model_problem(need) is not None
    plan = brought(need)
    assert plan is not None
    assert plan.missing == ("config", "weights")
    assert model_problem(need) is None
    manifest = json.loads((tmp_path / "models" / "tiny" / "manifest.json").read_text())
    assert manifest["source"] == need.source
    assert manifest["files"]["weights"]["checksum"] == SHA256
    (tmp_path / "shop" / "tiny" / "weights").unlink()  # nobody looks there any more
    assert brought(need) is None


def test_only_what_is_missing_comes(shop: Callable[..., ModelNeed], tmp_path: Path) -> None:
    need = shop(config=b"{}", weights=CONTENT)
    brought(need)
    (tmp_path / "models" / "tiny" / "config").unlink()
    plan = brought(need)
    assert plan is not None
    assert plan.missing == ("config",)
    assert model_problem(need) is None


def test_half_a_file_counts_for_the_room_and_is_gone_on_with_if_it_is_of_the_same_content(
    shop: Callable[..., ModelNeed], tmp_path: Path
) -> None:
    need = shop(weights=CONTENT)
    folder = tmp_path / "models" / "tiny"
    brought(need)
    (folder / "weights").rename(folder / "weights.part")
    (folder / "weights.part").write_bytes(CONTENT[:1000])
    plan = planned(need)
    assert plan is not None
    assert plan.n_bytes == len(CONTENT) - 1000
    shop(weights=CONTENT[::-1])  # the source has changed
    plan = brought(need)
    assert (folder / "weights").read_bytes() == CONTENT[::-1]


def test_a_file_of_the_wrong_length_comes_again(
    shop: Callable[..., ModelNeed], tmp_path: Path
) -> None:
    need = shop(weights=CONTENT)
    brought(need)
    (tmp_path / "models" / "tiny" / "weights").write_bytes(CONTENT[:-1])
    brought(need)
    assert (tmp_path / "models" / "tiny" / "weights").read_bytes() == CONTENT


def test_checking_everything_removes_what_differs_and_nothing_else(
    shop: Callable[..., ModelNeed], tmp_path: Path
) -> None:
    need = shop(config=b"{}", weights=CONTENT)
    brought(need)
    assert remove_damaged(need) == []
    damaged = tmp_path / "models" / "tiny" / "weights"
    damaged.write_bytes(CONTENT[::-1])  # as long as before, so that loading would not see it
    assert model_problem(need) is None
    assert remove_damaged(need) == [damaged]
    brought(need)
    assert damaged.read_bytes() == CONTENT


def test_a_copy_of_models_dir_is_a_source_that_knows_the_checksums(
    shop: Callable[..., ModelNeed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = shop(weights=CONTENT)
    brought(need)
    mirror = f"file://{tmp_path / 'models'}"
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "others"))
    far = ModelNeed("tiny", need.source, need.files)
    brought(far, mirror)
    assert model_problem(far) is None
    (tmp_path / "models" / "tiny" / "weights").write_bytes(CONTENT[::-1])
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "third"))
    with pytest.raises(FetchError, match="what came is not what the source says"):
        brought(far, mirror)


def test_a_mirror_of_another_model_is_refused(
    shop: Callable[..., ModelNeed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = shop(weights=CONTENT)
    brought(need)
    mirror = f"file://{tmp_path / 'models'}"
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "others"))
    with pytest.raises(FetchError) as caught:
        planned(ModelNeed("tiny", "hf://somebody/tiny", need.files), mirror)
    assert str(caught.value) == (
        f"{mirror}/tiny is a copy of {need.source}, needed is hf://somebody/tiny"
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("file:///nowhere/tiny", "file:///nowhere/tiny: .*nowhere/tiny/weights.* is not there"),
        ("s3://bucket/tiny", "s3://bucket/tiny needs a package: Install s3fs to access S3"),
        ("gs://bucket/tiny", "gs://bucket/tiny needs a package: .*gcsfs.*"),
        ("ship://bucket/tiny", "ship://bucket/tiny: Protocol not known: ship"),
        ("hf://tiny", r"hf://tiny should be hf://organisation/repository\[@revision\]"),
    ],
)
def test_an_address_that_cannot_be_opened_is_one_line(
    source: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    with pytest.raises(FetchError, match=text) as caught:
        planned(ModelNeed("tiny", source, ("weights",)))
    assert "\n" not in str(caught.value)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_whoever_waits_is_told_how_far_it_is_and_how_fast() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(4_000_000, out, clock)
    progress.begin("tiny/weights")
    clock.now_s = 1.0
    progress.add(1_000_000)  # a log gets a line in ten seconds
    clock.now_s = 10.0
    progress.add(1_000_000)
    assert out.getvalue() == "   50%  2.0 MB of 4.0 MB, 200 kB/s  tiny/weights\n"


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(12, "12 bytes"), (9_940, "9.9 kB"), (486_000_000, "486 MB"), (1_620_000_000, "1.6 GB")],
)
def test_amounts_are_written_in_the_unit_that_people_read(n_bytes: int, text: str) -> None:
    assert amount(n_bytes) == text
