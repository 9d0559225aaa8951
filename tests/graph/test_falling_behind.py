"""Turns whose drawing is late, lost or hung: the sound goes on and the video stays whole."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from benchmarks.fragments import Movie
from benchmarks.incoming import BoxReader
from deployments.config import StageConfig
from deployments.errors import StageError, StageTimeoutError
from deployments.types import Stretch
from graph.events import Progress, ReplyFinished, VideoFragment
from graph.repeat import with_repeats
from graph.turn import TurnRequest, converse
from tests.fakes import FPS, FakeAvatarStage, FakeLlmStage, FakeStages, Fault
from tests.graph.test_turn import LONG, Outcome, ask, n_frames_for
from tests.media import boxes, read_mp4
from tests.virtual_time import now, run

POLICY = StageConfig(engine="fake", first_output_timeout_s=2.0, stall_timeout_s=1.0, n_attempts=2)
LATE = POLICY.model_copy(update={"stall_timeout_s": 30.0})
HEDGED = POLICY.model_copy(update={"hedge_after_s": 0.5, "n_attempts": 3})
TEXT = LONG[:5]  # 11 s of speech


def shown(
    avatar: FakeAvatarStage,
    *,
    look_ahead_s: float | None = 20.0,
    policy: StageConfig = POLICY,
    is_prepared: bool = True,
    on_progress: list[Progress] | None = None,
) -> Outcome:
    """A turn of some 11 s beside an avatar stage that behaves badly once the turn has begun."""

    async def drive() -> Outcome:
        fault, avatar.fault = avatar.fault, None
        fakes = FakeStages(llm=FakeLlmStage(TEXT), avatar=avatar)
        stages = with_repeats(fakes.stages, POLICY, POLICY, POLICY, policy)
        if is_prepared and stages.stand_ins is not None:
            await stages.stand_ins.prepare("face0001")
        avatar.record.calls.clear()
        avatar.fault = fault
        request = ask(look_ahead_s=look_ahead_s, received_at_s=now())
        if on_progress is not None:
            request = replace(request, on_progress=on_progress.append)
        outcome = await followed(request, stages)
        assert fakes.n_open == 0, "a stage is still at work after the turn's end"
        return outcome

    return run(drive())


async def followed(request: TurnRequest, stages: object) -> Outcome:
    outcome = Outcome()
    async with aclosing(converse(request, stages, now)) as events:  # type: ignore[arg-type]
        try:
            async for event in events:
                outcome.events.append(event)
                outcome.at_s.append(now())
        except StageError as error:
            outcome.error = error
    return outcome


def lateness_s(outcome: Outcome) -> list[float]:
    """Of each fragment after the first: when it came, less when the viewer needed it."""
    fragments = [
        (at_s, event)
        for at_s, event in zip(outcome.at_s, outcome.events, strict=True)
        if isinstance(event, VideoFragment) and not event.is_last
    ]
    ((_, init), *media) = fragments
    movie = Movie(dict(BoxReader().push(init.data))["moov"])
    late_s = []
    for at_s, event in media:
        picture = movie.fragment(dict(BoxReader().push(event.data))["moof"]).picture
        assert picture is not None
        late_s.append(at_s - media[0][0] - picture.start_s)
    return late_s


def levels(outcome: Outcome) -> list[str]:
    return [step.level for step in outcome.finished.timings.ladder]


def assert_whole(outcome: Outcome) -> None:
    assert outcome.error is None
    video = read_mp4(outcome.video)
    assert video.frame_times_s == pytest.approx([i / FPS for i in range(len(video.frame_times_s))])
    assert len(video.frame_times_s) == video_frames(outcome)
    assert video.audio_end_s == pytest.approx(video.video_end_s, abs=0.001)
    assert boxes(outcome.video)[-1] == "mfra"


def video_frames(outcome: Outcome) -> int:
    audio_s = outcome.finished.timings.audio_s
    assert audio_s is not None
    return n_frames_for(audio_s)


def test_a_turn_that_keeps_time_is_shown_in_full() -> None:
    outcome = shown(FakeAvatarStage())
    assert_whole(outcome)
    assert outcome.finished.timings.ladder == ()


def test_drawing_a_bit_slower_than_life_is_halved_and_keeps_time() -> None:
    avatar = FakeAvatarStage(frame_s=0.085)  # one of its two streams: 23.5 frames a second in all
    outcome = shown(avatar)
    assert_whole(outcome)
    assert "half_rate" in levels(outcome)
    assert max(lateness_s(outcome)) <= 0.03
    steps = [s.frame_step for _, s in avatar.record.calls if isinstance(s, Stretch)]
    assert steps[0] == 1
    assert 2 in steps


def test_drawing_that_hangs_for_good_leaves_the_voice_with_a_still_picture() -> None:
    outcome = shown(FakeAvatarStage(fault=Fault("hung", tuple(range(3, 200)))))
    assert_whole(outcome)
    assert levels(outcome)[-1] == "voice_only"
    assert levels(outcome)[:-1].count("idle_face") == 1
    assert max(lateness_s(outcome)) <= 0.03
    assert outcome.finished.timings.ladder[-1].to_s == pytest.approx(video_frames(outcome) / FPS)


def test_an_avatar_stage_that_is_gone_leaves_the_voice_too() -> None:
    outcome = shown(FakeAvatarStage(fault=Fault("lost", tuple(range(3, 400)))))
    assert_whole(outcome)
    assert levels(outcome)[-1] == "voice_only"
    assert max(lateness_s(outcome)) <= 0.03


def test_the_face_comes_back_once_drawing_does() -> None:
    outcome = shown(FakeAvatarStage(fault=Fault("hung", (3, 4, 5))))
    assert_whole(outcome)
    assert levels(outcome)[0] == "idle_face"
    assert outcome.finished.timings.ladder[-1].to_s < 6.0
    assert max(lateness_s(outcome)) <= 0.03


def test_a_second_request_beside_a_hung_one_saves_a_viewer_who_is_far_enough_ahead() -> None:
    outcome = shown(FakeAvatarStage(fault=Fault("hung", (8,))), policy=HEDGED)
    assert_whole(outcome)
    assert outcome.finished.timings.ladder == ()
    assert max(lateness_s(outcome)) <= 0.0


def test_a_turn_whose_first_picture_never_comes_starts_with_the_idle_face() -> None:
    outcome = shown(FakeAvatarStage(fault=Fault("hung", tuple(range(400)))))
    assert_whole(outcome)
    assert outcome.first_at(VideoFragment) < 4.0
    assert outcome.finished.timings.ladder[0].from_s == 0.0


def test_what_is_our_own_fault_ends_the_turn_as_before() -> None:
    outcome = shown(FakeAvatarStage(fault=Fault("broken", (3,))))
    assert isinstance(outcome.error, StageError)
    assert not outcome.error.retryable


def test_who_waits_for_the_whole_is_told_when_drawing_failed_thrice() -> None:
    hung = Fault("hung", tuple(range(3, 400)))
    outcome = shown(FakeAvatarStage(fault=hung), look_ahead_s=None)
    assert isinstance(outcome.error, StageTimeoutError)


def test_who_waits_for_the_whole_gets_the_idle_face_where_a_stretch_was_lost_for_good() -> None:
    outcome = shown(FakeAvatarStage(fault=Fault("lost", (3, 4))), look_ahead_s=None)
    assert_whole(outcome)
    assert levels(outcome) == ["idle_face", "half_rate"]
    assert outcome.finished.timings.ladder[-1].to_s < 3.0  # the full rate comes back


def test_losses_with_good_drawing_in_between_never_add_up() -> None:
    avatar = FakeAvatarStage(fault=Fault("lost", (3, 4, 7, 8, 11, 12, 15, 16)))
    outcome = shown(avatar, look_ahead_s=None)
    assert_whole(outcome)
    assert levels(outcome).count("idle_face") == 4


def test_what_is_left_of_a_late_stretch_is_asked_for_when_its_viewer_needs_it() -> None:
    avatar = FakeAvatarStage(fault=Fault("hung", (3, 4, 5)))
    outcome = shown(avatar)
    began_s = outcome.at_s[[type(e) for e in outcome.events].index(VideoFragment) + 1]
    n_again = 0
    for at_s, stretch in avatar.record.calls:
        assert isinstance(stretch, Stretch)
        if stretch.n_frames_sent:
            n_again += 1
            due_s = (stretch.first_frame + stretch.n_frames_sent) / FPS - (at_s - began_s)
            asked_s = stretch.needed_in_s + stretch.n_frames_sent / FPS
            assert asked_s == pytest.approx(due_s - 0.1, abs=0.001)
    assert n_again


def test_a_late_language_model_is_not_mistaken_for_slow_drawing() -> None:
    async def drive() -> Outcome:
        deltas = ("Well, that is a good question. ", "Let me think about it. ", "Yes.")
        fakes = FakeStages(llm=FakeLlmStage(deltas, pauses={1: 2.0, 2: 0.9}))
        stages = with_repeats(fakes.stages, POLICY, LATE, POLICY, POLICY)
        assert stages.stand_ins is not None
        await stages.stand_ins.prepare("face0001")
        return await followed(ask(look_ahead_s=20.0, received_at_s=now()), stages)

    outcome = run(drive())
    assert_whole(outcome)
    assert outcome.finished.timings.ladder == ()


def test_without_a_stand_in_the_viewer_waits_and_the_turn_ends_whole() -> None:
    outcome = shown(FakeAvatarStage(fault=Fault("hung", (3,))), is_prepared=False)
    assert_whole(outcome)
    assert "idle_face" not in levels(outcome)


def test_a_viewer_who_does_not_read_is_not_mistaken_for_slow_drawing() -> None:
    async def drive() -> ReplyFinished:
        fakes = FakeStages(llm=FakeLlmStage(LONG))
        stages = with_repeats(fakes.stages, POLICY, POLICY, POLICY, POLICY)
        assert stages.stand_ins is not None
        await stages.stand_ins.prepare("face0001")
        async with aclosing(converse(ask(look_ahead_s=2.0), stages, now)) as events:
            async for event in events:
                if isinstance(event, VideoFragment) and event.index == 20:
                    await asyncio.sleep(30.0)
                last = event
        assert isinstance(last, ReplyFinished)
        return last

    assert run(drive()).timings.ladder == ()


def test_a_turn_tells_how_far_it_has_come() -> None:
    told: list[Progress] = []
    outcome = shown(FakeAvatarStage(), on_progress=told)
    assert [p.sent_s for p in told] == sorted(p.sent_s for p in told)
    assert told[-1].sent_s == pytest.approx(video_frames(outcome) / FPS)
    assert told[-1].is_all_spoken
    assert told[-1].spoken_s == outcome.finished.timings.audio_s
    assert all(p.ahead_s <= 20.5 for p in told)


def test_a_viewer_who_takes_nothing_is_told_of_and_then_no_more() -> None:
    told: list[Progress] = []

    async def drive() -> None:
        request = ask(look_ahead_s=20.0, on_progress=told.append)
        stages = FakeStages(llm=FakeLlmStage(LONG)).stages
        async with aclosing(converse(request, stages, now)) as events:
            async for event in events:
                if isinstance(event, VideoFragment) and event.index == 1:
                    await asyncio.sleep(10.0)

    run(drive())
    held = [p for p in told if p.is_held]
    assert len(held) == 1
    assert told[told.index(held[0]) - 1].sent_s == held[0].sent_s
    assert not told[-1].is_held
