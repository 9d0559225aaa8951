"""A face that somebody added: replicas that lack it are sent its picture, and nobody notices."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deployments.config import StageConfig
from deployments.errors import StageError, UnknownPortraitError
from deployments.types import AudioChunk, Frame, PortraitSource, Stretch, VideoPackets
from graph.repeat import with_repeats
from graph.stages import AvatarStage, Stages
from graph.standin import StandIns
from tests.fakes import FakeAvatarStage, FakeStages, Fault, Record
from tests.graph.test_falling_behind import assert_whole, followed, levels
from tests.graph.test_turn import Outcome, ask
from tests.virtual_time import now, run

POLICY = StageConfig(
    engine="fake",
    first_output_timeout_s=2.0,
    stall_timeout_s=1.0,
    n_attempts=3,
    hedge_after_s=0.5,
)
PICTURE = PortraitSource("ana", "Ana", np.zeros((4, 4, 3), np.uint8), None, builtin=False)
SOUND = AudioChunk(np.zeros(16_000, np.float32), 16_000)
SECOND = Stretch("ana", SOUND, (), 0, 25)


class Forgetful(FakeAvatarStage):
    """Replicas of which only every other call reaches one that knows the added face."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        self.n_asked, self.sent = 0, Record()

    def _check(self, avatar_id: str, source: PortraitSource | None) -> None:
        self.n_asked += 1
        if source is None and avatar_id != "face0001" and self.n_asked % 2:
            raise UnknownPortraitError("never heard of", stage="avatar")

    async def still(self, avatar_id: str, source: PortraitSource | None = None) -> Frame:
        self._check(avatar_id, source)
        return await super().still(avatar_id, source)

    async def render(self, stretch: Stretch) -> AsyncGenerator[VideoPackets, None]:
        self._check(stretch.avatar_id, stretch.source)
        async with aclosing(super().render(stretch)) as packets:
            async for part in packets:
                yield part


async def find(avatar_id: str) -> PortraitSource | None:
    return PICTURE if avatar_id == "ana" else None


def with_portraits(stages: Stages) -> Stages:
    return with_repeats(stages, *[POLICY] * 4, find_portrait=find)


def sources(avatar: FakeAvatarStage) -> list[str | None]:
    """What came with each stretch that was drawn."""
    stretches = [asked for _, asked in avatar.record.calls if isinstance(asked, Stretch)]
    return [None if s.source is None else s.source.id for s in stretches]


async def drawn(avatar: AvatarStage, stretch: Stretch) -> list[VideoPackets]:
    async with aclosing(avatar.render(stretch)) as packets:
        return [part async for part in packets]


def test_a_replica_that_lacks_the_face_is_sent_its_picture_and_only_then() -> None:
    async def drive() -> tuple[list[int], list[str | None]]:
        avatar = Forgetful()
        stage = with_portraits(FakeStages(avatar=avatar).stages).avatar
        first, second = await drawn(stage, SECOND), await drawn(stage, SECOND)
        assert (await stage.still("ana")).shape == (48, 32, 3)
        return [sum(p.n_frames for p in parts) for parts in (first, second)], sources(avatar)

    assert run(drive()) == ([25, 25], ["ana", "ana"])


def test_a_face_that_was_deleted_is_unknown() -> None:
    async def drive() -> None:
        stage = with_portraits(FakeStages(avatar=Forgetful()).stages).avatar
        with pytest.raises(UnknownPortraitError):
            await drawn(stage, replace(SECOND, avatar_id="bob"))
        stage = with_portraits(FakeStages(avatar=Forgetful()).stages).avatar
        with pytest.raises(UnknownPortraitError):
            await stage.still("bob")

    run(drive())


def test_a_call_that_was_sent_the_picture_and_hangs_is_told_of_and_made_once_more() -> None:
    async def drive() -> tuple[int, float]:
        told: list[AsyncGenerator[Any, None]] = []

        def on_stall(stream: AsyncGenerator[Any, None]) -> bool:
            told.append(stream)
            return True

        avatar = Forgetful(fault=Fault("hung"), frame_s=0.0)
        stages = replace(FakeStages(avatar=avatar).stages, on_stall=on_stall)
        parts = await drawn(with_portraits(stages).avatar, SECOND)
        assert sum(p.n_frames for p in parts) == 25
        return len(told), now()

    n_told, at_s = run(drive())
    assert n_told == 2  # the call that said that it does not know the face, and the one that hung
    assert at_s == pytest.approx(0.5, abs=0.01)


def test_a_replica_lost_midway_costs_an_added_face_no_frame() -> None:
    async def drive() -> Outcome:
        avatar = Forgetful(fault=Fault("lost", (3,), after=1))
        stages = with_portraits(FakeStages(avatar=avatar).stages)
        request = replace(ask(look_ahead_s=20.0, received_at_s=now()), avatar_id="ana")
        return await followed(request, stages)

    outcome = run(drive())
    assert outcome.error is None
    assert_whole(outcome)


def test_the_ladder_holds_for_an_added_face() -> None:
    async def drive() -> Outcome:
        avatar = Forgetful()
        stages = with_portraits(FakeStages(avatar=avatar).stages)
        assert stages.stand_ins is not None
        await stages.stand_ins.prepare("ana")
        avatar.fault = Fault("hung", tuple(range(len(avatar.record.calls) + 2, 99)))
        request = replace(ask(look_ahead_s=20.0, received_at_s=now()), avatar_id="ana")
        return await followed(request, stages)

    outcome = run(drive())
    assert_whole(outcome)
    assert "idle_face" in levels(outcome)


# what stands in


def test_a_stand_in_is_drawn_once_for_all_who_ask_and_again_after_it_was_forgotten() -> None:
    async def drive() -> list[int]:
        avatar = FakeAvatarStage()
        stand_ins = StandIns(avatar)
        first = asyncio.create_task(stand_ins.prepare("ana"))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(stand_ins.prepare("ana"))
        await asyncio.sleep(0.01)
        first.cancel()
        await second
        await stand_ins.prepare("ana")
        counts = [len(avatar.record.calls)]
        assert stand_ins.of("ana") is not None
        stand_ins.forget("ana")
        stand_ins.forget("ana")
        assert stand_ins.of("ana") is None
        await stand_ins.prepare("ana")
        return [*counts, len(avatar.record.calls)]

    assert run(drive()) == [2, 4]


def test_a_stand_in_that_could_not_be_drawn_is_drawn_when_it_is_asked_for_again() -> None:
    async def drive() -> bool:
        stand_ins = StandIns(FakeAvatarStage(fault=Fault("broken")))
        with pytest.raises(StageError):
            await stand_ins.prepare("ana")
        assert stand_ins.of("ana") is None
        await stand_ins.prepare("ana")
        return stand_ins.of("ana") is not None

    assert run(drive())


def test_stand_ins_of_faces_that_are_no_more_are_forgotten_and_the_others_are_bounded() -> None:
    async def drive() -> tuple[list[bool], int]:
        stand_ins = StandIns(FakeAvatarStage(frame_s=0.0))
        for name in ("mira", "ana", "bob"):
            await stand_ins.prepare(name)
        stand_ins.keep_only({"mira", "bob", "somebody else"})
        left = [stand_ins.of(name) is not None for name in ("mira", "ana", "bob")]
        names = [f"face {i}" for i in range(64)]
        for name in names:
            await stand_ins.prepare("mira")  # in use all the time
            await stand_ins.prepare(name)
        assert stand_ins.of("mira") is not None
        return left, sum(stand_ins.of(name) is not None for name in names)

    assert run(drive()) == ([True, False, True], 63)
