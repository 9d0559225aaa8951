"""The checksums that sources give, reckoned while the bytes pass."""

import hashlib
from pathlib import Path

SHA256 = "sha256"
GIT = "git-sha1"
"""Of a hub's small files, which lie in its repository itself: SHA-1 of ``blob <size>\\0`` and the
content. Source: Git's object format."""

_BLOCK = 1 << 20


class Checksum:
    """Of one file, of the kind that ``expected`` has (``sha256:...``), else SHA-256.

    Args:
        expected: as a manifest writes it; empty where nobody knows.
        size: of the whole file in bytes.
    """

    def __init__(self, expected: str, size: int) -> None:
        self._kind = expected.partition(":")[0] or SHA256
        if self._kind == GIT:
            self._hash = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        else:
            self._hash = hashlib.sha256()

    def update(self, block: bytes) -> None:
        """The file's next bytes."""
        self._hash.update(block)

    def update_from(self, path: Path) -> None:
        """The whole of a file, or as much as there is of it."""
        left = path.stat().st_size
        with path.open("rb") as file:
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                self._hash.update(block)
                left -= len(block)

    def __str__(self) -> str:
        return f"{self._kind}:{self._hash.hexdigest()}"


def checksum_of(path: Path, expected: str) -> str:
    """A whole file's, of the kind that ``expected`` has."""
    checksum = Checksum(expected, path.stat().st_size)
    checksum.update_from(path)
    return str(checksum)
