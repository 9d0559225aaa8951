"""A model hub on loopback, as huggingface_hub asks it: what a repository holds, and its files.

Large files have a SHA-256 (as Git LFS does), small ones the name of their Git object. It fails as
it is told to, with the statuses and headers by which the real one lets clients know why.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE_BYTES = 10_000
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Repo:
    """``files``: as they are listed. ``sent``: what comes instead, of files that are damaged."""

    files: dict[str, bytes]
    commit: str = COMMIT
    is_gated: bool = False
    sent: dict[str, bytes] = field(default_factory=dict)


@dataclass
class FakeHub:
    """``cuts``: after how many bytes each next answer with a file breaks off, oldest first."""

    repos: dict[str, Repo] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)  # statuses of the next answers with a file
    stalls: list[int] = field(default_factory=list)  # as cuts, but the line stays open: it waits
    is_over: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)  # "path first-byte" of every file asked for
    token: str = ""  # without which nobody gets a gated file
    address: str = ""


def git_name(content: bytes) -> str:
    """Of a file in a Git repository."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """The hub answers at ``hub.address``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _listed(name: str, content: bytes) -> dict[str, object]:
    listed: dict[str, object] = {
        "rfilename": name, "size": len(content), "blobId": git_name(content),
    }  # fmt: skip
    if len(content) >= LARGE_BYTES:
        sha256 = hashlib.sha256(content).hexdigest()
        listed["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
    return listed


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = unquote(urlsplit(self.path).path).strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                self._tell("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
            elif parts[2:3] == ["resolve"]:
                self._send("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
            else:  # the library asks for more than models
                self._refuse(404, "")

        def _tell(self, name: str, revision: str) -> None:
            repo = hub.repos.get(name)
            if repo is None:
                self._refuse(404, "RepoNotFound")
            elif revision not in ("main", repo.commit):
                self._refuse(404, "RevisionNotFound")
            else:
                siblings = [_listed(*item) for item in repo.files.items()]
                told = {"id": name, "sha": repo.commit, "siblings": siblings}
                self._answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

        def _send(self, name: str, revision: str, file: str) -> None:
            repo = hub.repos[name]
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            hub.asked.append(f"{file} {start}")
            if repo.is_gated and self.headers.get("Authorization") != f"Bearer {hub.token}":
                self._refuse(403, "GatedRepo")
            elif hub.refusals:
                self._refuse(hub.refusals.pop(0), "")
            elif revision not in ("main", repo.commit):
                self._refuse(404, "RevisionNotFound")
            else:
                content = {**repo.files, **repo.sent}[file][start:]
                self._answer(206 if start else 200, content, {}, is_file=True)

        def _refuse(self, status: int, code: str) -> None:
            self._answer(status, b"", {"X-Error-Code": code} if code else {})

        def _answer(
            self, status: int, body: bytes, headers: dict[str, str], is_file: bool = False
        ) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if is_file and hub.stalls and (n := hub.stalls.pop(0)) < len(body):
                self.wfile.write(body[:n])
                hub.is_over.wait()
                self.close_connection = True
            elif is_file and hub.cuts and (n := hub.cuts.pop(0)) < len(body):
                self.wfile.write(body[:n])
                self.close_connection = True  # in the middle of what was announced
            else:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
