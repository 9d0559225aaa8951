"""What a replica keeps prepared: little, not for long, and each made once."""

import asyncio

import numpy as np
import pytest

from deployments.avatar.shelf import Shelf
from deployments.errors import UnknownPortraitError, UnusableInputError
from deployments.types import PortraitSource
from tests.virtual_time import run


def source(name: str) -> PortraitSource:
    return PortraitSource(name, name, np.zeros((2, 2, 3), np.uint8), None, builtin=False)


class Painter:
    """Prepares in a second, and keeps count."""

    def __init__(self, fails: int = 0) -> None:
        self.made: list[str] = []
        self._fails = fails

    async def prepare(self, wanted: PortraitSource) -> str:
        await asyncio.sleep(1.0)
        self.made.append(wanted.id)
        if len(self.made) <= self._fails:
            raise UnusableInputError("not this one", code="no_face")
        return f"portrait of {wanted.id}"


def shelf(painter: Painter, n_added: int = 2) -> Shelf[str]:
    return Shelf({"mira": "Mira"}, painter.prepare, n_added=n_added, keep_s=600.0)


def test_what_is_built_in_is_always_there() -> None:
    async def drive() -> str:
        return await shelf(Painter()).get("mira")

    assert run(drive()) == "Mira"


def test_another_is_unknown_until_its_picture_comes_and_then_known_without() -> None:
    async def drive() -> list[str]:
        painter = Painter()
        kept = shelf(painter)
        with pytest.raises(UnknownPortraitError):
            await kept.get("ana")
        return [await kept.get("ana", source("ana")), await kept.get("ana"), *painter.made]

    assert run(drive()) == ["portrait of ana", "portrait of ana", "ana"]


def test_many_who_ask_at_once_have_it_made_once_even_if_the_first_leaves() -> None:
    async def drive() -> tuple[list[str], list[str]]:
        painter = Painter()
        kept = shelf(painter)
        first = asyncio.create_task(kept.get("ana", source("ana")))
        await asyncio.sleep(0.1)
        others = [asyncio.create_task(kept.get("ana", source("ana"))) for _ in range(3)]
        others.append(asyncio.create_task(kept.get("ana")))
        await asyncio.sleep(0.1)
        first.cancel()
        return list(await asyncio.gather(*others)), painter.made

    assert run(drive()) == (["portrait of ana"] * 4, ["ana"])


def test_one_that_cannot_be_prepared_fails_for_all_who_wait_and_can_be_tried_again() -> None:
    async def drive() -> tuple[list[type[BaseException]], str]:
        kept = shelf(Painter(fails=1))
        asked = [kept.get("ana", source("ana")) for _ in range(2)]
        failed = await asyncio.gather(*asked, return_exceptions=True)
        kinds = [type(one) for one in failed if isinstance(one, BaseException)]
        return kinds, await kept.get("ana", source("ana"))

    assert run(drive()) == ([UnusableInputError] * 2, "portrait of ana")


def test_those_last_asked_for_are_kept() -> None:
    async def drive() -> list[str]:
        kept = shelf(Painter(), n_added=2)
        for name in ("ana", "ben"):
            await kept.get(name, source(name))
        await kept.get("ana")
        await kept.get("cleo", source("cleo"))
        with pytest.raises(UnknownPortraitError):
            await kept.get("ben")
        return [await kept.get("ana"), await kept.get("cleo"), await kept.get("mira")]

    assert run(drive()) == ["portrait of ana", "portrait of cleo", "Mira"]


def test_two_that_are_ready_together_are_both_given_though_one_is_kept() -> None:
    async def drive() -> list[str]:
        kept = shelf(Painter(), n_added=1)
        return list(await asyncio.gather(*(kept.get(n, source(n)) for n in ("ana", "ben"))))

    assert run(drive()) == ["portrait of ana", "portrait of ben"]


def test_what_nobody_asked_for_in_ten_minutes_is_dropped() -> None:
    async def drive() -> None:
        kept = shelf(Painter())
        await kept.get("ana", source("ana"))
        await asyncio.sleep(599.0)
        await kept.get("ana")
        await asyncio.sleep(599.0)
        await kept.get("ana")
        await asyncio.sleep(601.0)
        with pytest.raises(UnknownPortraitError):
            await kept.get("ana")

    run(drive())
