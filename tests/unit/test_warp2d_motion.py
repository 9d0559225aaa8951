"""Speech becomes motion: shapes, coarticulation, stretches, state, life."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deployments.avatar.warp2d import life, motion
from deployments.avatar.warp2d.columns import Column
from deployments.avatar.warp2d.motion import CONTEXT_S, FPS
from deployments.avatar.warp2d.sound import Hearing
from deployments.avatar.warp2d.state import MotionState
from deployments.avatar.warp2d.visemes import Sound, segments, shapes
from deployments.errors import EngineInputError
from deployments.types import AudioChunk, Phoneme, Stretch

RATE = 22_050
IPA = ("p", "ˈa", "m", "ɪ", "s", "ˈoʊ", "f", "ʃ", "uː", "", "tʃ", "ɛ", "l", "b", "iə", "(en)", "ɕ")


def sound_of(seconds: float, seed: int = 3) -> NDArray[np.float32]:
    """Noise under syllables of changing loudness."""
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    noise = np.random.default_rng(seed).normal(0, 0.1, n)
    return (noise * np.abs(np.sin(2 * np.pi * 2.3 * t))).astype(np.float32)


def spelled(lengths_ms: list[int]) -> tuple[Phoneme, ...]:
    ends = np.cumsum(lengths_ms) / 1000
    starts = ends - np.array(lengths_ms) / 1000
    return tuple(
        Phoneme(IPA[i % len(IPA)], float(a), float(b))
        for i, (a, b) in enumerate(zip(starts, ends, strict=True))
    )


def stretch(
    sound: NDArray[np.float32],
    first: int,
    n_frames: int,
    *,
    phonemes: tuple[Phoneme, ...] = (),
    state: bytes | None = None,
    n_rest: int = 0,
    controls: dict[str, float] | None = None,
) -> Stretch:
    start, end = first / FPS, (first + n_frames) / FPS + CONTEXT_S
    return Stretch(
        avatar_id="mira",
        audio=AudioChunk(sound[round(start * RATE) : round(end * RATE)], RATE, start),
        phonemes=tuple(p for p in phonemes if p.end_s > start and p.start_s < end),
        first_frame=first,
        n_frames=n_frames,
        motion_state=state,
        n_rest_frames=n_rest,
        controls=controls or {},
    )


def moved(asked: Stretch) -> NDArray[np.float32]:
    return motion.move("mira", asked)[0]


def column(rows: NDArray[np.float32], name: Column) -> NDArray[np.float32]:
    return rows[:, name]


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 59), max_size=8, unique=True).map(sorted),
    lengths_ms=st.lists(st.integers(20, 220), max_size=24),
    with_rest=st.booleans(),
)
def test_motion_in_stretches_is_motion_in_one_go(
    cuts: list[int], lengths_ms: list[int], with_rest: bool
) -> None:
    sound, phonemes, n_rest = sound_of(2.6), spelled(lengths_ms), 8 * with_rest
    whole = moved(stretch(sound, 0, 68, phonemes=phonemes, n_rest=n_rest))
    parts, state, edges = [], None, [0, *cuts, 68]
    for first, last in pairwise(edges):
        rest = n_rest if last == 68 else 0
        asked = stretch(sound, first, last - first, phonemes=phonemes, state=state, n_rest=rest)
        part, state = motion.move("mira", asked)
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-6)


def test_a_stretch_that_does_not_start_at_zero_equals_the_same_one_that_does() -> None:
    sound, phonemes = sound_of(1.0), spelled([90] * 10)
    here = moved(stretch(sound, 0, 20, phonemes=phonemes))
    later = Stretch(
        avatar_id="mira",
        audio=AudioChunk(sound[: round((0.8 + CONTEXT_S) * RATE)], RATE, 4.0),
        phonemes=tuple(Phoneme(p.ipa, p.start_s + 4.0, p.end_s + 4.0) for p in phonemes),
        first_frame=100,
        n_frames=20,
    )
    np.testing.assert_allclose(moved(later), here, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sound", ["p", "b", "m"])
@pytest.mark.parametrize("length_ms", [30, 60, 120])
@pytest.mark.parametrize("shift_ms", [0, 9, 18, 27, 36])
def test_lips_close_wholly_between_two_open_vowels(
    sound: str, length_ms: int, shift_ms: int
) -> None:
    at = [0.2 + shift_ms / 1000, 0.2 + (shift_ms + length_ms) / 1000]
    phonemes = (
        Phoneme("ˈa", 0.0, at[0]),
        Phoneme(sound, at[0], at[1]),
        Phoneme("a", at[1], at[1] + 0.2),
    )
    rows = moved(stretch(sound_of(1.0), 0, 12, phonemes=phonemes))
    jaw, press = column(rows, Column.JAW), column(rows, Column.PRESS)
    assert jaw.max() > 0.5
    assert jaw[4:9].min() < 0.03
    assert press[4:9].max() > 0.95


def test_a_rounded_vowel_rounds_the_consonant_before_it() -> None:
    times = np.array([100_000], dtype=np.int64)
    said = [Sound("s", 60_000, 140_000), Sound("uː", 140_000, 300_000)]
    plain = [Sound("s", 60_000, 140_000), Sound("iː", 140_000, 300_000)]
    rounded, spread = shapes(said, times, 160_000)[0], shapes(plain, times, 160_000)[0]
    assert rounded[Column.ROUND] > 0.25
    assert spread[Column.ROUND] < 0.05
    assert spread[Column.WIDE] > rounded[Column.WIDE] + 0.3


def test_nothing_beyond_the_context_is_known() -> None:
    times = np.array([0], dtype=np.int64)
    near = [Sound("s", 0, 100_000)]
    assert np.array_equal(
        shapes(near, times, 160_000), shapes([*near, Sound("u", 160_000, 300_000)], times, 160_000)
    )


@pytest.mark.parametrize(
    ("ipa", "parts"),
    [
        ("ˈoʊ", ["o", "ʊ"]),
        ("aɪ", ["a", "ɪ"]),
        ("tʃ", ["t", "ʃ"]),
        ("ɑː", ["ɑ"]),
        ("ɑu5", ["ɑ", "u"]),
        ("n̩", ["n"]),
        ("(en)", [""]),
        ("", [""]),
        ("ˈ", [""]),
    ],
)
def test_a_phoneme_is_split_into_its_sounds(ipa: str, parts: list[str]) -> None:
    found = [part for part, _ in segments(Sound(ipa, 0, 100_000))]
    assert [part.ipa for part in found] == parts
    assert found[0].start_us == 0
    assert found[-1].end_us == 100_000


@pytest.mark.parametrize(
    "ipa",
    [
        *"pbtdkɡmnŋfvθðszʃʒhlɹjwæɑɒəɚɛɜɪiʊuʌɔaeo",  # English
        *("ts", "tsh", "tɕ", "tɕh", "ʈʂ", "ɕ", "ʂ", "x", "y", "ɤ", "i.", "ɥ", "ɨ", "ɑ̃"),  # Chinese
        *("β", "ð", "ɣ", "ɾ", "r", "ɲ", "ʎ", "ʝ", "tʃ", "x"),  # Spanish
    ],
)
def test_every_sound_of_the_languages_has_a_shape(ipa: str) -> None:
    assert all(part.ipa for part, _ in segments(Sound(ipa, 0, 100_000)))


def test_a_pause_closes_the_mouth() -> None:
    phonemes = (Phoneme("ˈa", 0.0, 0.3), Phoneme("", 0.3, 0.8))
    rows = moved(stretch(np.zeros(RATE, np.float32), 0, 20, phonemes=phonemes))
    jaw = column(rows, Column.JAW)
    assert jaw[3] > 0.5
    assert jaw[12:].max() < 0.03


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_sound_alone_opens_the_mouth_with_its_loudness_at_any_rate(rate: int) -> None:
    t = np.arange(rate) / rate
    loud = (t > 0.2) & (t < 0.6)
    voice = (0.3 * np.sin(2 * np.pi * 200 * t) * loud).astype(np.float32)
    rows = moved(Stretch("mira", AudioChunk(voice, rate), (), 0, 25))
    jaw = column(rows, Column.JAW)
    assert jaw[7:14].min() > 0.5
    assert jaw[18:].max() < 0.02


def test_hiss_shows_teeth_and_a_hum_does_not() -> None:
    hiss = np.diff(np.random.default_rng(0).normal(0, 0.2, RATE + 1)).astype(np.float32)
    t = np.arange(RATE) / RATE
    hum = (0.3 * np.sin(2 * np.pi * 200 * t)).astype(np.float32)
    hissed, hummed = (moved(stretch(sound, 0, 20)) for sound in (hiss, hum))
    assert column(hissed, Column.JAW)[10] < 0.5 * column(hummed, Column.JAW)[10]
    assert column(hissed, Column.TONGUE)[10] > column(hummed, Column.TONGUE)[10]


def test_an_idle_loop_starts_and_ends_at_rest_without_a_jump() -> None:
    silence = np.zeros(10 * RATE, np.float32)
    rows = moved(stretch(silence, 0, 200, n_rest=12))
    assert not rows[-1].any()
    assert not rows[0].any()
    assert np.abs(rows[:, Column.YAW :]).max() > 0.2  # it lives meanwhile
    steps = np.abs(np.diff(rows[:, Column.YAW :], axis=0))
    assert steps.max() < 0.12
    assert column(rows, Column.BLINK).max() == 1


def test_the_rest_pose_is_reached_smoothly_from_speech() -> None:
    rows = moved(stretch(sound_of(2.0), 0, 40, phonemes=spelled([120] * 12), n_rest=8))
    assert not rows[-1].any()
    assert np.abs(rows[-2]).max() < 0.15


def test_no_blink_begins_while_the_face_comes_to_rest() -> None:
    n = np.arange(400, dtype=np.int64)
    free = life.blink(n, FPS, 5, 1.0, None)
    first = int(np.argmax(free > 0))
    assert not life.blink(n, FPS, 5, 1.0, first - 1).any()


def test_blinks_come_about_eighteen_times_a_minute_and_follow_their_control() -> None:
    n = np.arange(60 * FPS, dtype=np.int64)

    def count(rate: float) -> int:
        return int((np.diff((life.blink(n, FPS, 9, rate, None) > 0.2).astype(int)) == 1).sum())

    assert 15 <= count(1.0) <= 20
    assert count(2.0) > 1.7 * count(1.0)
    assert count(0.0) == 0


def test_two_avatars_do_not_blink_together() -> None:
    silence = stretch(np.zeros(10 * RATE, np.float32), 0, 200)
    one, other = (motion.move(name, silence)[0] for name in ("mira", "someone"))
    assert not np.array_equal(column(one, Column.BLINK), column(other, Column.BLINK))


def test_controls_scale_what_they_name() -> None:
    sound, phonemes = sound_of(2.0), spelled([120] * 12)

    def rows(**controls: float) -> NDArray[np.float32]:
        return moved(stretch(sound, 0, 40, phonemes=phonemes, controls=controls))

    plain, lively, still = rows(), rows(expression=1.3), rows(head_motion=0.0)
    np.testing.assert_allclose(
        column(lively, Column.JAW), 1.3 * column(plain, Column.JAW), atol=1e-5
    )
    assert not column(still, Column.YAW).any()
    assert column(rows(gaze_x=1.0), Column.GAZE_X)[-1] > 0.9
    assert column(rows(smile=1.0), Column.SMILE)[-1] > 0.9


def test_the_state_comes_back_as_it_was_and_is_small() -> None:
    past = (Sound("ˈoʊ", -120_000, -40_000), Sound("", -40_000, 30_000))
    state = MotionState(123, 45, 0xDEADBEEF, Hearing(0.25, (0.1,) * 7), past)
    packed = state.pack()
    assert MotionState.unpack(packed) == state
    assert len(packed) < 300


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 200), flip=st.integers(1, 255))
def test_any_changed_byte_of_a_state_is_noticed(at: int, flip: int) -> None:
    packed = bytearray(MotionState(7, 7, 7, Hearing(), (Sound("a", -10, 5),)).pack())
    packed[at % len(packed)] ^= flip
    with pytest.raises(EngineInputError):
        MotionState.unpack(bytes(packed))


def test_a_state_stays_small_however_long_the_reply() -> None:
    asked = stretch(sound_of(8.0), 0, 190, phonemes=spelled([60] * 120))
    assert len(motion.move("mira", asked)[1]) < 700
