"""A model hub that speaks Hugging Face's interface: theirs, or a mirror named by HF_ENDPOINT.

The library tells what a repository holds and refuses in kinds of its own; the bytes are read from
the addresses it makes, since only so can half a file be gone on with, whatever stands behind.
``HF_TOKEN`` or the library's own login opens repositories that are not for everybody.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from deployments.fetch.checksum import GIT, SHA256
from deployments.fetch.source import ConnectionLostError, FetchError, Listing
from deployments.weights import FileRecord

_TIMEOUT_S = 20.0  # of connecting, and of waiting for the next bytes


class Hub:
    """One repository of models.

    Args:
        url: ``hf://organisation/repository``, with ``@revision`` or without.

    Raises:
        FetchError: the address has another form, or the library is missing.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._repo, _, self._wanted = url.removeprefix("hf://").partition("@")
        if self._repo.count("/") != 1:
            raise FetchError(f"{url} should be hf://organisation/repository[@revision]")
        try:
            import huggingface_hub  # noqa: F401
        except ImportError:
            raise FetchError(
                "huggingface_hub is missing; install its extra: "
                "pip install 'realtime-avatar[models]'"
            ) from None

    def listing(self, names: Sequence[str], revision: str) -> Listing:
        """See ``Source.listing``; the revision that is given back is a commit."""
        from huggingface_hub import HfApi

        with self._refusals():
            info = HfApi().model_info(
                self._repo,
                revision=revision or self._wanted or None,
                files_metadata=True,
                timeout=_TIMEOUT_S,
            )
        there = {one.rfilename: one for one in info.siblings or []}
        if missing := [name for name in names if name not in there]:
            raise FetchError(f"{self._url} has no file {missing[0]}")
        return Listing(info.sha or "", {name: _record(there[name]) for name in names})

    def blocks(self, name: str, revision: str, start: int) -> Iterator[bytes]:
        """See ``Source.blocks``."""
        from huggingface_hub import get_session, get_token, hf_hub_url, hf_raise_for_status

        headers = {"Accept-Encoding": "identity"}
        if token := get_token():
            headers["Authorization"] = f"Bearer {token}"
        if start:
            headers["Range"] = f"bytes={start}-"
        address = hf_hub_url(self._repo, name, revision=revision or self._wanted or None)
        with (
            self._refusals(),
            get_session().stream("GET", address, headers=headers, timeout=_TIMEOUT_S) as answer,
        ):
            hf_raise_for_status(answer)
            if start and answer.status_code != 206:
                raise FetchError(f"{self._url}: the server cannot go on in the middle of {name}")
            yield from answer.iter_bytes()  # as they come, so that none is lost with the line

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """The library's errors as ours, each as one line."""
        import httpx2
        from huggingface_hub import constants
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            OfflineModeIsEnabled,
            RemoteEntryNotFoundError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        try:
            yield
        except GatedRepoError:
            page = f"{constants.ENDPOINT}/{self._repo}"
            raise FetchError(
                f"{self._url} is gated: accept its terms at {page}, then set HF_TOKEN"
            ) from None
        except RepositoryNotFoundError:
            raise FetchError(
                f"{self._url}: {constants.ENDPOINT} has no such repository, or not for everybody: "
                "check the name; of a private one set HF_TOKEN"
            ) from None
        except RevisionNotFoundError:
            raise FetchError(f"{self._url}: there is no such revision") from None
        except RemoteEntryNotFoundError:
            raise FetchError(f"{self._url} lacks a file that it lists") from None
        except (HFValidationError, OfflineModeIsEnabled) as error:
            raise FetchError(f"{self._url}: {_line(error)}") from None
        except HfHubHTTPError as error:
            raise self._answered(error.response.status_code) from None
        except httpx2.ConnectError as error:
            raise ConnectionLostError(
                f"{constants.ENDPOINT} cannot be reached ({_line(error)}): check the network, "
                "or name a mirror by HF_ENDPOINT or MODELS_FROM"
            ) from None
        except httpx2.HTTPError as error:
            said = _line(error) or type(error).__name__
            raise ConnectionLostError(f"the connection to the hub broke off ({said})") from None

    def _answered(self, status: int) -> FetchError:
        """What a status means that the library has no kind for."""
        if status in (401, 403):
            return FetchError(f"{self._url}: the hub refuses HF_TOKEN ({status})")
        if status == 429 or status >= 500:
            return ConnectionLostError(f"{self._url}: the hub is busy ({status}); try again later")
        return FetchError(f"{self._url}: the hub answered {status}")


def _record(file: Any) -> FileRecord:
    """Large files have a SHA-256, small ones the name of their Git object."""
    if file.lfs is not None:
        checksum = f"{SHA256}:{file.lfs.sha256}"
        return FileRecord(size=file.lfs.size, version=checksum, checksum=checksum)
    checksum = f"{GIT}:{file.blob_id}" if file.blob_id else ""
    return FileRecord(size=file.size or 0, version=checksum, checksum=checksum)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
