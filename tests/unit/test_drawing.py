"""The drawing loop: sessions share one engine, and each gets its own packets, errors and end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from io import BytesIO
from typing import Any, NoReturn, TypeVar

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.avatar import render
from deployments.avatar.deployment import Avatar, DrawingLoop
from deployments.avatar.encode import StretchEncoder
from deployments.avatar.engine import DrawRequest, MoveRequest
from deployments.avatar.fake import FakeAvatar, FakePortrait
from deployments.avatar.render import stretch_packets
from deployments.config import AvatarConfig, EncoderConfig
from deployments.errors import (
    AvatarError,
    EngineInputError,
    EngineLoadError,
    EngineRuntimeError,
    UnknownPortraitError,
    UnusableInputError,
)
from deployments.streams import EngineThread
from deployments.types import AudioChunk, Frame, Motion, PortraitSource, Stretch, VideoPackets

T = TypeVar("T")

RATE = 16_000
ENCODER = EncoderConfig()  # five frames a packet
FACE = FakePortrait("face", hue=0)


class GatedAvatar(FakeAvatar):
    """Notes what each call of ``draw`` is asked for, and draws while its gate is open."""

    def __init__(self, settings: FakeAvatar.Settings) -> None:
        super().__init__(settings)
        self.gate, self.reached = threading.Event(), threading.Event()
        self.gate.set()
        self.batches: list[list[str]] = []
        self.needed_in_s: list[float] = []

    def draw(self, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
        self.batches.append([request.portrait.id for request in requests])
        self.needed_in_s += [request.needed_in_s for request in requests]
        self.reached.set()
        self.gate.wait(10)
        return super().draw(requests)

    @property
    def n_drawn(self) -> int:
        return sum(len(batch) for batch in self.batches)


class JoiningAvatar(GatedAvatar):
    """Notes which stretches it is asked to move at once; cannot move the one called ``bad``."""

    def __init__(self, settings: FakeAvatar.Settings) -> None:
        super().__init__(settings)
        self.moved: list[list[str]] = []

    def move_together(
        self, requests: Sequence[MoveRequest[FakePortrait]]
    ) -> list[tuple[Motion, bytes] | AvatarError]:
        self.moved.append([request.portrait.id for request in requests])
        return [self._moved(request) for request in requests]

    def _moved(self, request: MoveRequest[FakePortrait]) -> tuple[Motion, bytes] | AvatarError:
        if request.portrait.id == "bad":
            return EngineInputError("cannot be moved", stage="avatar")
        return self.move(request.portrait, request.stretch)


def engine(**options: Any) -> GatedAvatar:
    return GatedAvatar(FakeAvatar.Settings(**options))


def loop_of(gated: FakeAvatar) -> DrawingLoop[FakePortrait]:
    return DrawingLoop(gated, ENCODER, EngineThread("avatar"))


def stretch(n_frames: int, needed_in_s: float = 0.0, **facts: Any) -> Stretch:
    t = np.arange(4 * RATE) / RATE
    sound = np.sin(2 * np.pi * 150 * t) * np.abs(np.sin(2 * np.pi * 2 * t))
    audio = AudioChunk(sound.astype(np.float32), RATE)
    return Stretch("mira", audio, (), 0, n_frames, needed_in_s=needed_in_s, **facts)


async def all_of(stream: AsyncIterator[VideoPackets]) -> list[VideoPackets]:
    return [packets async for packets in stream]


def units(packets: Iterable[VideoPackets]) -> list[bytes]:
    return [unit for part in packets for unit in part.units]


def frames(packets: Sequence[VideoPackets]) -> list[NDArray[np.int16]]:
    """Decoded grey levels, as far as the fake's flat colour: (height, width) each."""
    stream = packets[0].codec_config + b"".join(units(packets))
    with av.open(BytesIO(stream), "r", format="h264") as container:
        return [f.to_ndarray(format="gray").astype(np.int16) for f in container.decode(video=0)]


def distance(a: NDArray[np.int16], b: NDArray[np.int16]) -> float:
    return float(np.abs(a - b).mean())


async def begun(gated: GatedAvatar) -> None:
    """Until a batch is being drawn."""
    assert await asyncio.to_thread(gated.reached.wait, 10)


def told(packets: VideoPackets) -> tuple[object, ...]:
    """All of it but the effort, which is never the same twice."""
    return (
        packets.units,
        packets.first_frame,
        packets.fps,
        packets.starts_with_keyframe,
        packets.motion_state,
        packets.codec_config,
        packets.turn_no,
    )


async def test_sessions_that_share_the_loop_get_what_each_would_get_alone() -> None:
    loop, faces = loop_of(engine(batch=3)), [FakePortrait(f"face {hue}", hue) for hue in range(3)]
    asked = [stretch(n, n_rest_frames=4, turn_no=n) for n in (25, 7, 12)]
    streams = [loop.render(face, one) for face, one in zip(faces, asked, strict=True)]
    got = await asyncio.gather(*(all_of(stream) for stream in streams))
    assert [[part.n_frames for part in packets] for packets in got] == [[5] * 5, [5, 2], [5, 5, 2]]
    for face, one, packets in zip(faces, asked, got, strict=True):
        alone = stretch_packets(engine(), face, one, ENCODER)
        assert [told(part) for part in packets] == [told(part) for part in alone]


async def test_one_call_of_the_engine_draws_for_several_sessions() -> None:
    gated = engine(batch=8)
    loop = loop_of(gated)
    await asyncio.gather(*(all_of(loop.render(FakePortrait(n, 0), stretch(4))) for n in "abc"))
    assert gated.batches == [list("aaaabbbb"), list("cccc")]


async def test_stretches_that_begin_in_one_batch_are_moved_together() -> None:
    joining = JoiningAvatar(FakeAvatar.Settings(batch=8))
    loop, faces = loop_of(joining), [FakePortrait(name, 0) for name in "abc"]
    got = await asyncio.gather(*(all_of(loop.render(face, stretch(4))) for face in faces))
    assert joining.moved == [["a", "b"]]  # the third is the only new one in its batch
    for face, packets in zip(faces, got, strict=True):
        alone = stretch_packets(engine(), face, stretch(4), ENCODER)
        assert [told(part) for part in packets] == [told(part) for part in alone]


async def test_of_stretches_moved_together_only_the_one_that_cannot_be_ends() -> None:
    loop = loop_of(JoiningAvatar(FakeAvatar.Settings(batch=8)))
    faces = [FakePortrait(name, 0) for name in ("bad", "good")]
    bad, good = await asyncio.gather(
        *(all_of(loop.render(face, stretch(4))) for face in faces), return_exceptions=True
    )
    assert isinstance(bad, EngineInputError)
    assert str(bad) == "cannot be moved"
    assert isinstance(good, list)
    assert sum(part.n_frames for part in good) == 4


async def test_an_accident_while_moving_together_ends_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joining = JoiningAvatar(FakeAvatar.Settings(batch=8))

    def fails(requests: Sequence[MoveRequest[FakePortrait]]) -> NoReturn:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(joining, "move_together", fails)
    loop, faces = loop_of(joining), [FakePortrait(name, 0) for name in "ab"]
    got = await asyncio.gather(*(all_of(loop.render(face, stretch(4))) for face in faces))
    assert [sum(part.n_frames for part in packets) for packets in got] == [4, 4]


async def test_a_new_turn_is_drawn_after_two_batches_at_most_and_before_who_is_ahead() -> None:
    gated = engine(batch=2)
    loop, order = loop_of(gated), list[str]()

    async def read(name: str, asked: Stretch) -> None:
        async for _ in loop.render(FakePortrait(name, 0), asked):
            order.append(name)

    gated.gate.clear()
    ahead = asyncio.create_task(read("a", stretch(10, needed_in_s=3.0)))
    await begun(gated)
    new = asyncio.create_task(read("b", stretch(5)))
    await asyncio.sleep(0)
    gated.gate.set()
    await asyncio.gather(ahead, new)
    assert "".join(name for batch in gated.batches for name in batch) == "aaaabbbbbaaaaaa"
    assert order == ["b", "a", "a"]


async def test_the_engine_is_told_how_soon_each_frame_is_needed() -> None:
    gated = engine(batch=2)
    await all_of(loop_of(gated).render(FACE, stretch(7, needed_in_s=60.0)))
    assert gated.needed_in_s == pytest.approx([60.0] * 5 + [60.2] * 2, abs=5.0)
    assert gated.needed_in_s[5] > 60.0


async def test_a_reader_who_leaves_midway_frees_the_engine_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed_on: list[str] = []

    class Watched(StretchEncoder):
        def close(self) -> None:
            closed_on.append(threading.current_thread().name)
            super().close()

    monkeypatch.setattr(render, "StretchEncoder", Watched)
    gated, thread = engine(batch=5), EngineThread("avatar")
    loop = DrawingLoop(gated, ENCODER, thread)
    overdue = stretch(200, needed_in_s=-60.0)  # more urgent than all that follows
    async with aclosing(loop.render(FakePortrait("left", 0), overdue)) as packets:
        await anext(packets)
    n_begun = len(gated.batches) + 1  # the batch in progress is finished
    await all_of(loop.render(FakePortrait("stays", 0), stretch(10)))
    await thread.run(int)  # what was left to the thread is done
    assert sum("left" in batch for batch in gated.batches) <= n_begun
    assert [name.partition("_")[0] for name in closed_on] == ["avatar", "avatar"]


async def test_a_reader_may_leave_while_its_batch_is_drawn() -> None:
    gated = engine(batch=8)
    loop = loop_of(gated)
    gated.gate.clear()
    left = asyncio.create_task(all_of(loop.render(FakePortrait("left", 0), stretch(25))))
    stays = asyncio.create_task(all_of(loop.render(FakePortrait("stays", 0), stretch(25))))
    await begun(gated)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    gated.gate.set()
    assert [part.first_frame for part in await stays] == [0, 5, 10, 15, 20]
    # Of the batch that waited at the thread, only what is still wanted was drawn.
    assert ["left" in batch for batch in gated.batches] == [True] + [False] * 4


async def test_a_batch_that_fails_when_its_reader_has_left_hurts_nobody() -> None:
    gated = engine(batch=5, fail_on_call=1)
    loop = loop_of(gated)
    gated.gate.clear()
    left = asyncio.create_task(all_of(loop.render(FACE, stretch(5))))
    stays = asyncio.create_task(all_of(loop.render(FACE, stretch(5))))
    await begun(gated)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    gated.gate.set()
    assert len(await stays) == 1


class Picky(GatedAvatar):
    """Refuses frames of the face that is called "wrong", as an engine that checks its input."""

    def draw(self, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
        drawn = super().draw(requests)
        if any(request.portrait.id == "wrong" for request in requests):
            raise EngineInputError("a frame of nothing", stage="avatar")
        return drawn


async def test_an_error_while_drawing_ends_only_the_stretch_that_it_is_about() -> None:
    picky = Picky(FakeAvatar.Settings(batch=8))
    loop, names = loop_of(picky), ["right", "wrong"]
    streams = [loop.render(FakePortrait(name, 0), stretch(7)) for name in names]
    got = await asyncio.gather(*(all_of(s) for s in streams), return_exceptions=True)
    alone = stretch_packets(engine(), FakePortrait("right", 0), stretch(7), ENCODER)
    assert isinstance(got[0], list)
    assert [told(part) for part in got[0]] == [told(part) for part in alone]
    assert (type(got[1]), str(got[1])) == (EngineInputError, "a frame of nothing")
    together = ["right"] * 5 + ["wrong"] * 3
    assert picky.batches == [together, ["right"] * 5, ["wrong"] * 3, ["right"] * 2]


async def test_an_error_of_a_batch_that_does_not_come_again_ends_nobody() -> None:
    loop = loop_of(engine(batch=8, fail_on_call=1))
    streams = [loop.render(FakePortrait(name, 0), stretch(4)) for name in "ab"]
    got = await asyncio.gather(*(all_of(s) for s in streams))
    assert [[part.n_frames for part in packets] for packets in got] == [[4], [4]]


async def test_an_engine_that_always_fails_ends_each_stretch_with_an_error_of_its_own() -> None:
    class Broken(FakeAvatar):
        def draw(self, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
            raise ValueError("no memory")

    loop = loop_of(Broken(FakeAvatar.Settings(batch=8)))
    streams = [loop.render(FakePortrait(name, 0), stretch(4)) for name in "ab"]
    got = await asyncio.gather(*(all_of(s) for s in streams), return_exceptions=True)
    text = "the avatar engine failed: ValueError: no memory"
    assert [(type(error), str(error)) for error in got] == [(EngineRuntimeError, text)] * 2
    assert got[0] is not got[1]


async def test_a_stretch_drawn_alone_is_not_drawn_again_after_an_error() -> None:
    loop = loop_of(engine(batch=8, fail_on_call=1))
    with pytest.raises(EngineRuntimeError, match="this fake was told to fail") as raised:
        await all_of(loop.render(FACE, stretch(4)))
    assert raised.value.retryable
    assert len(await all_of(loop.render(FACE, stretch(10)))) == 2


async def test_a_batch_of_too_few_frames_is_drawn_again_and_nothing_shown_twice() -> None:
    class Short(GatedAvatar):
        def draw(self, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
            drawn = super().draw(requests)
            return drawn[:-1] if len(self.batches) == 1 else drawn

    loop = loop_of(Short(FakeAvatar.Settings(batch=8)))
    streams = [loop.render(FakePortrait(name, 0), stretch(4)) for name in "ab"]
    got = await asyncio.gather(*(all_of(s) for s in streams))
    assert [[part.n_frames for part in packets] for packets in got] == [[4], [4]]


class Torn(EngineThread):
    """Loses its second step and no other."""

    n_steps = 0

    async def run(self, call: Callable[..., T], *args: Any) -> T:
        self.n_steps += 1
        if self.n_steps == 2:
            raise OSError("no thread")
        return await super().run(call, *args)


async def test_a_mistake_of_the_loop_ends_all_stretches_and_the_next_one_is_drawn() -> None:
    loop = DrawingLoop(engine(batch=5), ENCODER, Torn("avatar"))
    asked = [stretch(5), stretch(10), stretch(5, needed_in_s=9.0)]
    async with asyncio.timeout(10):
        streams = [loop.render(FakePortrait(str(n), 0), one) for n, one in enumerate(asked)]
        got = await asyncio.gather(*(all_of(s) for s in streams), return_exceptions=True)
        assert isinstance(got[0], list)  # complete when it happened
        text = "drawing stopped: OSError: no thread"
        assert [(type(error), str(error)) for error in got[1:]] == [(EngineRuntimeError, text)] * 2
        assert got[1] is not got[2]
        assert len(await all_of(loop.render(FACE, stretch(10)))) == 2


@pytest.mark.parametrize("error", [ValueError("no memory"), StopIteration()])
async def test_whatever_a_library_raises_ends_the_stream_as_the_engines_failure(
    error: Exception,
) -> None:
    class Broken(FakeAvatar):
        def draw(self, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
            raise error

    with pytest.raises(EngineRuntimeError, match=f"avatar engine failed: {type(error).__name__}"):
        await all_of(loop_of(Broken(FakeAvatar.Settings())).render(FACE, stretch(3)))


async def test_too_few_frames_are_the_engines_failure() -> None:
    class Short(FakeAvatar):
        def draw(self, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
            return super().draw(requests)[1:]

    with pytest.raises(EngineRuntimeError, match="avatar engine failed"):
        await all_of(loop_of(Short(FakeAvatar.Settings())).render(FACE, stretch(3)))


async def test_what_cannot_be_moved_ends_alone() -> None:
    loop = loop_of(engine(batch=8))
    wrong, right = stretch(4, controls={"no_such": 1.0}), stretch(4)
    got = await asyncio.gather(
        all_of(loop.render(FACE, wrong)), all_of(loop.render(FACE, right)), return_exceptions=True
    )
    assert [type(result) for result in got] == [EngineInputError, list]


async def test_what_cannot_be_encoded_ends_alone() -> None:
    class Cut(FakeAvatar):
        def draw(self, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
            drawn = super().draw(requests)
            return [
                frame[2:] if request.portrait.id == "torn" else frame
                for request, frame in zip(requests, drawn, strict=True)
            ]

    loop = loop_of(Cut(FakeAvatar.Settings(batch=8)))
    streams = [loop.render(FakePortrait(name, 0), stretch(4)) for name in ("torn", "whole")]
    got = await asyncio.gather(*(all_of(s) for s in streams), return_exceptions=True)
    assert [type(result) for result in got] == [EngineInputError, list]


async def test_a_halved_frame_rate_has_all_frames_of_half_the_draws() -> None:
    gated = engine()
    whole = frames(await all_of(loop_of(engine()).render(FACE, stretch(24))))
    packets = await all_of(loop_of(gated).render(FACE, stretch(24, frame_step=2)))
    assert [part.first_frame for part in packets] == [0, 5, 10, 15, 20]
    assert [part.starts_with_keyframe for part in packets] == [True] + [False] * 4
    assert gated.n_drawn == 12
    halved = frames(packets)
    assert len(halved) == 24
    # Codec noise is below one grey level here; the fake's frames differ by its rising bar.
    assert max(distance(halved[i], halved[i + 1]) for i in range(0, 24, 2)) < 0.5
    assert max(distance(halved[i], whole[i]) for i in range(0, 24, 2)) < 1.5
    assert min(distance(halved[i + 1], whole[i + 1]) for i in range(0, 24, 2)) > 0.5


@pytest.mark.parametrize(("n_sent", "n_drawn"), [(5, 8), (10, 5)])  # 5, 6, 8, ... 18
async def test_a_repetition_at_a_halved_frame_rate_begins_with_a_drawn_keyframe(
    n_sent: int, n_drawn: int
) -> None:
    gated = engine()
    whole = frames(await all_of(loop_of(engine()).render(FACE, stretch(20))))
    asked = stretch(20, frame_step=2, n_frames_sent=n_sent)
    packets = await all_of(loop_of(gated).render(FACE, asked))
    got = frames(packets)
    assert gated.n_drawn == n_drawn
    assert [part.first_frame for part in packets] == list(range(n_sent, 20, 5))
    assert [part.starts_with_keyframe for part in packets] == [True] + [False] * (len(packets) - 1)
    assert len(got) == 20 - n_sent
    assert distance(got[0], whole[n_sent]) < 1.5


async def test_packets_may_hold_repetitions_only() -> None:
    gated = engine()
    packets = await all_of(loop_of(gated).render(FACE, stretch(23, frame_step=12)))
    assert [part.n_frames for part in packets] == [5, 5, 5, 5, 3]
    assert gated.n_drawn == 2


async def test_a_stretch_without_frames_has_no_packets() -> None:
    loop = loop_of(engine())
    assert await all_of(loop.render(FACE, stretch(0))) == []
    assert await all_of(loop.render(FACE, stretch(5, n_frames_sent=5))) == []


async def test_a_packet_says_what_it_took_and_how_much_was_drawn_for_it() -> None:
    loop = loop_of(engine(cost={"frames_per_s": {1: 83, 5: 250}}))
    whole, halved = await asyncio.gather(
        all_of(loop.render(FACE, stretch(10))), all_of(loop.render(FACE, stretch(10, frame_step=2)))
    )
    efforts = [part.effort for part in (*whole, *halved) if part.effort is not None]
    assert [effort.media_s for effort in efforts] == pytest.approx([0.2, 0.2, 0.12, 0.08])
    assert len({effort.replica for effort in efforts}) == 1
    # Three calls of five frames each, shared among them: 4 ms for each frame that was drawn.
    n_drawn = np.array([5, 5, 3, 2])
    assert (np.array([effort.busy_s for effort in efforts]) >= 0.004 * n_drawn).all()


async def test_two_replicas_go_by_different_names() -> None:
    first, second = (loop_of(engine()) for _ in range(2))
    parts = [(await all_of(loop.render(FACE, stretch(1))))[0] for loop in (first, second)]
    assert len({part.effort.replica for part in parts if part.effort}) == 2


async def test_an_engine_that_lost_its_card_makes_its_replica_unhealthy() -> None:
    class Lost(FakeAvatar):
        def draw(self, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
            raise EngineLoadError("lost its GPU", stage="avatar", retryable=True)

    thread = EngineThread("avatar")
    loop = DrawingLoop(Lost(FakeAvatar.Settings()), ENCODER, thread)
    thread.check(limit_s=60)
    with pytest.raises(EngineLoadError) as caught:
        await all_of(loop.render(FACE, stretch(5)))
    assert caught.value.retryable  # another replica has another card
    with pytest.raises(EngineLoadError, match="lost its GPU"):
        thread.check(limit_s=60)


async def test_a_hanging_engine_makes_its_replica_unhealthy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    avatar = Avatar(AvatarConfig(engine="fake", hang_timeout_s=1e-6))
    reached, gate, draw = threading.Event(), threading.Event(), FakeAvatar.draw

    def hang(self: FakeAvatar, requests: Sequence[DrawRequest[FakePortrait]]) -> list[Frame]:
        reached.set()
        gate.wait(10)
        return draw(self, requests)

    monkeypatch.setattr(FakeAvatar, "draw", hang)
    await avatar.check_health()
    reading = asyncio.create_task(all_of(avatar.render(stretch(5))))
    assert await asyncio.to_thread(reached.wait, 10)
    with pytest.raises(EngineRuntimeError, match="avatar engine has not come back"):
        await avatar.check_health()
    gate.set()
    assert len(await reading) == 1
    await avatar.still("mira")
    await avatar.check_health()


async def test_a_face_at_rest_is_drawn_while_others_speak() -> None:
    avatar = Avatar(AvatarConfig(engine="fake"))
    speaking, still = await asyncio.gather(all_of(avatar.render(stretch(25))), avatar.still("mira"))
    assert (len(speaking), still.shape) == (5, (96, 64, 3))


async def test_a_face_that_is_not_there_is_refused() -> None:
    avatar = Avatar(AvatarConfig(engine="fake"))
    with pytest.raises(UnknownPortraitError, match="no portrait 'nobody'"):
        await all_of(avatar.render(replace(stretch(5), avatar_id="nobody")))


ADDED = PortraitSource("ana", "Ana", np.full((4, 4, 3), 9, np.uint8), None, builtin=False)


async def test_a_picture_that_comes_with_a_stretch_is_drawn_and_remembered() -> None:
    avatar = Avatar(AvatarConfig(engine="fake"))
    asked = replace(stretch(5), avatar_id="ana")
    with pytest.raises(UnknownPortraitError):
        await all_of(avatar.render(asked))
    first = await all_of(avatar.render(replace(asked, source=ADDED)))
    again = await all_of(avatar.render(asked))
    assert [told(part) for part in first] == [told(part) for part in again]
    assert (await avatar.still("ana")).shape == (96, 64, 3)
    assert [card.id for card in await avatar.portraits()] == ["mira"]


async def test_while_a_picture_is_prepared_the_replica_answers_and_then_draws_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    avatar = Avatar(AvatarConfig(engine="fake"))
    reached, gate, prepare = threading.Event(), threading.Event(), FakeAvatar.prepare

    def slowly(self: FakeAvatar, source: PortraitSource) -> FakePortrait:
        reached.set()
        gate.wait(10)
        return prepare(self, source)

    monkeypatch.setattr(FakeAvatar, "prepare", slowly)
    added = asyncio.create_task(
        all_of(avatar.render(replace(stretch(5), avatar_id="ana", source=ADDED)))
    )
    assert await asyncio.to_thread(reached.wait, 10)
    other = asyncio.create_task(all_of(avatar.render(stretch(25))))
    await avatar.check_health()
    assert (await avatar.describe()).engine == "fake"
    with pytest.raises(UnknownPortraitError):
        await avatar.still("bob")
    gate.set()
    assert [len(await task) for task in (added, other)] == [1, 5]


async def test_a_picture_that_the_engine_refuses_is_refused_and_the_replica_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    avatar = Avatar(AvatarConfig(engine="fake"))

    def refuse(self: FakeAvatar, source: PortraitSource) -> FakePortrait:
        raise UnusableInputError("too small", code="too_small")

    monkeypatch.setattr(FakeAvatar, "prepare", refuse)
    with pytest.raises(UnusableInputError):
        await avatar.still("ana", ADDED)
    assert len(await all_of(avatar.render(stretch(5)))) == 1
