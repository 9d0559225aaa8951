"""Files that take long to make, kept by what they were made of: exported networks and plans.

    ENGINES_DIR/
        decoder.onnx-5a1c...       the file, under a digest of everything that it depends on
        decoder.onnx-5a1c....json  that everything, and the file's own digest

A plan is code that runs on the GPU, so a file counts only if nobody but this user could have
written it and it is, byte for byte, what this program wrote.
"""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.errors import EngineLoadError

_PROJECT = Path(__file__).resolve().parents[3]
_RECORD = ".json"
_DIGITS = 24  # of a digest in a name: 96 bits
_PART, _N_PARTS = 65_536, 32  # bytes; of a file that is not read whole


def engines_dir() -> Path:
    """The one place for what is made of weights: ``ENGINES_DIR``, or ``var/engines``."""
    return Path(os.environ.get("ENGINES_DIR") or _PROJECT / "var" / "engines").expanduser()


def digest_of(path: Path) -> str:
    """Of a file's content.

    Raises:
        EngineLoadError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}"
        raise EngineLoadError(text, stage="avatar") from None


def mark_of(path: Path) -> str:
    """Tells a file of weights from another one, without reading all of its hundreds of megabytes:
    its size, and parts of it from its beginning to its end.

    Raises:
        EngineLoadError: it cannot be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            mark = hashlib.sha256(str(size).encode())
            for i in range(_N_PARTS):
                file.seek(max(size - _PART, 0) * i // (_N_PARTS - 1))
                mark.update(file.read(_PART))
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}"
        raise EngineLoadError(text, stage="avatar") from None
    return mark.hexdigest()


class Kept:
    """A folder of such files; it is made on first use."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        EngineLoadError: the folder cannot be made, or others may write into it.
        """
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = folder.stat()
        except OSError as error:
            text = f"{folder} cannot be used: {error.strerror}; set ENGINES_DIR"
            raise EngineLoadError(text, stage="avatar") from None
        if state.st_mode & stat.S_IWOTH or state.st_uid not in (0, os.getuid()):
            text = f"{folder} holds code for the GPU, but others may write into it: chmod 700"
            raise EngineLoadError(text, stage="avatar")

    def path(self, name: str, made_of: Mapping[str, Any]) -> Path | None:
        """The file ``name`` made of exactly this; None: there is none, or it is damaged."""
        path = self._path(name, made_of)
        try:
            record = json.loads(_record_of(path).read_text())
            whole = path.stat().st_uid in (0, os.getuid()) and digest_of(path) == record["sha256"]
        except (OSError, ValueError, KeyError, TypeError, EngineLoadError):
            return None
        return path if whole else None

    def put(self, name: str, made_of: Mapping[str, Any], content: bytes) -> Path:
        """Keep ``content`` under that name; whoever reads meanwhile sees all of it or nothing.

        Raises:
            EngineLoadError: there is no room, or no right to write.
        """
        path = self._path(name, made_of)
        record = {"sha256": hashlib.sha256(content).hexdigest(), "made_of": dict(made_of)}
        try:
            _write(path, content)
            _write(_record_of(path), json.dumps(record, indent=1).encode())
        except OSError as error:
            text = f"{path} cannot be written: {error.strerror}"
            raise EngineLoadError(text, stage="avatar") from None
        return path

    def _path(self, name: str, made_of: Mapping[str, Any]) -> Path:
        key = json.dumps(dict(made_of), sort_keys=True).encode()
        return self.folder / f"{name}-{hashlib.sha256(key).hexdigest()[:_DIGITS]}"


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + _RECORD)


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
