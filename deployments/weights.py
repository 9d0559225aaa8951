"""Weights on this machine's disk: where they belong, and whether they are whole.

``make models`` fetches them (``deployments/fetch``); whatever serves only reads, so that the folder
may be mounted read-only and nobody's first question waits for a download.

    MODELS_DIR/<name of the need>/
        manifest.json     what whole files look like; written before the first of them
        model.bin         whole, or it would not have this name
        config.json.part  half a file
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import Field, ValidationError

from deployments.config import Settings
from deployments.errors import EngineLoadError

MANIFEST = "manifest.json"
PART = ".part"
_PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class ModelNeed:
    """Weights that an engine cannot do without.

    ``name``: their folder in ``models_dir()``. ``source``: ``hf://organisation/repository``, with
    ``@revision`` where it must be a certain one, or any URL of fsspec. ``files``: what must be
    there, as paths in the source and in the folder. ``licence``: of the weights.
    """

    name: str
    source: str
    files: tuple[str, ...]
    licence: str = ""


@runtime_checkable
class NeedsModels(Protocol):
    """The class of an engine that cannot do without weights."""

    @staticmethod
    def models(settings: Any) -> tuple[ModelNeed, ...]:
        """Those that it needs with these settings, its own ``Settings``.

        Raises:
            EngineLoadError: that cannot be known here.
        """
        ...


class FileRecord(Settings):
    """What one whole file looks like.

    ``checksum`` is ``<kind>:<hexadecimal>``, of a kind in ``deployments.fetch.checksum``; empty
    where the source gives none and nobody has read the whole file yet. ``version`` is what the
    source calls this content; half a file of another one cannot be gone on with.
    """

    size: int = Field(ge=0)
    version: str = ""
    checksum: str = ""


class Manifest(Settings):
    """Where a folder's files come from. One ``revision`` for all: two would not fit together."""

    source: str
    revision: str = ""
    files: dict[str, FileRecord] = Field(default_factory=dict)


def models_dir() -> Path:
    """The one place for weights: ``MODELS_DIR``, or ``var/models`` in the project."""
    return Path(os.environ.get("MODELS_DIR") or _PROJECT / "var" / "models").expanduser().resolve()


def find_model(need: ModelNeed, stage: str) -> Path:
    """The folder that holds all files of ``need``, each as long as it should be.

    Raises:
        EngineLoadError: the first that is missing, half fetched or damaged, where it was expected,
            and which command brings it.
    """
    if (problem := model_problem(need)) is not None:
        # A replica knows the name of its profile where the launcher started it.
        command = f"make models PROFILE={os.environ.get('PROFILE') or '...'}"
        raise EngineLoadError(f"{problem}; run: {command}", stage=stage)
    return models_dir() / need.name


def model_problem(need: ModelNeed) -> str | None:
    """The first file that is missing, half fetched or damaged, in one line; None: all is well."""
    folder = models_dir() / need.name
    try:
        manifest = read_manifest(folder)
    except ValueError as error:
        return f"the model {need.name}: {error}"
    for name in need.files:
        record = manifest.files.get(name) if manifest is not None else None
        if (problem := file_problem(folder / name, record)) is not None:
            return f"the model {need.name}: {problem}"
    return None


def read_manifest(folder: Path) -> Manifest | None:
    """What the folder's files should be; None where nobody has written it down.

    Raises:
        ValueError: it cannot be read.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except ValidationError:
        raise ValueError(f"{path} is damaged") from None


def file_problem(path: Path, record: FileRecord | None) -> str | None:
    """Why this file cannot be used, by its length alone; None where it can."""
    if path.is_file():
        size = path.stat().st_size
        if record is None or size == record.size:
            return None
        return f"{path} is damaged: it has {size:,} bytes and should have {record.size:,}"
    if path.with_name(path.name + PART).is_file():
        return f"{path} is only half fetched"
    return f"{path} is missing"
