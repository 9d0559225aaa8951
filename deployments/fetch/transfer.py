"""One file: gone on with where it stopped, checked, and renamed when it is whole."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deployments.fetch.checksum import Checksum
from deployments.fetch.progress import Progress
from deployments.fetch.source import ConnectionLostError, FetchError, Source
from deployments.weights import PART, FileRecord

N_TRIES = 3
"""How often in a row a connection may break off without a byte in between."""

_PAUSE_S = 1.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


def part_of(path: Path) -> Path:
    """Where a file lies until it is whole."""
    return path.with_name(path.name + PART)


def fetch_file(
    source: Source,
    name: str,
    revision: str,
    record: FileRecord,
    path: Path,
    progress: Progress,
    pause: Callable[[float], None] = time.sleep,
) -> FileRecord:
    """Brings the file to ``path``; gives back its record, now with a checksum.

    Half a file that lies beside it is gone on with; that it is of this version is the caller's to
    know. Whatever ends this early leaves at most such a half.

    Raises:
        FetchError: the source fails for good, the disk is full, or what came is not the file.
    """
    part = part_of(path)
    checksum = Checksum(record.checksum, record.size)
    with _writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        if part.exists() and part.stat().st_size > record.size:
            part.unlink()
        with part.open("ab", buffering=0) as out:
            checksum.update_from(part)
            _Transfer(source, name, revision, record.size, out, checksum, progress).run(pause)
            os.fsync(out.fileno())
        return _kept(part, path, record, str(checksum))


class _Transfer:
    """The bytes that are missing of one file."""

    def __init__(
        self,
        source: Source,
        name: str,
        revision: str,
        size: int,
        out: BinaryIO,
        checksum: Checksum,
        progress: Progress,
    ) -> None:
        self._source, self._name, self._revision = source, name, revision
        self._size, self._out = size, out
        self._checksum, self._progress = checksum, progress
        self._n = os.fstat(out.fileno()).st_size

    def run(self, pause: Callable[[float], None]) -> None:
        """Until all are there; a connection that breaks off is opened again."""
        n_failed = 0
        while self._n < self._size:
            before = self._n
            try:
                self._read_on()
            except ConnectionLostError:
                n_failed = 1 if self._n > before else n_failed + 1
                if n_failed >= N_TRIES:
                    raise
                pause(_PAUSE_S * n_failed)

    def _read_on(self) -> None:
        for block in self._source.blocks(self._name, self._revision, self._n):
            self._out.write(block)
            self._checksum.update(block)
            self._n += len(block)
            self._progress.add(len(block))
            if self._n > self._size:
                raise FetchError(f"{self._name} is longer than its source says; run it again")
        if self._n < self._size:
            raise ConnectionLostError(f"{self._name} ended after {self._n:,} bytes")


def _kept(part: Path, path: Path, record: FileRecord, checksum: str) -> FileRecord:
    """The part becomes the file if it is what was announced, or else nothing."""
    if record.checksum and checksum != record.checksum:
        part.unlink()
        raise FetchError(
            f"{path}: what came is not what the source says ({checksum}, not {record.checksum}); "
            "it was removed, run it again"
        )
    part.replace(path)
    return FileRecord(size=record.size, version=record.version, checksum=checksum)


@contextmanager
def _writing(part: Path) -> Iterator[None]:
    """What a disk refuses, in one line. A half that filled it is removed: everything else on this
    machine needs the room more than the next attempt needs the bytes."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            part.unlink(missing_ok=True)
            raise FetchError(
                f"the disk of {part.parent} is full; {part.name} was removed: free some room, or "
                "name another MODELS_DIR"
            ) from None
        raise FetchError(f"{error.filename or part}: {error.strerror}") from None
