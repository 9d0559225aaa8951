"""One model: what of it is missing, where that comes from, and the manifest beside it."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.fetch.checksum import checksum_of
from deployments.fetch.hub import Hub
from deployments.fetch.progress import Progress
from deployments.fetch.source import FetchError, Source
from deployments.fetch.store import Store
from deployments.fetch.transfer import fetch_file, part_of
from deployments.weights import (
    MANIFEST,
    FileRecord,
    Manifest,
    ModelNeed,
    file_problem,
    models_dir,
    read_manifest,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one model.

    ``manifest``: what its files will be; ``missing``: those that have yet to come.
    """

    need: ModelNeed
    source: Source
    manifest: Manifest
    missing: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return models_dir() / self.need.name

    @property
    def n_bytes(self) -> int:
        """That have yet to come, without what half files hold already."""
        return sum(
            self.manifest.files[name].size - _size(part_of(self.folder / name))
            for name in self.missing
        )


def planned(need: ModelNeed, mirror: str = "") -> Plan | None:
    """What is missing; None, without asking anybody, where all files are there.

    Args:
        need: of an engine.
        mirror: URL of a copy of ``MODELS_DIR`` to fetch from instead; empty: the need's own source.

    Raises:
        FetchError: the source cannot say what the files are.
    """
    folder = models_dir() / need.name
    known = _known(folder, need)
    if all(n in known.files and not file_problem(folder / n, known.files[n]) for n in need.files):
        return None
    source = opened(need, mirror)
    listing = source.listing(need.files, known.revision)
    with _disk(folder):
        _drop_foreign_parts(folder, listing.files, known.files)
        here = {n: _here(folder / n, listing.files[n], known.files.get(n)) for n in need.files}
    files = {name: here[name] or listing.files[name] for name in need.files}
    manifest = Manifest(source=need.source, revision=listing.revision, files=files)
    return Plan(need, source, manifest, tuple(name for name in need.files if here[name] is None))


def opened(need: ModelNeed, mirror: str = "") -> Source:
    """Where the model is fetched from.

    Raises:
        FetchError: an address that nobody here can open, or a mirror of another model.
    """
    if not mirror:
        return Hub(need.source) if need.source.startswith("hf://") else Store(need.source)
    store = Store(f"{mirror.rstrip('/')}/{need.name}")
    manifest = store.manifest()
    if manifest is not None and manifest.source != need.source:
        raise FetchError(
            f"{mirror}/{need.name} is a copy of {manifest.source}, needed is {need.source}"
        )
    return store


def fetch(plan: Plan, progress: Progress) -> None:
    """Brings what is missing; the manifest is there before the first file, and always true.

    Raises:
        FetchError: see ``fetch_file``.
    """
    manifest = plan.manifest
    _write(plan.folder, manifest)
    for name in plan.missing:
        progress.begin(f"{plan.need.name}/{name}")
        record = fetch_file(
            plan.source,
            name,
            manifest.revision,
            manifest.files[name],
            plan.folder / name,
            progress,
        )
        manifest = manifest.model_copy(update={"files": {**manifest.files, name: record}})
        _write(plan.folder, manifest)


def remove_damaged(need: ModelNeed) -> list[Path]:
    """Reads every file of the model and removes those that differ from the manifest.

    Files without a record are left alone: ``planned`` compares them with the source.

    Raises:
        FetchError: the disk refuses.
    """
    folder = models_dir() / need.name
    removed = []
    for name, record in _known(folder, need).files.items():
        path = folder / name
        with _disk(path):
            if not (record.checksum and path.is_file()):
                continue
            if checksum_of(path, record.checksum) != record.checksum:
                path.unlink()
                removed.append(path)
    return removed


def _known(folder: Path, need: ModelNeed) -> Manifest:
    """What was written down of this source; of another one nothing is known."""
    with contextlib.suppress(ValueError):
        known = read_manifest(folder)
        if known is not None and known.source == need.source:
            return known
    return Manifest(source=need.source)


def _here(path: Path, listed: FileRecord, before: FileRecord | None) -> FileRecord | None:
    """The record of a file that is here already; None where it has to come.

    One that nobody wrote down, copied here by hand, is good if the source's checksum says so.
    """
    if not path.is_file() or path.stat().st_size != listed.size:
        return None
    if before is not None and _is_same(before, listed):
        checksum = before.checksum or checksum_of(path, "")
        return listed.model_copy(update={"checksum": checksum})
    if listed.checksum and checksum_of(path, listed.checksum) == listed.checksum:
        return listed
    return None


def _is_same(one: FileRecord, other: FileRecord) -> bool:
    """Whether both are the same content, as far as anybody says."""
    if one.checksum and other.checksum:
        return one.checksum == other.checksum
    return bool(one.version) and (one.version, one.size) == (other.version, other.size)


def _drop_foreign_parts(
    folder: Path, listed: Mapping[str, FileRecord], known: Mapping[str, FileRecord]
) -> None:
    """Halves of what the source no longer has: another content's end must not be put to them."""
    for name, record in listed.items():
        if name not in known or not _is_same(known[name], record):
            part_of(folder / name).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _write(folder: Path, manifest: Manifest) -> None:
    path = folder / MANIFEST
    with _disk(path):
        folder.mkdir(parents=True, exist_ok=True)
        part_of(path).write_text(manifest.model_dump_json(indent=2) + "\n")
        part_of(path).replace(path)


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """What the disk refuses, in one line."""
    try:
        yield
    except OSError as error:
        raise FetchError(f"{error.filename or path}: {error.strerror}") from None
