"""What every avatar engine promises, whichever it is."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.avatar.engine import AvatarEngine, DrawRequest
from deployments.avatar.portraits import builtin_portraits
from deployments.errors import EngineInputError
from deployments.registry import ENGINES, load_engine
from deployments.types import AudioChunk, Phoneme, PortraitSource, Stretch

RATE = 16_000
HELLO = (
    Phoneme("", 0.0, 0.10),
    Phoneme("h", 0.10, 0.18),
    Phoneme("ə", 0.18, 0.26),
    Phoneme("l", 0.26, 0.34),
    Phoneme("ˈoʊ", 0.34, 0.62),
    Phoneme("m", 0.62, 0.72),
    Phoneme("ˈɑː", 0.72, 0.98),
    Phoneme("", 0.98, 1.20),
)

MOST_STATE_BYTES = {"ditto": 1_000_000}  # of those that need more than ten thousand
MOST_LEVELS = {"ditto": 1}  # that a frame may differ when drawn with others: sums are rounded

pytestmark = pytest.mark.parametrize(
    "name", [name for stage, name in sorted(ENGINES) if stage == "avatar"]
)

_options: dict[str, dict[str, Any]] = {}


@pytest.fixture(autouse=True)
def _loadable(name: str, request: pytest.FixtureRequest) -> None:
    """What an engine needs to load in a test; skips where its packages are missing."""
    if name == "ditto" and name not in _options:
        _options[name] = tiny_ditto_options(request.getfixturevalue("tiny_ditto"))


def tiny_ditto_options(folder: Path) -> dict[str, Any]:
    return {"model": str(folder), "device": "cpu", "width_px": 128, "height_px": 192}


def loaded(name: str) -> AvatarEngine[Any]:
    engine: AvatarEngine[Any] = load_engine("avatar", name, _options.get(name, {}))
    return engine


@cache
def engine_of(name: str) -> AvatarEngine[Any]:
    return loaded(name)


@cache
def portrait_of(name: str) -> Any:
    return engine_of(name).prepare(source())


def source() -> PortraitSource:
    return builtin_portraits()[0]


def voice(seconds: float) -> NDArray[np.float32]:
    """A buzz whose loudness swells and falls like syllables."""
    t = np.arange(round(seconds * RATE)) / RATE
    buzz = np.sign(np.sin(2 * np.pi * 140 * t)) * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * t))
    return (0.4 * buzz).astype(np.float32)


def stretch(
    name: str,
    sound: NDArray[np.float32],
    first: int,
    n_frames: int,
    *,
    state: bytes | None = None,
    n_rest: int = 0,
    phonemes: tuple[Phoneme, ...] = (),
    controls: Mapping[str, float] | None = None,
) -> Stretch:
    """Frames ``first`` and following of a reply whose whole sound is ``sound``."""
    able = engine_of(name).capabilities
    start, end = first / able.fps, (first + n_frames) / able.fps + able.context_s
    heard = sound[round(start * RATE) : round(end * RATE)]
    return Stretch(
        avatar_id=source().id,
        audio=AudioChunk(heard, RATE, start),
        phonemes=tuple(p for p in phonemes if p.end_s > start and p.start_s < end),
        first_frame=first,
        n_frames=n_frames,
        motion_state=state,
        n_rest_frames=n_rest,
        controls=controls or {},
    )


def move(name: str, asked: Stretch) -> tuple[NDArray[np.float32], bytes]:
    return engine_of(name).move(portrait_of(name), asked)


def in_pieces(
    name: str, sound: NDArray[np.float32], lengths: tuple[int, ...], phonemes: tuple[Phoneme, ...]
) -> NDArray[np.float32]:
    parts, state, first = [], None, 0
    for n_frames in lengths:
        part, state = move(
            name, stretch(name, sound, first, n_frames, state=state, phonemes=phonemes)
        )
        parts.append(part)
        first += n_frames
    return np.concatenate(parts)


def draw(name: str, motion: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    portrait = portrait_of(name)
    return engine_of(name).draw([DrawRequest(portrait, row, 0.1) for row in motion])


def added() -> PortraitSource:
    """As somebody's upload comes to an engine: of any size, with no layout of its own."""
    whole = source()
    assert whole.landmarks is not None
    image = np.ascontiguousarray(whole.image[40:1000:2, 60:700:2])
    landmarks = ((whole.landmarks - (60, 40)) / 2).astype(np.float32)
    return PortraitSource("an-upload", "Ana", image, landmarks, builtin=False)


def test_an_added_portrait_is_drawn_in_the_frame_of_the_engine(name: str) -> None:
    engine = engine_of(name)
    asked = replace(stretch(name, voice(1.0), 0, 10), avatar_id="an-upload")
    portrait, again = engine.prepare(added()), engine.prepare(added())
    motion, state = engine.move(portrait, asked)
    frames = [engine.draw([DrawRequest(p, row, 0.1) for row in motion]) for p in (portrait, again)]
    size = (engine.capabilities.height_px, engine.capabilities.width_px, 3)
    assert [frame.shape for frame in frames[0]] == [size] * 10
    assert all(np.array_equal(a, b) for a, b in zip(*frames, strict=True))
    onwards, _ = engine.move(portrait, replace(asked, first_frame=10, motion_state=state))
    assert len(onwards) == 10


def test_capabilities_name_the_engine_and_say_possible_things(name: str) -> None:
    able = engine_of(name).capabilities
    assert able.engine == name
    assert able.width_px % 2 == 0
    assert able.height_px % 2 == 0
    assert able.fps >= 1
    assert able.batch >= 1
    assert able.context_s >= 0
    assert all(c.minimum <= c.default <= c.maximum for c in able.controls)
    assert len({c.name for c in able.controls}) == len(able.controls)


def test_a_stretch_gives_one_row_per_frame_and_a_state(name: str) -> None:
    motion, state = move(name, stretch(name, voice(1.0), 0, 17))
    assert motion.dtype == np.float32
    assert motion.ndim == 2
    assert len(motion) == 17
    assert np.isfinite(motion).all()
    assert isinstance(state, bytes)
    assert 0 < len(state) < MOST_STATE_BYTES.get(name, 10_000)


def test_the_same_stretch_gives_the_same_motion_and_frames(name: str) -> None:
    asked = stretch(name, voice(1.0), 0, 10, phonemes=HELLO)
    first, second = move(name, asked), move(name, asked)
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]
    frames = [draw(name, motion) for motion, _ in (first, second)]
    assert all(np.array_equal(a, b) for a, b in zip(*frames, strict=True))


def test_another_replica_gives_the_same_motion(name: str) -> None:
    asked = stretch(name, voice(1.0), 0, 10, phonemes=HELLO)
    other = loaded(name)
    motion, state = other.move(other.prepare(source()), asked)
    expected = move(name, asked)
    assert np.array_equal(motion, expected[0])
    assert state == expected[1]


@pytest.mark.parametrize("phonemes", [(), HELLO], ids=["sound alone", "with phonemes"])
@pytest.mark.parametrize("lengths", [(10, 10, 10), (1, 2, 3, 24), (29, 1), (5,) * 6])
def test_stretches_with_carried_state_equal_one_go(
    name: str, lengths: tuple[int, ...], phonemes: tuple[Phoneme, ...]
) -> None:
    sound = voice(1.3)
    whole, _ = move(name, stretch(name, sound, 0, 30, phonemes=phonemes))
    parts = in_pieces(name, sound, lengths, phonemes)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-5)


def test_speech_moves_the_face(name: str) -> None:
    motion, _ = move(name, stretch(name, voice(1.0), 0, 25))
    still, _ = move(name, stretch(name, np.zeros(RATE, np.float32), 0, 25))
    assert np.abs(motion - still).max() > 0.1
    spoken, silent = draw(name, motion[4:5])[0], draw(name, still[4:5])[0]
    assert np.abs(spoken.astype(int) - silent.astype(int)).max() > 20


def test_sound_that_ends_early_counts_as_silence_after_it(name: str) -> None:
    short = voice(0.4)
    padded = np.concatenate([short, np.zeros(2 * RATE, np.float32)])
    cut, _ = move(name, stretch(name, short, 0, 30))
    full, _ = move(name, stretch(name, padded, 0, 30))
    np.testing.assert_allclose(cut, full, rtol=0, atol=1e-6)


def test_a_reply_ends_exactly_at_rest_and_begins_there(name: str) -> None:
    motion, state = move(name, stretch(name, voice(1.0), 0, 33, n_rest=8, phonemes=HELLO))
    silence = np.zeros(4 * RATE, np.float32)
    idle, _ = move(name, stretch(name, silence, 0, 50, n_rest=10))
    assert np.array_equal(motion[-1], idle[-1])
    rest, first = draw(name, np.stack([motion[-1], idle[0]]))
    assert np.abs(rest.astype(int) - first.astype(int)).mean() < 0.5
    again, _ = move(name, stretch(name, silence, 33, 50, state=state, n_rest=10))
    assert np.array_equal(again[-1], idle[-1])


@pytest.mark.parametrize("phonemes", [(), HELLO], ids=["sound alone", "with phonemes"])
def test_a_face_that_rested_goes_on_at_any_frame_as_it_would_at_the_first(
    name: str, phonemes: tuple[Phoneme, ...]
) -> None:
    sound, first, since_s = voice(1.3), 10, 10 / engine_of(name).capabilities.fps
    moved, state = move(name, stretch(name, sound, first, 12, phonemes=phonemes))
    shifted = tuple(Phoneme(p.ipa, p.start_s - since_s, p.end_s - since_s) for p in phonemes)
    expected, _ = move(name, stretch(name, sound[round(since_s * RATE) :], 0, 12, phonemes=shifted))
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-5)
    onwards, _ = move(name, stretch(name, sound, first + 12, 8, state=state, phonemes=phonemes))
    whole, _ = move(name, stretch(name, sound, first, 20, phonemes=phonemes))
    np.testing.assert_allclose(onwards, whole[12:], rtol=0, atol=1e-5)


def test_a_foreign_or_damaged_state_is_refused(name: str) -> None:
    _, state = move(name, stretch(name, voice(1.0), 0, 5))
    for wrong in (b"", b"nonsense", state[:-1], b"\0" + state[1:]):
        with pytest.raises(EngineInputError):
            move(name, stretch(name, voice(1.0), 5, 5, state=wrong))


def test_controls_outside_their_range_or_unknown_are_refused(name: str) -> None:
    for control in engine_of(name).capabilities.controls:
        for value in (control.minimum - 0.01, control.maximum + 0.01):
            with pytest.raises(EngineInputError):
                move(name, stretch(name, voice(1.0), 0, 5, controls={control.name: value}))
    with pytest.raises(EngineInputError):
        move(name, stretch(name, voice(1.0), 0, 5, controls={"no_such_control": 1.0}))


def test_controls_at_their_bounds_are_accepted_and_do_something(name: str) -> None:
    sound = voice(6.0)
    for control in engine_of(name).capabilities.controls:
        low, high = (
            move(name, stretch(name, sound, 0, 120, n_rest=8, controls={control.name: value}))[0]
            for value in (control.minimum, control.maximum)
        )
        assert not np.array_equal(low, high), control.name


def test_frames_have_the_size_that_was_promised(name: str) -> None:
    able = engine_of(name).capabilities
    motion, _ = move(name, stretch(name, voice(1.0), 0, 3))
    for frame in draw(name, motion):
        assert frame.shape == (able.height_px, able.width_px, 3)
        assert frame.dtype == np.uint8


def test_a_batch_equals_single_draws_in_order(name: str) -> None:
    motion, _ = move(name, stretch(name, voice(1.0), 0, 9, phonemes=HELLO))
    together = draw(name, motion)
    singly = [draw(name, row[None])[0] for row in motion]
    assert len(together) == 9
    backwards = draw(name, motion[::-1])
    for frames in (singly, backwards[::-1]):
        levels = np.stack(frames).astype(int) - np.stack(together)
        assert np.abs(levels).max() <= MOST_LEVELS.get(name, 0)


def test_frames_stay_what_they_were_when_more_are_drawn(name: str) -> None:
    motion, _ = move(name, stretch(name, voice(1.0), 0, 12, phonemes=HELLO))
    first = draw(name, motion[:1])[0]
    before = first.copy()
    draw(name, motion)
    assert np.array_equal(first, before)


def test_no_requests_give_no_frames(name: str) -> None:
    assert engine_of(name).draw([]) == []


def test_an_empty_stretch_moves_nothing(name: str) -> None:
    motion, state = move(name, stretch(name, voice(1.0), 0, 0))
    assert len(motion) == 0
    follow, _ = move(name, stretch(name, voice(1.0), 0, 5, state=state))
    direct, _ = move(name, stretch(name, voice(1.0), 0, 5))
    assert np.array_equal(follow, direct)
