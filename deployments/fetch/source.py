"""What a place to fetch weights from can do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from deployments.weights import FileRecord


class FetchError(Exception):
    """Weights cannot be fetched; the message is one line that says what to do."""


class ConnectionLostError(FetchError):
    """It broke off in the middle and may go on when it is tried again."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source says of its files before any of them is read.

    ``revision``: so that the rest can be fetched of the same one later; empty where the source has
    none.
    """

    revision: str
    files: dict[str, FileRecord]


class Source(Protocol):
    """One model's files, wherever they are."""

    def listing(self, names: Sequence[str], revision: str) -> Listing:
        """What the named files are, of ``revision``, or of the source's own choice where empty.

        Raises:
            FetchError: unreachable, not there, or not for everybody.
        """
        ...

    def blocks(self, name: str, revision: str, start: int) -> Iterator[bytes]:
        """The file from byte ``start`` on.

        Raises:
            ConnectionLostError: it broke off; what came is good.
            FetchError: it will not do better.
        """
        ...
