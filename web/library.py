"""What people add of their own, with their consent: voices and portraits, kept until deleted.

Not the store of turns: nothing here expires. Each item is one folder, and what lies there is the
whole truth, so that several ingress processes may share it without a word to each other.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from deployments.caller import logger_of
from web.ids import is_id, new_id
from web.problems import RefusedError

logger = logger_of("avatar.web")

Kind = Literal["voice", "avatar"]
KINDS: tuple[Kind, ...] = ("voice", "avatar")

_CARD = "item.json"
_UNFINISHED = ".unfinished-"  # a folder or file that is not there yet, or not any more
_LEFT_OVER_AFTER_S = 60.0  # what is unfinished for so long has no living writer


@dataclass(frozen=True, slots=True)
class Consent:
    """Who agreed to what: ``given_by`` as ``web.keys.giver_of`` says, ``given_at`` in Unix time,
    ``text`` word for word."""

    given_by: str
    given_at: float
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """A voice or a portrait. ``facts`` is JSON, and its kind's own affair."""

    id: str
    name: str
    created_at: float
    consent: Consent
    facts: Mapping[str, Any] = field(default_factory=dict)


class Library:
    """Folders ``voices/<id>`` and ``avatars/<id>`` under the data directory.

    Blocks, and may be called from any thread and from several processes at once. An item is there
    whole or not at all: it is written beside its place and gets there, and away, by one renaming.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        min_free_bytes: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folders: dict[Kind, Path] = {kind: data_dir / f"{kind}s" for kind in KINDS}
        self._min_free_bytes = min_free_bytes
        self._clock = clock
        for folder in self._folders.values():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.sweep()

    def add(
        self,
        kind: Kind,
        name: str,
        consent: Consent,
        *,
        facts: Mapping[str, Any],
        files: Mapping[str, bytes],
        item_id: str | None = None,
    ) -> Item:
        """Keep one more item.

        Args:
            facts: what JSON can hold.
            files: by name.
            item_id: of ``new_id``, where others were told it before; else a new one.

        Raises:
            RefusedError: ``disk_full``.
            OSError: among others when the disk gets full meanwhile; nothing is kept then.
        """
        folder = self._folders[kind]
        self._check_room(folder)
        item = Item(item_id or new_id(), name, self._clock(), consent, facts)
        unfinished = folder / f"{_UNFINISHED}{item.id}"
        unfinished.mkdir(mode=0o700)
        try:
            for file_name, data in files.items():
                _write(unfinished / file_name, data)
            _write(unfinished / _CARD, json.dumps(asdict(item)).encode())
            unfinished.rename(folder / item.id)
            _settle(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return item

    def items(self, kind: Kind) -> tuple[Item, ...]:
        """All of a kind, oldest first."""
        ids = [path.name for path in self._folders[kind].iterdir()]
        found = [item for item_id in ids if (item := self.find(kind, item_id)) is not None]
        return tuple(sorted(found, key=lambda item: (item.created_at, item.id)))

    def find(self, kind: Kind, item_id: str) -> Item | None:
        """The item, unless there is none (any more), or somebody has damaged it."""
        card = self.read(kind, item_id, _CARD)
        if card is None:
            return None
        try:
            fields = json.loads(card)
            return Item(**{**fields, "consent": Consent(**fields["consent"])})
        except (ValueError, TypeError, KeyError):
            logger.warning("%s/%s/%s cannot be read", self._folders[kind].name, item_id, _CARD)
            return None

    def read(self, kind: Kind, item_id: str, file_name: str) -> bytes | None:
        """One of an item's files, if it is there."""
        if not is_id(item_id):
            return None
        try:
            return (self._folders[kind] / item_id / file_name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put(self, kind: Kind, item_id: str, file_name: str, data: bytes) -> bool:
        """Add or replace one of an item's files; ``False`` if the item is gone.

        Raises:
            RefusedError: ``disk_full``.
            OSError: among others when the disk gets full meanwhile; the file is as it was then.
        """
        if not is_id(item_id):
            return False
        self._check_room(self._folders[kind])
        folder = self._folders[kind] / item_id
        unfinished = folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
        try:
            _write(unfinished, data)
            unfinished.replace(folder / file_name)
        except FileNotFoundError:
            return False
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return True

    def delete(self, kind: Kind, item_id: str) -> bool:
        """Erase an item and all that belongs to it; ``False`` if there was none."""
        folder = self._folders[kind]
        leaving = folder / f"{_UNFINISHED}{secrets.token_hex(8)}"
        if not is_id(item_id):
            return False
        try:
            (folder / item_id).rename(leaving)
        except FileNotFoundError:
            return False
        shutil.rmtree(leaving, ignore_errors=True)  # what is left the next sweep erases
        return True

    def sweep(self) -> None:
        """Erase what killed processes left behind."""
        for folder in self._folders.values():
            for path in folder.glob(f"**/{_UNFINISHED}*"):
                with suppress(FileNotFoundError):  # another process was faster
                    if time.time() - path.stat().st_mtime >= _LEFT_OVER_AFTER_S:
                        _erase(path)

    def _check_room(self, folder: Path) -> None:
        if shutil.disk_usage(folder).free < self._min_free_bytes:
            raise RefusedError(
                "The server's disk is full; ask its operator to free some.", code="disk_full"
            )


def _write(path: Path, data: bytes) -> None:
    """The file, on the disk when this returns: a consent that was recorded is not to be lost."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """What was renamed in a folder is on the disk, too, when this returns."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _erase(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
