"""Videos being written: under a temporary name, locked by their writer, erased unless kept."""

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path


class FileRecording:
    """Holds a lock on its file for as long as its process lives, so that others leave it alone."""

    def __init__(self, partial: Path, whole: Path) -> None:
        self._partial = partial
        self.whole = whole
        self._lock = threading.Lock()
        self._fd: int | None = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def write(self, data: bytes) -> None:
        with self._lock:
            if self._fd is None:
                raise ValueError("the recording has ended")
            try:
                _write_all(self._fd, data)
            except OSError:
                self._erase()
                raise

    def abort(self) -> None:
        with self._lock:
            self._erase()

    def publish(self) -> None:
        """Give the file its final name."""
        with self._lock:
            if self._fd is None:
                raise ValueError("the recording has ended")
            self._partial.rename(self.whole)
            os.close(self._fd)
            self._fd = None

    def _erase(self) -> None:
        if self._fd is not None:
            self._partial.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None


class NoRecording:
    """Where nothing may be kept."""

    def write(self, data: bytes) -> None:
        """Forget it."""

    def abort(self) -> None:
        """Nothing to erase."""


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def erase_unless_locked(path: Path) -> None:
    """Erase a partial file whose writer has died."""
    with suppress(FileNotFoundError, BlockingIOError):
        fd = os.open(path, os.O_WRONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        finally:
            os.close(fd)
