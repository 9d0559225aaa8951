"""Whatever fsspec opens: a bucket (s3://, gs://, az://), a web server (https://), a folder (file://).

A folder that ``make models`` has filled may be copied there as it is: its manifest then says what
whole files look like.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from deployments.fetch.source import ConnectionLostError, FetchError, Listing
from deployments.weights import MANIFEST, FileRecord, Manifest

_BLOCK = 8 << 20
_VERSIONS = ("ETag", "etag", "LastModified", "updated", "mtime")  # as stores call it


class Store:
    """One folder of a store.

    Raises:
        FetchError: a protocol that fsspec does not know, or whose package is missing.
    """

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise FetchError(
                "fsspec is missing; install its extra: pip install 'realtime-avatar[models]'"
            ) from None
        self._url = url.rstrip("/")
        with self._refusals():
            self._files, self._folder = url_to_fs(self._url)

    def listing(self, names: Sequence[str], revision: str) -> Listing:
        """See ``Source.listing``; a store keeps one revision, that of the manifest in it."""
        manifest = self.manifest()
        found = {name: self._record(name, manifest) for name in names}
        return Listing(manifest.revision if manifest else "", found)

    def manifest(self) -> Manifest | None:
        """Of the folder; None where there is none.

        Raises:
            FetchError: unreachable or unreadable.
        """
        try:
            with self._refusals():
                text = self._files.cat_file(self._path(MANIFEST))
            return Manifest.model_validate_json(text)
        except _MissingError:
            return None
        except ValidationError:
            raise FetchError(f"{self._url}/{MANIFEST} is damaged") from None

    def blocks(self, name: str, revision: str, start: int) -> Iterator[bytes]:
        """See ``Source.blocks``."""
        with self._refusals(), self._opened(name) as file:
            file.seek(start)
            while block := file.read(_BLOCK):
                yield block

    def _opened(self, name: str) -> Any:
        return self._files.open(self._path(name), "rb", block_size=_BLOCK)

    def _record(self, name: str, manifest: Manifest | None) -> FileRecord:
        with self._refusals():
            info = self._files.info(self._path(name))
        size, known = info.get("size"), manifest.files.get(name) if manifest else None
        if size is None:
            raise FetchError(f"{self._url}/{name}: the store does not say how long it is")
        if known is not None and known.size != size:
            raise FetchError(f"{self._url}/{name} has {size:,} bytes, its manifest {known.size:,}")
        version = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
        return FileRecord(size=size, version=version, checksum=known.checksum if known else "")

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Each store's library raises what it likes; all become ours, in one line."""
        try:
            yield
        except FetchError:
            raise
        except ImportError as error:
            raise FetchError(f"{self._url} needs a package: {_line(error)}") from None
        except FileNotFoundError as error:
            raise _MissingError(f"{self._url}: {_line(error)} is not there") from None
        except (PermissionError, ValueError) as error:
            raise FetchError(f"{self._url}: {_line(error)}") from None
        except Exception as error:
            said = f"{type(error).__name__}: {_line(error)}"
            raise ConnectionLostError(f"{self._url}: {said}") from error


class _MissingError(FetchError):
    """The store has no such file."""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
