"""What is kept is found, what is erased is gone, whatever is killed in between."""

import errno
import fcntl
import os
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.types import Message
from web.problems import RefusedError, is_disk_full
from web.recordings import FileRecording
from web.sqlite_store import SqliteStore
from web.store import Session, Turn

HOUR_S = 3600.0


class Clock:
    """Unix time that a test sets."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> SqliteStore:
    return SqliteStore(tmp_path, retention_s=HOUR_S, clock=clock)


def a_turn(clock: Clock, turn_id: str = "turn-0001", session_id: str = "session-1") -> Turn:
    return Turn(
        turn_id=turn_id,
        session_id=session_id,
        created_at=clock(),
        user_text="Who are you?",
        response_text="A machine.",
        language="en",
        timings={"turn_ms": 12.5, "asr_ms": None, "ladder": []},
        engines={"asr": "fake"},
        has_video=True,
    )


def keep(store: SqliteStore, turn: Turn, *, is_new_session: bool = True) -> bool:
    recording = store.record(turn.turn_id)
    recording.write(b"first ")
    recording.write(b"second")
    return store.keep(turn, recording, is_new_session=is_new_session)


def files(data_dir: Path) -> list[str]:
    return sorted(path.name for path in (data_dir / "media").iterdir())


def everything(data_dir: Path) -> bytes:
    return b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())


def age(path: Path) -> None:
    """Make a file as old as one that a dead process left behind."""
    os.utime(path, (1.0, 1.0))


def test_a_kept_turn_is_found_by_its_id_in_its_session_and_with_its_video(
    store: SqliteStore, clock: Clock
) -> None:
    turn = a_turn(clock)

    assert keep(store, turn)

    assert store.turn("turn-0001") == turn
    assert store.session("session-1") == Session("session-1", clock(), (turn,))
    video = store.video("turn-0001")
    assert video is not None
    assert video.read_bytes() == b"first second"
    assert turn.messages() == (Message("user", "Who are you?"), Message("assistant", "A machine."))


def test_turns_of_a_session_are_in_the_order_of_their_time(
    store: SqliteStore, clock: Clock
) -> None:
    for number in (3, 1, 2):
        clock.time += 1
        keep(store, a_turn(clock, f"turn-000{number}"), is_new_session=number == 3)

    session = store.session("session-1")
    assert session is not None
    assert [turn.turn_id for turn in session.turns] == ["turn-0003", "turn-0001", "turn-0002"]


def test_what_is_unknown_is_not_found(store: SqliteStore) -> None:
    assert store.turn("turn-0001") is None
    assert store.session("session-1") is None
    assert store.video("turn-0001") is None
    assert not store.delete_session("session-1")


def test_an_aborted_recording_leaves_no_file(store: SqliteStore, tmp_path: Path) -> None:
    recording = store.record("turn-0001")
    recording.write(b"half of it")
    assert files(tmp_path) == ["turn-0001.part"]

    recording.abort()
    recording.abort()

    assert files(tmp_path) == []


def test_aborting_a_kept_recording_erases_nothing(store: SqliteStore, clock: Clock) -> None:
    recording = store.record("turn-0001")
    store.keep(a_turn(clock), recording, is_new_session=True)

    recording.abort()

    assert store.video("turn-0001") is not None


def test_a_deleted_session_takes_its_turns_and_media_with_it(
    store: SqliteStore, clock: Clock, tmp_path: Path
) -> None:
    keep(store, a_turn(clock))
    keep(store, a_turn(clock, "turn-0002", "session-2"))

    assert store.delete_session("session-1")

    assert store.session("session-1") is None
    assert store.turn("turn-0001") is None
    assert files(tmp_path) == ["turn-0002.mp4"]


def test_erased_words_are_in_no_file_any_more(
    store: SqliteStore, clock: Clock, tmp_path: Path
) -> None:
    keep(store, a_turn(clock))
    assert b"Who are you?" in everything(tmp_path)

    store.delete_session("session-1")

    assert b"Who are you?" not in everything(tmp_path)


def test_a_turn_of_a_session_that_was_deleted_meanwhile_is_not_kept(
    store: SqliteStore, clock: Clock, tmp_path: Path
) -> None:
    keep(store, a_turn(clock))
    recording = store.record("turn-0002")
    store.delete_session("session-1")

    assert not store.keep(a_turn(clock, "turn-0002"), recording, is_new_session=False)

    recording.abort()
    assert store.turn("turn-0002") is None
    assert files(tmp_path) == []


def test_an_expired_turn_is_not_found_even_before_it_is_erased(
    store: SqliteStore, clock: Clock, tmp_path: Path
) -> None:
    keep(store, a_turn(clock))
    clock.time += HOUR_S

    assert store.turn("turn-0001") is None
    assert store.session("session-1") is None
    assert store.video("turn-0001") is None
    assert files(tmp_path) == ["turn-0001.mp4"]

    store.sweep()

    assert files(tmp_path) == []


def test_a_session_outlives_its_older_turns(store: SqliteStore, clock: Clock) -> None:
    keep(store, a_turn(clock))
    clock.time += HOUR_S / 2
    younger = a_turn(clock, "turn-0002")
    keep(store, younger, is_new_session=False)
    clock.time += HOUR_S / 2

    store.sweep()

    session = store.session("session-1")
    assert session is not None
    assert session.turns == (younger,)


def test_starting_erases_what_expired_meanwhile(tmp_path: Path, clock: Clock) -> None:
    before = SqliteStore(tmp_path, retention_s=HOUR_S, clock=clock)
    keep(before, a_turn(clock))
    before.close()
    clock.time += HOUR_S

    SqliteStore(tmp_path, retention_s=HOUR_S, clock=clock)

    assert files(tmp_path) == []


def test_a_turn_outlives_the_process_that_kept_it(tmp_path: Path, clock: Clock) -> None:
    before = SqliteStore(tmp_path, retention_s=HOUR_S, clock=clock)
    keep(before, a_turn(clock))
    before.close()

    after = SqliteStore(tmp_path, retention_s=HOUR_S, clock=clock)

    assert after.turn("turn-0001") == a_turn(clock)


def test_a_turn_remembers_that_it_was_shortened(store: SqliteStore, clock: Clock) -> None:
    shortened = replace(a_turn(clock), is_shortened=True)

    keep(store, shortened)

    assert store.turn("turn-0001") == shortened
    session = store.session("session-1")
    assert session is not None
    assert session.turns == (shortened,)


FORMER_SCHEMA = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, created_at REAL NOT NULL, used_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE turns (
    id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    created_at REAL NOT NULL, user_text TEXT NOT NULL, response_text TEXT NOT NULL,
    language TEXT NOT NULL, timings TEXT NOT NULL, engines TEXT NOT NULL,
    has_video INTEGER NOT NULL
) WITHOUT ROWID;
"""
FORMER_INSERT = (
    "INSERT INTO turns (id, session_id, created_at, user_text, response_text, language, timings,"
    " engines, has_video) VALUES (?, 'session-1', ?, 'Who are you?', 'A machine.', 'en',"
    """ '{"turn_ms": 12.5, "asr_ms": null, "ladder": []}', '{"asr": "fake"}', 1)"""
)


def test_the_data_of_the_former_version_go_on(tmp_path: Path, clock: Clock) -> None:
    former = sqlite3.connect(tmp_path / "turns.sqlite", isolation_level=None)
    former.executescript(FORMER_SCHEMA)
    former.execute("INSERT INTO sessions VALUES ('session-1', ?, ?)", (clock(), clock()))
    former.execute(FORMER_INSERT, ("turn-0001", clock()))

    stores = [SqliteStore(tmp_path, retention_s=HOUR_S, clock=clock) for _ in range(2)]
    former.execute(FORMER_INSERT, ("turn-0002", clock()))  # a former replica that still drains
    former.close()
    keep(stores[0], replace(a_turn(clock, "turn-0003"), is_shortened=True), is_new_session=False)

    assert [stores[1].turn(f"turn-000{n}") for n in (1, 2, 3)] == [
        a_turn(clock),
        a_turn(clock, "turn-0002"),
        replace(a_turn(clock, "turn-0003"), is_shortened=True),
    ]


def test_leftovers_of_a_dead_process_are_erased(store: SqliteStore, tmp_path: Path) -> None:
    for name in ("dead.part", "orphan.mp4"):
        path = tmp_path / "media" / name
        path.write_bytes(b"left behind")
        age(path)

    store.sweep()

    assert files(tmp_path) == []


def test_a_recording_in_progress_is_left_alone_by_another_process(
    store: SqliteStore, tmp_path: Path, clock: Clock
) -> None:
    recording = store.record("turn-0001")
    age(tmp_path / "media" / "turn-0001.part")  # a long turn, or a slow reader

    SqliteStore(tmp_path, retention_s=HOUR_S, clock=clock)

    assert files(tmp_path) == ["turn-0001.part"]
    recording.write(b"it goes on")
    assert store.keep(a_turn(clock), recording, is_new_session=True)


def test_retention_of_zero_keeps_nothing(tmp_path: Path, clock: Clock) -> None:
    store = SqliteStore(tmp_path, retention_s=0.0, clock=clock)

    assert not keep(store, a_turn(clock))

    assert not store.keeps
    assert store.turn("turn-0001") is None
    assert store.session("session-1") is None
    assert files(tmp_path) == []


def test_retention_of_zero_erases_what_was_kept_before(tmp_path: Path, clock: Clock) -> None:
    before = SqliteStore(tmp_path, retention_s=HOUR_S, clock=clock)
    keep(before, a_turn(clock))
    before.close()

    SqliteStore(tmp_path, retention_s=0.0, clock=clock)

    assert files(tmp_path) == []


def test_too_little_room_is_refused_before_a_turn_starts(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, retention_s=HOUR_S, min_free_bytes=1 << 62)

    with pytest.raises(RefusedError) as caught:
        store.record("turn-0001")

    assert caught.value.code == "disk_full"


def test_a_disk_that_fills_up_erases_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = FileRecording(tmp_path / "turn.part", tmp_path / "turn.mp4")
    recording.write(b"fits")

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("web.recordings.os.write", full)
    with pytest.raises(OSError, match="No space") as caught:
        recording.write(b"does not")

    assert is_disk_full(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("web.recordings.os.write", lambda fd, data: write(fd, data[:3]))
    recording = FileRecording(tmp_path / "turn.part", tmp_path / "turn.mp4")

    recording.write(b"all of this")
    recording.publish()

    assert (tmp_path / "turn.mp4").read_bytes() == b"all of this"


def test_several_processes_may_start_and_write_at_once(tmp_path: Path, clock: Clock) -> None:
    faults: list[Exception] = []

    def one(number: int) -> None:
        try:
            store = SqliteStore(tmp_path, retention_s=HOUR_S, clock=clock)
            for n in range(5):
                keep(store, a_turn(clock, f"turn-{number}-{n}", f"session-{number}-{n}"))
            store.close()
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert len(files(tmp_path)) == 20


def test_nobody_else_may_read_what_is_kept(
    store: SqliteStore, clock: Clock, tmp_path: Path
) -> None:
    keep(store, a_turn(clock))

    modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")}
    assert {name for name, mode in modes.items() if mode} == set()


def test_a_recordings_lock_ends_with_it(tmp_path: Path) -> None:
    recording = FileRecording(tmp_path / "turn.part", tmp_path / "turn.mp4")
    recording.publish()

    fd = os.open(tmp_path / "turn.mp4", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
