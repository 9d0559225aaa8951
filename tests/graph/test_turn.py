"""Turns in virtual time: order, overlap, pacing, leaving, and every stage failing."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from deployments.config import StageConfig
from deployments.errors import EngineRuntimeError, StageTimeoutError, UnusableInputError
from deployments.types import AudioChunk, CustomVoice, Message, ReplyDelta, Stretch
from graph.events import ReplyFinished, TranscriptUpdated, TurnEvent, VideoFragment
from graph.face import TurnSettings
from graph.repeat import with_repeats
from graph.turn import TurnRequest, animate, converse, narrate
from tests.fakes import (
    FPS,
    RATE_HZ,
    FakeAvatarStage,
    FakeLlmStage,
    FakeStages,
    FakeTtsStage,
    Fault,
    spoken,
)
from tests.media import boxes, read_mp4
from tests.virtual_time import now, run

TAIL = 8
POLICY = StageConfig(engine="fake", first_output_timeout_s=2.0, stall_timeout_s=1.0, n_attempts=2)
PATIENT = POLICY.model_copy(update={"stall_timeout_s": 30.0})
LONG = ("This is a rather long sentence that goes on. ",) * 10


def ask(text: str | None = "hello there", **fields: Any) -> TurnRequest:
    given = {"audio": None, "language": "en", "avatar_id": "face0001", "received_at_s": 0.0}
    return TurnRequest(**{**given, "text": text, **fields})


def said(seconds: float) -> AudioChunk:
    return AudioChunk(np.full(round(seconds * RATE_HZ), 0.1, np.float32), RATE_HZ)


@dataclass
class Outcome:
    """All that came out of a turn, and when."""

    events: list[TurnEvent] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    error: Exception | None = None

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.of(ReplyDelta))

    @property
    def video(self) -> bytes:
        return b"".join(fragment.data for fragment in self.of(VideoFragment))

    @property
    def finished(self) -> ReplyFinished:
        (end,) = self.of(ReplyFinished)
        assert isinstance(end, ReplyFinished)
        return end

    def first_at(self, kind: type[Any]) -> float:
        return next(t for e, t in zip(self.events, self.at_s, strict=True) if isinstance(e, kind))


Start = Callable[..., AsyncGenerator[TurnEvent, None]]


def turn(
    fakes: FakeStages,
    request: TurnRequest,
    *,
    start: Start = converse,
    settings: TurnSettings | None = None,
    llm_policy: StageConfig = POLICY,
) -> Outcome:
    async def drive() -> Outcome:
        stages = with_repeats(fakes.stages, POLICY, llm_policy, POLICY, POLICY)
        outcome = Outcome()
        async with aclosing(start(request, stages, now, settings)) as events:
            try:
                async for event in events:
                    outcome.events.append(event)
                    outcome.at_s.append(now())
            except Exception as error:
                outcome.error = error
        assert fakes.n_open == 0, "a stage is still at work after the turn's end"
        return outcome

    return run(drive())


def n_frames_for(text_or_seconds: str | float) -> int:
    seconds = text_or_seconds if isinstance(text_or_seconds, float) else 0.05 * len(text_or_seconds)
    return math.ceil(round(seconds * FPS, 6)) + TAIL


def test_a_typed_question_becomes_a_transcript_deltas_and_one_whole_video() -> None:
    outcome = turn(FakeStages(), ask())
    assert outcome.error is None
    assert isinstance(outcome.events[0], TranscriptUpdated)
    assert isinstance(outcome.events[-1], ReplyFinished)
    assert outcome.text == "It is noon. Shall we have lunch?"
    assert outcome.finished.response_text == outcome.text
    assert [f.index for f in outcome.of(VideoFragment)] == list(
        range(len(outcome.of(VideoFragment)))
    )
    assert boxes(outcome.video)[:2] == ["ftyp", "moov"]
    assert boxes(outcome.video)[-1] == "mfra"
    assert outcome.finished.engines == {
        "llm": "fake-llm",
        "tts": "fake-tts",
        "avatar": "fake-avatar",
    }


def test_the_video_has_a_frame_for_each_25th_of_a_second_of_speech_and_the_tail() -> None:
    video = read_mp4(turn(FakeStages(), ask()).video)
    n_frames = n_frames_for("It is noon." + "Shall we have lunch?")
    assert video.frame_times_s == pytest.approx([i / FPS for i in range(n_frames)])
    assert video.audio_end_s == pytest.approx(video.video_end_s, abs=0.001)


@pytest.mark.parametrize("n_samples", [1, 639, 640, 641, 6_400, 6_401, 16_000, 53_761])
def test_animated_sound_of_any_length_gets_exactly_its_frames(n_samples: int) -> None:
    sound = AudioChunk(np.full(n_samples, 0.1, np.float32), RATE_HZ)
    outcome = turn(FakeStages(), ask(None, audio=sound), start=animate)
    assert outcome.error is None
    assert len(read_mp4(outcome.video).frame_times_s) == math.ceil(n_samples / 640) + TAIL
    assert outcome.finished.engines == {"avatar": "fake-avatar"}


def test_a_given_script_is_spoken_as_it_stands() -> None:
    fakes = FakeStages()
    outcome = turn(fakes, ask("One thing. And another."), start=narrate)
    assert outcome.error is None
    asked = [call[1][0].text for call in fakes.tts.record.calls]  # type: ignore[index]
    assert asked == ["One thing.", "And another."]
    assert fakes.llm.record.calls == []


@pytest.mark.parametrize(
    ("start", "is_live", "heard_s"), [(converse, True, 0.4 + 0.12), (narrate, False, 0.4 + 2.0)]
)
def test_what_nobody_waits_to_answer_is_moved_hearing_further_ahead(
    start: Start, is_live: bool, heard_s: float
) -> None:
    text = "This is a sentence that takes a good while to be said, longer than any context."
    avatar = FakeAvatarStage(offline_context_s=2.0)
    fakes = FakeStages(llm=FakeLlmStage(deltas=(text,)), avatar=avatar)
    assert turn(fakes, ask(text), start=start).error is None
    stretches = [asked for _, asked in avatar.record.calls if isinstance(asked, Stretch)]
    assert {stretch.is_live for stretch in stretches} == {is_live}
    assert stretches[0].audio.duration_s == pytest.approx(heard_s)


def test_the_stretches_of_a_reply_share_a_seed_that_no_other_reply_has() -> None:
    seeds = []
    for _ in range(2):
        avatar = FakeAvatarStage()
        assert turn(FakeStages(avatar=avatar), ask()).error is None
        stretches = [asked for _, asked in avatar.record.calls if isinstance(asked, Stretch)]
        assert len(stretches) > 1
        (seed,) = {stretch.seed for stretch in stretches}
        seeds.append(seed)
    assert seeds[0] != seeds[1]


def test_speech_goes_through_recognition_and_history_reaches_the_model() -> None:
    fakes = FakeStages()
    history = (Message("user", "Hi"), Message("assistant", "Hello."))
    outcome = turn(fakes, ask(None, audio=said(2.0), history=history))
    assert outcome.events[0].transcript.text == "What time is it?"  # type: ignore[union-attr]
    ((_, asked),) = fakes.llm.record.calls
    assert asked == ((*history, Message("user", "What time is it?")), "en")
    assert outcome.finished.timings.asr_ms == pytest.approx(100)


@pytest.mark.parametrize(
    ("voice", "code"),
    [
        (None, None),
        ("v1", None),
        (CustomVoice("somebody", ("es", "en"), b"state"), None),
        (CustomVoice("somebody", ("es",), b"state"), "unsupported_language"),
    ],
)
def test_a_voice_must_speak_the_language_that_was_heard(
    voice: str | CustomVoice | None, code: str | None
) -> None:
    fakes = FakeStages()
    outcome = turn(fakes, ask(None, audio=said(2.0), language=None, voice=voice))

    assert isinstance(outcome.events[0], TranscriptUpdated)
    assert getattr(outcome.error, "code", None) == code
    spoken_by = {call[1][2] for call in fakes.tts.record.calls}  # type: ignore[index]
    assert spoken_by == (set() if code else {voice})


def test_no_recognised_words_are_no_speech() -> None:
    fakes = FakeStages()
    fakes.asr.text = " "
    outcome = turn(fakes, ask(None, audio=said(2.0)))
    assert isinstance(outcome.error, UnusableInputError)
    assert outcome.error.code == "no_speech"
    assert outcome.events == []


def test_the_face_starts_while_the_model_still_writes() -> None:
    fakes = FakeStages(llm=FakeLlmStage(LONG, delta_s=0.5))
    outcome = turn(fakes, ask(look_ahead_s=20.0))
    assert outcome.first_at(VideoFragment) < 1.5
    assert outcome.finished.timings.llm_ms == pytest.approx(50 + 10 * 500)


def test_sentences_are_spoken_while_earlier_ones_are_drawn() -> None:
    fakes = FakeStages(
        llm=FakeLlmStage(LONG[:4]),
        tts=FakeTtsStage(latency_s=0.05),
        avatar=FakeAvatarStage(frame_s=0.02),
    )
    turn(fakes, ask())
    second_sentence_s = fakes.tts.record.calls[1][0]
    drawn_until_s = fakes.avatar.record.calls[-1][0]
    assert second_sentence_s < drawn_until_s / 2


def test_sound_and_picture_are_sent_side_by_side() -> None:
    skew_ms = turn(FakeStages(llm=FakeLlmStage(LONG[:3])), ask()).finished.timings.av_skew_ms
    assert skew_ms is not None
    assert skew_ms <= 64  # one AAC frame at the fakes' rate


def test_the_first_stretches_are_short_and_each_carries_the_state_of_the_one_before() -> None:
    fakes = FakeStages(llm=FakeLlmStage(LONG[:3]))
    turn(fakes, ask())  # the fake refuses any state but the right one
    stretches = [call[1] for call in fakes.avatar.record.calls]
    lengths = [stretch.n_frames for stretch in stretches if isinstance(stretch, Stretch)]
    assert lengths[:4] == [10, 10, 15, 25]
    assert sum(lengths) == n_frames_for(0.05 * 44 * 3)


def test_drawing_never_runs_further_ahead_of_playback_than_allowed() -> None:
    fakes = FakeStages(llm=FakeLlmStage(LONG))
    outcome = turn(fakes, ask(look_ahead_s=2.0))
    began_s = outcome.first_at(VideoFragment)
    for at_s, stretch in fakes.avatar.record.calls:
        assert isinstance(stretch, Stretch)
        assert stretch.first_frame / FPS - max(0.0, at_s - began_s) <= 2.0 + 1e-6
    assert outcome.finished.timings.turn_ms == pytest.approx(1000 * (22 - 2), rel=0.1)


def test_each_stretch_says_how_soon_its_viewer_needs_it() -> None:
    fakes = FakeStages(llm=FakeLlmStage(LONG[:3]))
    outcome = turn(fakes, ask(look_ahead_s=2.0))
    began_s = outcome.at_s[[type(event) for event in outcome.events].index(VideoFragment) + 1]
    for at_s, stretch in fakes.avatar.record.calls:
        assert isinstance(stretch, Stretch)
        played_s = max(0.0, at_s - began_s)
        expected = max(0.0, stretch.first_frame / FPS - played_s - 0.1)  # it has to be sent, too
        assert stretch.needed_in_s == pytest.approx(expected, abs=0.001)


def test_who_waits_for_the_whole_is_not_held_back() -> None:
    outcome = turn(FakeStages(llm=FakeLlmStage(LONG)), ask(look_ahead_s=None))
    assert outcome.finished.timings.rtf is not None
    assert outcome.finished.timings.rtf < 0.3


def test_between_late_sentences_the_face_goes_on_in_silence() -> None:
    deltas = ("Well, that is a good question. ", "Let me think about it. ", "Yes.")
    fakes = FakeStages(llm=FakeLlmStage(deltas, pauses={2: 6.0}))
    outcome = turn(fakes, ask(look_ahead_s=20.0), llm_policy=PATIENT)
    video = read_mp4(outcome.video)
    steps = np.diff(video.frame_times_s)
    assert steps == pytest.approx(np.full(len(steps), 1 / FPS))
    assert 6.0 < len(video.frame_times_s) / FPS < 9.0
    arrivals = [
        t for e, t in zip(outcome.events, outcome.at_s, strict=True) if isinstance(e, VideoFragment)
    ]
    assert max(np.diff(arrivals)) < 1.0  # the viewer never runs out of picture


def test_without_playback_no_silence_is_inserted() -> None:
    deltas = ("Well. ", "Let me think about it. ", "Yes.")
    fakes = FakeStages(llm=FakeLlmStage(deltas, pauses={2: 6.0}))
    outcome = turn(fakes, ask(look_ahead_s=None), llm_policy=PATIENT)
    n_frames = n_frames_for("Well." + "Let me think about it." + "Yes.")
    assert len(read_mp4(outcome.video).frame_times_s) == n_frames


@pytest.mark.parametrize("after_s", [0.0, 0.06, 0.1, 0.2, 0.5, 1.5, 3.0])
def test_leaving_stops_every_stage_at_once(after_s: float) -> None:
    fakes = FakeStages(llm=FakeLlmStage(LONG, delta_s=0.3), avatar=FakeAvatarStage(frame_s=0.03))

    async def leave() -> None:
        async def listen() -> None:
            request = ask(None, audio=said(1.0), look_ahead_s=20.0)
            async with aclosing(converse(request, fakes.stages, now)) as events:
                async for _ in events:
                    pass

        listener = asyncio.create_task(listen())
        await asyncio.sleep(after_s)
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        assert fakes.n_open == 0
        assert now() == pytest.approx(after_s)

    run(leave())


@pytest.mark.parametrize("kind", ["lost", "hung"])
@pytest.mark.parametrize(
    ("call", "after"), [(0, 0), (0, 1), (1, 0), (1, 1), (3, 0), (3, 2), (3, 4)]
)
def test_a_lost_stretch_is_drawn_again_without_a_gap(kind: str, call: int, after: int) -> None:
    fakes = FakeStages(
        llm=FakeLlmStage(LONG[:3]), avatar=FakeAvatarStage(fault=Fault(kind, (call,), after))
    )
    outcome = turn(fakes, ask())
    assert outcome.error is None
    whole = read_mp4(outcome.video)
    n_frames = n_frames_for(0.05 * 44 * 3)
    assert whole.frame_times_s == pytest.approx([i / FPS for i in range(n_frames)])
    # One call more than stretches: the repetition, which leaves out the frames that had left.
    asked = [stretch for _, stretch in fakes.avatar.record.calls if isinstance(stretch, Stretch)]
    lost = asked[call]
    repeated = [stretch for stretch in asked if stretch.first_frame == lost.first_frame]
    assert len(asked) == len({stretch.first_frame for stretch in asked}) + 1
    assert [stretch.n_frames_sent for stretch in repeated] == [0, 5 * after]
    went_on_s = (lost.first_frame + 5 * after) / FPS
    assert any(t == pytest.approx(went_on_s) for t in whole.keyframe_times_s)


@pytest.mark.parametrize("after", [0, 1, 4])
def test_lost_speech_is_spoken_again_sample_for_sample(after: int) -> None:
    fakes = FakeStages(
        llm=FakeLlmStage(LONG[:2]), tts=FakeTtsStage(fault=Fault("lost", (1,), after))
    )
    outcome = turn(fakes, ask())
    assert outcome.error is None
    heard = np.concatenate([_sound_of(stretch) for _, stretch in fakes.avatar.record.calls])
    assert heard == pytest.approx(np.concatenate([spoken(LONG[0].strip())] * 2))


def _sound_of(stretch: object) -> np.ndarray[Any, Any]:
    assert isinstance(stretch, Stretch)
    return stretch.audio.samples[: stretch.n_frames * RATE_HZ // FPS]


def test_a_model_lost_before_its_first_word_is_asked_again() -> None:
    fakes = FakeStages(llm=FakeLlmStage(fault=Fault("lost")))
    outcome = turn(fakes, ask())
    assert outcome.error is None
    assert outcome.text == "It is noon. Shall we have lunch?"
    assert len(fakes.llm.record.calls) == 2


def test_a_model_lost_in_mid_reply_ends_the_reply_after_a_whole_sentence_and_says_so() -> None:
    fakes = FakeStages(llm=FakeLlmStage(fault=Fault("lost", after=3)))
    outcome = turn(fakes, ask())
    assert outcome.error is None
    assert outcome.finished.is_shortened
    assert outcome.finished.response_text == "It is noon."
    assert len(read_mp4(outcome.video).frame_times_s) == n_frames_for("It is noon.")
    assert len(fakes.llm.record.calls) == 1


@pytest.mark.parametrize("kind", ["lost", "hung"])
@pytest.mark.parametrize("after", [1, 2])
def test_a_model_lost_before_a_whole_sentence_is_asked_again_and_nothing_is_said_twice(
    kind: str, after: int
) -> None:
    fakes = FakeStages(llm=FakeLlmStage(fault=Fault(kind, after=after)))
    outcome = turn(fakes, ask())
    assert outcome.error is None
    assert outcome.text == "It is noon. Shall we have lunch?"
    assert outcome.finished.response_text == outcome.text
    assert not outcome.finished.is_shortened
    assert len(fakes.llm.record.calls) == 2


def test_the_time_to_the_first_token_is_the_models_though_its_text_is_held() -> None:
    deltas = ("It ", "is ", "noon ", "here. ", "And ", "there.")
    outcome = turn(FakeStages(llm=FakeLlmStage(deltas, first_s=0.3, delta_s=0.2)), ask())
    assert outcome.finished.timings.llm_first_token_ms == pytest.approx(500)
    assert [event.text for event in outcome.of(ReplyDelta)] == ["It is noon here. And ", "there."]


def test_the_answer_names_the_engine_of_a_chain_that_spoke() -> None:
    finished = turn(FakeStages(llm=FakeLlmStage(spoken_by="second")), ask()).finished
    assert finished.engines == {"llm": "second", "tts": "fake-tts", "avatar": "fake-avatar"}


@pytest.mark.parametrize("stage", ["asr", "llm", "tts", "avatar"])
def test_a_stage_that_stays_broken_fails_the_turn_under_its_name(stage: str) -> None:
    fakes = FakeStages()
    getattr(fakes, stage).fault = Fault("broken", calls=(0, 1, 2, 3))
    outcome = turn(fakes, ask(None, audio=said(1.0)))
    assert isinstance(outcome.error, EngineRuntimeError)
    assert outcome.error.stage == stage
    assert outcome.of(ReplyFinished) == []
    assert b"mfra" not in outcome.video


@pytest.mark.parametrize("stage", ["asr", "llm", "tts", "avatar"])
def test_a_stage_that_hangs_for_good_fails_the_turn_in_bounded_time(stage: str) -> None:
    fakes = FakeStages()
    getattr(fakes, stage).fault = Fault("hung", calls=(0, 1, 2, 3))
    outcome = turn(fakes, ask(None, audio=said(1.0)))
    assert isinstance(outcome.error, StageTimeoutError)
    assert outcome.error.stage == stage
    assert outcome.error.message == f"the {stage} stage gave no output within 2 s"


def test_a_slow_reader_holds_the_turn_back() -> None:
    fakes = FakeStages(llm=FakeLlmStage(LONG))

    async def read_slowly() -> int:
        async with aclosing(converse(ask(), fakes.stages, now)) as events:
            async for event in events:
                if isinstance(event, VideoFragment):
                    break
            await asyncio.sleep(60)
            return len(fakes.avatar.record.calls)

    assert run(read_slowly()) < 8  # of some 24 stretches


def test_two_turns_at_once_do_not_mix() -> None:
    async def both() -> list[str]:
        async def one(text: str) -> str:
            fakes = FakeStages(llm=FakeLlmStage((text,)))
            parts = []
            async with aclosing(converse(ask(), fakes.stages, now)) as events:
                async for event in events:
                    if isinstance(event, ReplyDelta):
                        parts.append(event.text)
            return "".join(parts)

        work: list[Coroutine[Any, Any, str]] = [one("First answer."), one("Second answer.")]
        return list(await asyncio.gather(*work))

    assert run(both()) == ["First answer.", "Second answer."]
