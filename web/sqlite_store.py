"""The store on one disk: SQLite for words, files for video. Several processes may share it."""

import fcntl
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from web.problems import RefusedError
from web.recordings import FileRecording, NoRecording, erase_unless_locked
from web.store import Recording, Session, Turn

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, created_at REAL NOT NULL, used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at REAL NOT NULL, user_text TEXT NOT NULL, response_text TEXT NOT NULL,
    language TEXT NOT NULL, timings TEXT NOT NULL, engines TEXT NOT NULL,
    has_video INTEGER NOT NULL, is_shortened INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS turns_of_session ON turns (session_id, created_at);
CREATE INDEX IF NOT EXISTS turns_by_age ON turns (created_at);
"""
# What was erased is overwritten, not only unlinked; a crash of the machine may cost the last
# turns, which is worth not waiting for the disk.
_PRAGMAS = ("synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON", "busy_timeout=5000")
_COLUMNS = (
    "id, session_id, created_at, user_text, response_text, language, timings, engines, has_video,"
    " is_shortened"
)
_ORPHAN_AGE_S = 60.0  # a file so old without a row or a living writer belongs to nobody


class SqliteStore:
    """Fulfils ``web.store.Store``.

    A video is written under a temporary name and gets its own when its turn is kept, so a file
    with a final name is whole. Whatever happens in between, ``sweep`` finds the leftovers.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        retention_s: float,
        min_free_bytes: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keeps = retention_s > 0
        self._retention_s = retention_s
        self._min_free_bytes = min_free_bytes
        self._clock = clock
        self._media = data_dir / "media"
        self._media.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        with _exclusively(data_dir / "setup.lock"):  # several ingress replicas start at once
            self._db = _open_database(data_dir / "turns.sqlite")
        self.sweep()

    # Keeping

    def record(self, turn_id: str) -> Recording:
        if not self.keeps:
            return NoRecording()
        if shutil.disk_usage(self._media).free < self._min_free_bytes:
            raise RefusedError(
                "The server's disk is full; ask its operator to free some.", code="disk_full"
            )
        return FileRecording(self._media / f"{turn_id}.part", self._video(turn_id))

    def keep(self, turn: Turn, recording: Recording | None, *, is_new_session: bool) -> bool:
        if not self.keeps:
            return False
        file = recording if isinstance(recording, FileRecording) else None
        try:
            with self._transaction() as db:
                if not self._touch(db, turn, is_new_session):
                    return False
                db.execute(
                    f"INSERT INTO turns ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)",
                    (*_row(turn), file is not None, turn.is_shortened),
                )
                if file is not None:
                    file.publish()
        except Exception:
            if file is not None:
                file.whole.unlink(missing_ok=True)
            raise
        return True

    def _touch(self, db: sqlite3.Connection, turn: Turn, is_new: bool) -> bool:
        if is_new:
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?)",
                (turn.session_id, turn.created_at, turn.created_at),
            )
            return True
        found = db.execute(
            "UPDATE sessions SET used_at = ? WHERE id = ?", (turn.created_at, turn.session_id)
        )
        return found.rowcount == 1

    # Finding: what has expired is not found, even before the next sweep

    def session(self, session_id: str) -> Session | None:
        oldest = self._oldest()
        with self._lock:
            row = self._db.execute(
                "SELECT id, created_at FROM sessions WHERE id = ? AND used_at > ?",
                (session_id, oldest),
            ).fetchone()
            turns = self._db.execute(
                f"SELECT {_COLUMNS} FROM turns WHERE session_id = ? AND created_at > ?"
                " ORDER BY created_at",
                (session_id, oldest),
            ).fetchall()
        return None if row is None else Session(row[0], row[1], tuple(map(_turn, turns)))

    def turn(self, turn_id: str) -> Turn | None:
        with self._lock:
            row = self._db.execute(
                f"SELECT {_COLUMNS} FROM turns WHERE id = ? AND created_at > ?",
                (turn_id, self._oldest()),
            ).fetchone()
        return None if row is None else _turn(row)

    def video(self, turn_id: str) -> Path | None:
        turn = self.turn(turn_id)
        path = self._video(turn_id)
        return path if turn is not None and turn.has_video and path.is_file() else None

    # Erasing

    def delete_session(self, session_id: str) -> bool:
        with self._transaction() as db:
            ids = [
                row[0]
                for row in db.execute("SELECT id FROM turns WHERE session_id = ?", (session_id,))
            ]
            n_deleted = db.execute("DELETE FROM sessions WHERE id = ?", (session_id,)).rowcount
        self._erase_videos(ids)
        self._forget_log()
        return n_deleted == 1

    def sweep(self) -> None:
        oldest = self._oldest()
        with self._transaction() as db:
            expired = db.execute("SELECT id FROM turns WHERE created_at <= ?", (oldest,))
            ids = [row[0] for row in expired]
            n_gone = db.execute("DELETE FROM turns WHERE created_at <= ?", (oldest,)).rowcount
            n_gone += db.execute("DELETE FROM sessions WHERE used_at <= ?", (oldest,)).rowcount
        self._erase_videos(ids)
        self._erase_orphans()
        if n_gone:
            self._forget_log()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _erase_videos(self, turn_ids: list[str]) -> None:
        for turn_id in turn_ids:
            self._video(turn_id).unlink(missing_ok=True)

    def _erase_orphans(self) -> None:
        """Files of processes that died, recognised by age and by nobody's lock on them."""
        for path in self._media.iterdir():
            if time.time() - _modified_at(path) < _ORPHAN_AGE_S and self.keeps:
                continue
            if path.suffix == ".part":
                erase_unless_locked(path)
            elif not self._has_row(path.stem):
                path.unlink(missing_ok=True)

    def _has_row(self, turn_id: str) -> bool:
        with self._lock:
            found = self._db.execute("SELECT 1 FROM turns WHERE id = ?", (turn_id,)).fetchone()
        return found is not None

    def _forget_log(self) -> None:
        """Erased words are still in the write-ahead log until it is cut off."""
        with self._lock:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _video(self, turn_id: str) -> Path:
        return self._media / f"{turn_id}.mp4"

    def _oldest(self) -> float:
        return self._clock() - self._retention_s

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _open_database(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)
    db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    for pragma in (*_PRAGMAS, "journal_mode=WAL"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    db.executescript(_SCHEMA)
    _renew(db)
    return db


def _renew(db: sqlite3.Connection) -> None:
    """Give a database of the former schema what it lacks; a replica of the former version that is
    still draining writes to it as before."""
    if "is_shortened" not in {row[1] for row in db.execute("PRAGMA table_info(turns)")}:
        db.execute("ALTER TABLE turns ADD COLUMN is_shortened INTEGER NOT NULL DEFAULT 0")


@contextmanager
def _exclusively(lock_file: Path) -> Iterator[None]:
    fd = os.open(lock_file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _modified_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process was faster
        return float("inf")


def _row(turn: Turn) -> tuple[Any, ...]:
    return (
        turn.turn_id,
        turn.session_id,
        turn.created_at,
        turn.user_text,
        turn.response_text,
        turn.language,
        json.dumps(dict(turn.timings)),
        json.dumps(dict(turn.engines)),
    )


def _turn(row: tuple[Any, ...]) -> Turn:
    *facts, timings, engines, has_video, is_shortened = row
    turn_id, session_id, created_at, user_text, response_text, language = facts
    return Turn(
        turn_id=turn_id,
        session_id=session_id,
        created_at=created_at,
        user_text=user_text,
        response_text=response_text,
        language=language,
        timings=json.loads(timings),
        engines=json.loads(engines),
        has_video=bool(has_video),
        is_shortened=bool(is_shortened),
    )
