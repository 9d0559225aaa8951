"""A small disk of one's own that can be full from one moment to the next."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOMY_BYTES = 1_500_000_000
"""The launcher starts with no less than 1 GB; a tmpfs takes only what is written to it."""


_MARGINS_BYTES = (0, 0, 65_536, 262_144, 1_048_576)
"""What is left free at each try: at most what a few turns write in a second."""


class DiskError(Exception):
    """No disk can be mounted here; the message says why."""


class SmallDisk:
    """A mounted tmpfs. ``fill`` leaves no room at all, ``free`` gives it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Make it as small as what is on it; somebody may be writing meanwhile.

        Raises:
            DiskError: it cannot be done.
        """
        for margin_bytes in _MARGINS_BYTES:
            disk = os.statvfs(self.folder)
            n_used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
            try:
                self._resize(max(n_used, disk.f_frsize) + margin_bytes)
                return
            except DiskError as error:
                failed = error
        raise failed

    def free(self) -> None:
        self._resize(ROOMY_BYTES)

    def _resize(self, n_bytes: int) -> None:
        _run("mount", "-o", f"remount,size={n_bytes}", str(self.folder))


@contextmanager
def mounted() -> Iterator[SmallDisk]:
    """A disk, unmounted and gone at the end.

    Raises:
        DiskError: this user may not mount.
    """
    with tempfile.TemporaryDirectory(prefix="avatar-disk-") as folder:
        _run("mount", "-t", "tmpfs", "-o", f"size={ROOMY_BYTES},mode=0700", "tmpfs", folder)
        try:
            yield SmallDisk(Path(folder))
        finally:
            # A process that ended a moment ago may still hold a file: detach, and let it finish.
            _run("umount", "--lazy", folder)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)
    except FileNotFoundError:
        raise DiskError(f"there is no program {command[0]!r}") from None
    except subprocess.CalledProcessError as error:
        raise DiskError(f"{command[0]}: {error.stderr.strip()}") from None
