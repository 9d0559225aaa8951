"""The engine: exact replies, in any pieces and anywhere, of several sessions at once."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.avatar.ditto.avatar import DittoAvatar, DittoPortrait
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.engine import DrawRequest, MoveRequest, MovesTogether
from deployments.avatar.portraits import builtin_portraits
from deployments.errors import AvatarError, EngineInputError
from deployments.types import AudioChunk, PortraitSource, Stretch
from tests.ditto.fake_networks import FakeNetworks
from tests.ditto.replies import TAIL, cuts, fake_engine, mira, spoken, stretch, tiny_engine, voice

pytest.importorskip("torch", reason="the networks need torch, which make test installs")
pytest.importorskip("onnxruntime", reason="HuBERT needs onnxruntime, which make test installs")

EITHER = pytest.mark.parametrize("is_live", [True, False], ids=["live", "offline"])
LENGTHS = (1, 7, 9, 10, 11, 40, 333)


@pytest.fixture(scope="module")
def engine(tiny_ditto: Path) -> DittoAvatar:
    return tiny_engine(tiny_ditto)


@pytest.fixture(scope="module")
def portrait(engine: DittoAvatar) -> DittoPortrait:
    return mira(engine)


@EITHER
@pytest.mark.parametrize("n", LENGTHS)
def test_a_reply_is_as_long_as_its_sound_and_the_same_wherever_it_is_cut(
    engine: DittoAvatar, portrait: DittoPortrait, n: int, is_live: bool
) -> None:
    sound = voice(n)
    whole = spoken(engine, portrait, sound, is_live=is_live)
    assert whole.shape == (n + TAIL, 126)
    assert np.isfinite(whole).all()
    for at in ((1,), (n // 2, n // 2 + 1), (10, 20, 35, 60), (n,)):
        cut = spoken(engine, portrait, sound, at, is_live=is_live)
        np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-4)


@EITHER
@pytest.mark.parametrize("n", [1, 9, 40])
def test_fades_as_long_as_they_may_be_are_the_same_wherever_a_reply_is_cut(
    engine: DittoAvatar, portrait: DittoPortrait, n: int, is_live: bool
) -> None:
    longest = {c.name: c.maximum for c in engine.capabilities.controls if "fade" in c.name}
    asked: dict[str, Any] = {"is_live": is_live, "controls": longest}
    whole = spoken(engine, portrait, voice(n), **asked)
    for at in ((n // 2,), (n,), (n - 1, n)):
        cut = spoken(engine, portrait, voice(n), at, **asked)
        np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-4)


def test_a_face_comes_to_rest_within_the_frames_that_it_has_for_that(
    engine: DittoAvatar, portrait: DittoPortrait
) -> None:
    asked = stretch(engine, voice(60), range(40), controls={"fade_out_s": 0.32})
    moving, _ = engine.move(portrait, asked)
    for n_rest in (1, 3):
        rested, _ = engine.move(portrait, replace(asked, n_rest_frames=n_rest))
        assert np.array_equal(rested[: 40 - n_rest], moving[: 40 - n_rest])
        assert np.abs(rested[-1] - moving[-1]).max() > 1e-3


_GO_ON = """
import sys
from pathlib import Path
from tests.ditto.replies import *

engine = tiny_engine(Path(sys.argv[1]))
for is_live, state in ((True, sys.argv[2]), (False, sys.argv[3])):
    state = Path(state).read_bytes()
    rest = stretch(engine, voice(140), range(23, 148), state, TAIL, is_live=is_live)
    sys.stdout.buffer.write(engine.move(mira(engine), rest)[0].tobytes())
"""


def test_another_process_goes_on_with_the_same_motion(
    engine: DittoAvatar, portrait: DittoPortrait, tiny_ditto: Path, tmp_path: Path
) -> None:
    sound, files = voice(140), []
    for is_live in (True, False):
        _, state = engine.move(portrait, stretch(engine, sound, range(23), is_live=is_live))
        assert len(state) < 1_000_000
        files.append(tmp_path / f"state {is_live}")
        files[-1].write_bytes(state)
    command = [sys.executable, "-c", _GO_ON, *map(str, (tiny_ditto, *files))]
    done = subprocess.run(command, capture_output=True, check=True)
    there = np.frombuffer(done.stdout, np.float32).reshape(2, 125, 126)
    for is_live, motion in zip((True, False), there, strict=True):
        whole = spoken(engine, portrait, sound, is_live=is_live)
        np.testing.assert_allclose(motion, whole[23:], rtol=0, atol=1e-4)


@EITHER
def test_sound_that_comes_late_still_gives_every_frame(
    engine: DittoAvatar, portrait: DittoPortrait, is_live: bool
) -> None:
    sound, parts, state = voice(200), [], None
    whole = spoken(engine, portrait, sound, is_live=is_live)
    for frames in cuts(200, (10, 20, 35, 60)):
        asked = stretch(engine, sound, frames, state, is_live=is_live)
        if frames.start < 60:  # nothing beyond its frames is there yet
            samples = asked.audio.samples[: 960 * len(frames)]
            asked = replace(asked, audio=replace(asked.audio, samples=samples))
        again, _ = engine.move(portrait, asked)
        motion, state = engine.move(portrait, asked)
        assert np.array_equal(motion, again)
        parts.append(motion)
    shown = np.concatenate(parts)
    assert shown.shape == (200, 126)
    # Where no more is late, the face moves as ever, though from another first frame.
    steps, want = (np.diff(motion[70:200, 63:], axis=0) for motion in (shown, whole))
    assert np.corrcoef(steps.ravel(), want.ravel())[0, 1] > 0.99


@EITHER
def test_more_sound_than_is_asked_for_changes_nothing(
    engine: DittoAvatar, portrait: DittoPortrait, is_live: bool
) -> None:
    sound = voice(25 * 60)
    asked = stretch(engine, sound, range(10), is_live=is_live)
    more = replace(asked, audio=replace(asked.audio, samples=sound))
    (motion, state), (again, packed) = (engine.move(portrait, one) for one in (asked, more))
    assert np.array_equal(motion, again)
    assert state == packed
    assert len(packed) < 1_000_000


def portraits(engine: DittoAvatar) -> list[DittoPortrait]:
    """Four different faces."""
    source = builtin_portraits()[0]
    assert source.landmarks is not None
    sources = [source]
    for i in range(3):
        image = np.roll(source.image, 20 * (i + 1), axis=1)
        landmarks = source.landmarks + np.array([20 * (i + 1), 0], np.float32)
        sources.append(PortraitSource(f"face-{i}", "", image, landmarks, builtin=False))
    return [engine.prepare(one) for one in sources]


def test_sessions_drawn_in_one_batch_are_drawn_as_alone(engine: DittoAvatar) -> None:
    requests = []
    for i, face in enumerate(portraits(engine)):
        motion, _ = engine.move(face, stretch(engine, voice(30), range(12), seed=i))
        requests.append(DrawRequest(face, motion[-1], 0.1))
    together = engine.draw(requests)
    alone = [engine.draw([request])[0] for request in requests]
    assert np.abs(np.stack(together).astype(int) - np.stack(alone)).max() <= 1
    assert np.abs(together[0].astype(int) - together[1]).mean() > 1


def test_stretches_moved_together_move_as_alone(engine: DittoAvatar) -> None:
    assert isinstance(engine, MovesTogether)
    requests = [
        MoveRequest(face, stretch(engine, voice(40 + i), range(8 + i), seed=i, is_live=i != 2))
        for i, face in enumerate(portraits(engine))
    ]
    for request, moved in zip(requests, engine.move_together(requests), strict=True):
        assert not isinstance(moved, AvatarError)
        alone = engine.move(request.portrait, request.stretch)
        np.testing.assert_allclose(moved[0], alone[0], rtol=0, atol=1e-4)
    assert engine.move_together([]) == []


def test_what_is_wrong_with_one_stretch_is_no_others_affair(
    engine: DittoAvatar, portrait: DittoPortrait
) -> None:
    good = stretch(engine, voice(40), range(10))
    bad = [replace(good, motion_state=b"no state"), replace(good, controls={"nose": 1.0})]
    moved = engine.move_together([MoveRequest(portrait, one) for one in (bad[0], good, bad[1])])
    assert [isinstance(one, EngineInputError) for one in moved] == [True, False, True]


def test_states_of_the_other_way_or_of_other_settings_are_refused(
    engine: DittoAvatar, portrait: DittoPortrait, tiny_ditto: Path
) -> None:
    live = stretch(engine, voice(40), range(10))
    _, state = engine.move(portrait, live)
    others = (replace(live, is_live=False), live)
    for other, asked in zip((engine, tiny_engine(tiny_ditto, live_steps=3)), others, strict=True):
        with pytest.raises(EngineInputError, match="another way of moving"):
            other.move(portrait, replace(asked, motion_state=state))


def idle(n_frames: int = 200) -> Stretch:
    """As the deployment asks for its idle loop."""
    return Stretch("mira", AudioChunk(np.zeros(0, np.float32), 16_000), (), 0, n_frames, None, 8)


def test_a_silent_face_moves_a_little_blinks_and_comes_to_rest(
    engine: DittoAvatar, portrait: DittoPortrait
) -> None:
    motion = engine.move(portrait, idle())[0].reshape(200, 2, 21, 3)
    source, driven = motion[:, 0], motion[:, 1]
    assert np.array_equal(source, np.repeat(source[:1], 200, axis=0))
    assert np.array_equal(driven[0], driven[-1])
    lips, eyes = [6, 12, 14, 17, 19, 20], [11, 13, 15, 16, 18]
    moved = np.abs(np.diff(driven, axis=0))
    assert (moved[20:150].max(axis=(1, 2)) > 1e-5).all()
    open_eyes, _ = engine.move(portrait, replace(idle(), controls={"blink_rate": 0.0}))
    blinks = np.abs(driven - open_eyes.reshape(motion.shape)[:, 1])
    blinking = blinks[:, eyes].max(axis=(1, 2)) > 1e-3
    assert 14 <= blinking.sum() <= 45  # one to three blinks of 15 frames, open in the first
    assert blinks[:, lips].max() < blinks[:, eyes].max() / 4  # the stitch network spreads some


def test_each_reply_moves_otherwise_and_a_seed_too(
    engine: DittoAvatar, portrait: DittoPortrait, tiny_ditto: Path
) -> None:
    asked = stretch(engine, voice(40), range(20))
    first, state = engine.move(portrait, replace(asked, n_rest_frames=8))
    others = [
        engine.move(portrait, replace(asked, seed=1))[0],
        engine.move(portrait, replace(asked, motion_state=state))[0],
        tiny_engine(tiny_ditto, seed=3).move(portrait, asked)[0],
    ]
    for other in others:
        assert np.abs(other - first)[5:12].max() > 1e-3


def test_looks_of_all_and_of_one_avatar(tiny_ditto: Path) -> None:
    engine = tiny_engine(
        tiny_ditto,
        look={"controls": {"head_yaw_deg": 12.0, "head_motion": 0.0, "expression": 0.0}},
        looks={"ana": {"controls": {"head_yaw_deg": -12.0}}},
    )
    portrait = mira(engine)

    def turned(avatar_id: str, **controls: float) -> float:
        asked = replace(idle(40), avatar_id=avatar_id, controls=controls)
        motion = engine.move(portrait, asked)[0].reshape(-1, 2, 21, 3)
        return float((motion[20, 1] - motion[20, 0])[:, 0].mean())

    defaults = {control.name: control.default for control in engine.capabilities.controls}
    assert (defaults["head_yaw_deg"], defaults["head_motion"]) == (12.0, 0.0)
    assert turned("mira") == pytest.approx(turned("ana", head_yaw_deg=12.0), abs=1e-6)
    assert turned("ana") == pytest.approx(turned("mira", head_yaw_deg=-12.0), abs=1e-6)
    assert turned("ana") != pytest.approx(turned("mira"), abs=1e-3)


def test_motion_of_another_engine_is_refused(engine: DittoAvatar, portrait: DittoPortrait) -> None:
    with pytest.raises(EngineInputError, match="motion of shape"):
        engine.draw([DrawRequest(portrait, np.zeros(16, np.float32), 0.1)])


class _Failing(FakeNetworks):
    """A declared fake whose drawing fails as told."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def paint(self, volumes: Sequence[FloatArray], motion: FloatArray) -> NDArray[np.uint8]:
        raise self._error


@pytest.mark.parametrize(
    ("kind", "raised"),
    [("OutOfMemoryError", "OutOfMemoryError"), ("AcceleratorError", "LoadError")],
)
def test_a_full_card_is_told_from_one_that_is_lost(kind: str, raised: str) -> None:
    import torch

    engine = fake_engine(_Failing(getattr(torch, kind)("the card")))
    portrait = mira(engine)
    motion, _ = engine.move(portrait, idle(2))
    with pytest.raises(Exception, match="the card") as caught:
        engine.draw([DrawRequest(portrait, motion[0], 0.1)])
    assert type(caught.value).__name__.endswith(raised)
