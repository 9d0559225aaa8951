"""What people add is there whole or not at all, whichever process wrote it or was killed."""

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from web.library import Consent, Item, Library
from web.problems import RefusedError, is_disk_full

CONSENT = Consent("key 0123456789ab", 1_000_000.0, "I agree, and so does “she”.")
NOW_S = 1_000_001.5


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path, clock=lambda: NOW_S)


def add(library: Library, name: str = "Ana", **files: bytes) -> Item:
    facts = {"duration_s": 8.5}
    return library.add("voice", name, CONSENT, facts=facts, files=files or {"sample": b"sound"})


def paths(tmp_path: Path) -> list[str]:
    return sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())


def test_what_was_added_is_found_with_its_consent_and_its_files(library: Library) -> None:
    item = add(library, "小雨", sample=b"sound", state=b"voice")

    assert item == Item(item.id, "小雨", NOW_S, CONSENT, {"duration_s": 8.5})
    assert library.find("voice", item.id) == item
    assert library.read("voice", item.id, "sample") == b"sound"
    assert library.read("voice", item.id, "state") == b"voice"
    assert library.read("voice", item.id, "other") is None


def test_it_survives_a_restart_and_other_processes_see_it(library: Library, tmp_path: Path) -> None:
    item = add(library)
    other = Library(tmp_path)

    assert other.items("voice") == (item,)
    assert other.items("avatar") == ()
    assert other.find("avatar", item.id) is None


def test_the_oldest_come_first(tmp_path: Path) -> None:
    times = iter([3.0, 1.0, 2.0])
    library = Library(tmp_path, clock=lambda: next(times))
    for name in ("last", "first", "middle"):
        add(library, name)

    assert [item.name for item in library.items("voice")] == ["first", "middle", "last"]


def test_others_on_the_machine_cannot_read_it(library: Library, tmp_path: Path) -> None:
    item = add(library)
    folder = tmp_path / "voices" / item.id

    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_deleting_erases_all_of_it(library: Library, tmp_path: Path) -> None:
    item, kept = add(library), add(library)

    assert library.delete("voice", item.id)

    assert not library.delete("voice", item.id)
    assert library.find("voice", item.id) is None
    assert library.read("voice", item.id, "sample") is None
    assert library.items("voice") == (kept,)
    assert all(item.id not in path for path in paths(tmp_path))


@pytest.mark.parametrize("item_id", ["", ".", "..", "../voices", "a/b/c/d/e", "nobody", "n" * 22])
def test_what_is_no_item_is_neither_found_nor_deleted(library: Library, item_id: str) -> None:
    add(library)

    assert library.find("voice", item_id) is None
    assert not library.delete("voice", item_id)
    assert not library.put("voice", item_id, "state", b"")
    assert len(library.items("voice")) == 1


def test_a_file_can_be_added_and_replaced_later(library: Library, tmp_path: Path) -> None:
    item = add(library)

    assert library.put("voice", item.id, "state", b"first")
    assert library.put("voice", item.id, "state", b"second")

    assert library.read("voice", item.id, "state") == b"second"
    assert [Path(path).name for path in paths(tmp_path)] == ["item.json", "sample", "state"]


def test_nothing_is_added_to_what_was_deleted(library: Library, tmp_path: Path) -> None:
    item = add(library)
    library.delete("voice", item.id)

    assert not library.put("voice", item.id, "state", b"late")
    assert paths(tmp_path) == []


@pytest.mark.parametrize("card", [b"", b"[]", b'{"id": "a"}', b"\xff", b'{"consent": {}}'])
def test_one_damaged_item_does_not_hide_the_others(
    library: Library, tmp_path: Path, card: bytes
) -> None:
    damaged, whole = add(library), add(library)
    (tmp_path / "voices" / damaged.id / "item.json").write_bytes(card)

    assert library.items("voice") == (whole,)
    assert library.delete("voice", damaged.id)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No write reaches the disk any more."""

    def fsync(fd: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.usefixtures("full_disk")
def test_what_does_not_fit_is_not_there_at_all(library: Library, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no space") as caught:
        add(library)

    assert is_disk_full(caught.value)
    assert library.items("voice") == ()
    assert list((tmp_path / "voices").iterdir()) == []


def test_a_file_that_does_not_fit_leaves_the_former_one(
    library: Library, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    item = add(library, state=b"first")
    request.getfixturevalue("full_disk")

    with pytest.raises(OSError, match="no space"):
        library.put("voice", item.id, "state", b"second")

    assert library.read("voice", item.id, "state") == b"first"
    assert [Path(path).name for path in paths(tmp_path)] == ["item.json", "state"]


def test_with_too_little_room_left_nothing_is_added(tmp_path: Path) -> None:
    item = add(Library(tmp_path))
    library = Library(tmp_path, min_free_bytes=2**62)

    for attempt in (lambda: add(library), lambda: library.put("voice", item.id, "state", b"")):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert caught.value.code == "disk_full"
    assert library.items("voice") == (item,)


def left_behind(tmp_path: Path, item: Item, age_s: float) -> list[Path]:
    """What processes leave that are killed while they add, replace and delete."""
    voices = tmp_path / "voices"
    folder = voices / ".unfinished-abcdefgh"
    folder.mkdir()
    (folder / "sample").write_bytes(b"sound")
    file = voices / item.id / ".unfinished-abcdefgh"
    file.write_bytes(b"half")
    for path in (folder, file):
        at_s = path.stat().st_mtime - age_s
        os.utime(path, (at_s, at_s))
    return [folder, file]


def test_what_killed_processes_left_is_erased_and_what_is_being_written_is_not(
    library: Library, tmp_path: Path
) -> None:
    item = add(library)
    fresh = left_behind(tmp_path, item, 0.0)
    library.sweep()
    assert all(path.exists() for path in fresh)
    assert library.items("voice") == (item,)  # whatever lies beside it

    for path in fresh:
        os.utime(path, (0, 0))
    library.sweep()

    assert not any(path.exists() for path in fresh)
    assert library.read("voice", item.id, "sample") == b"sound"


def test_many_threads_may_add_and_delete_at_once(library: Library, tmp_path: Path) -> None:
    seen: list[Any] = []

    def work() -> None:
        item = add(library)
        seen.append(library.find("voice", item.id) == item)
        library.items("voice")
        seen.append(library.delete("voice", item.id))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [True] * 16
    assert paths(tmp_path) == []
