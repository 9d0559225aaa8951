"""A disk that is really full: a file system of half a megabyte, where one may be mounted."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.media import read_mp4
from tests.unit.test_web_turns import ask, problem
from tests.web_fakes import in_file, make_world, murmur


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


async def test_a_turn_on_a_full_disk_is_refused_and_one_with_room_is_not(small_disk: Path) -> None:
    world = make_world(small_disk)
    fill(small_disk)

    refused = await ask(world, text="hello", language="en")
    (small_disk / "filler").unlink()
    answered = await ask(world, text="hello", language="en")

    assert problem(refused) == (507, "disk_full")
    assert answered.status_code == 200
    assert world.media() == [f"{answered.headers['x-turn-id']}.mp4"]
    world.store.close()


async def test_a_turn_that_cannot_be_entered_is_still_answered(small_disk: Path) -> None:
    world = make_world(small_disk)
    keep = world.store.keep

    def keep_on_a_full_disk(*args: object, **kwargs: object) -> bool:
        fill(small_disk)
        return keep(*args, **kwargs)  # type: ignore[arg-type]

    world.store.keep = keep_on_a_full_disk  # type: ignore[method-assign]
    answer = await ask(world, text="hello " * 300, language="en")

    assert len(read_mp4(answer.content).frame_times_s) == 28
    assert world.media() == []
    world.store.close()


async def test_a_voice_for_which_there_is_no_room_is_not_kept(small_disk: Path) -> None:
    world = make_world(small_disk)
    world.switches.voice_format = "tone-1"
    async with world.client() as client:
        sample = ("a", in_file(murmur(), "ogg"))  # kept as 768 kB
        form = {"name": "Ana", "consent": "true"}
        answer = await client.post("/api/v1/voices", files={"audio": sample}, data=form)

    assert problem(answer) == (507, "disk_full")
    assert list((small_disk / "voices").iterdir()) == []
    world.store.close()
