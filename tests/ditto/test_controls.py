"""What a caller asks of a face changes just that."""

import numpy as np
import pytest

from deployments.avatar.controls import checked
from deployments.avatar.ditto import controls
from deployments.avatar.ditto.condition import EMOTIONS, emotion_of
from deployments.avatar.ditto.pose import degrees, key_points
from deployments.avatar.ditto.stitcher import Stitcher, StitchSettings, StitchState
from deployments.avatar.ditto.vector import FloatArray, to_vector
from deployments.errors import EngineInputError
from tests.ditto.recipes import character, stitch_net, xd, xs

_USUAL = emotion_of([4])[None]


def driven(settings: StitchSettings, **asked: float) -> FloatArray:
    """Key points (4, 21, 3), without the network that changes them all."""
    stitching = controls.stitching(settings, checked(controls.CONTROLS, asked), is_video=False)
    motion = np.stack([to_vector(xd(10 + i)) for i in range(4)])
    return Stitcher(character(1), stitching, stitch_net()).advance(StitchState(), motion)[1]


def test_nothing_asked_for_changes_nothing() -> None:
    settings = StitchSettings(stitches=False)
    motion = np.stack([to_vector(xd(10 + i)) for i in range(4)])
    plain = Stitcher(character(1), settings, stitch_net()).advance(StitchState(), motion)[1]
    assert np.array_equal(driven(settings), plain)
    assert controls.emotion(_USUAL, checked(controls.CONTROLS, {})) is _USUAL


def test_emotions_blend_with_each_other_and_with_the_usual_one() -> None:
    happy, sad = (emotion_of([EMOTIONS.index(name)])[None] for name in ("happy", "sad"))
    for asked, want in (
        ({"emotion_happy": 1.0}, happy),
        ({"emotion_happy": 0.25}, 0.25 * happy + 0.75 * _USUAL),
        ({"emotion_happy": 1.0, "emotion_sad": 1.0}, 0.5 * happy + 0.5 * sad),
    ):
        got = controls.emotion(_USUAL, checked(controls.CONTROLS, asked))
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
        assert got.sum() == pytest.approx(1.0, abs=1e-5)


def test_a_turned_head_is_turned_by_so_many_degrees_beside_what_the_settings_ask() -> None:
    settings = StitchSettings(stitches=False, drives_eyes=False, overall={"delta_yaw": 2.0})
    turned = driven(settings, head_yaw_deg=10.0, expression=0.0, head_motion=0.0)
    face = xs(1)
    want = key_points({**face, "yaw": degrees(face["yaw"]) + np.float32(12.0)})
    np.testing.assert_allclose(turned, np.stack([want] * 4), rtol=0, atol=1e-6)


def test_gaze_moves_the_eyes_only_and_to_either_side() -> None:
    settings = StitchSettings(stitches=False)
    plain, right, left = (driven(settings, gaze_x=x) for x in (0.0, 1.0, -1.0))
    moved = np.abs(right - plain).max(axis=(0, 2)) > 1e-6
    assert np.flatnonzero(moved).tolist() == [11, 15]
    assert ((right - plain)[:, [11, 15], 0] > 0).all()
    assert ((left - plain)[:, [11, 15], 0] < 0).all()
    up = driven(settings, gaze_y=1.0) - plain
    assert (np.abs(up[:, [11, 15], 1]) > 1e-3).all()


def alphas(frames: range, n_in: int, n_out: int) -> dict[int, float]:
    return {i: c["fade_alpha"] for i, c in controls.fading(frames, n_in, n_out).items()}


def test_a_reply_comes_out_of_the_portrait_and_goes_back_to_it() -> None:
    assert alphas(range(100, 110), 5, 0) == {}
    assert alphas(range(100, 110), 5, 4) == {106: 0.75, 107: 0.5, 108: 0.25, 109: 0.0}
    assert alphas(range(3), 4, 0) == {0: 0.0, 1: 0.25, 2: 0.5}
    assert alphas(range(3, 9), 4, 0) == {3: 0.75}
    assert alphas(range(3), 2, 2) == {0: 0.0, 1: 0.25, 2: 0.0}  # too short for both
    assert alphas(range(5, 7), 0, 2) == {5: 0.5, 6: 0.0}


@pytest.mark.parametrize("asked", [{"nose": 1.0}, {"gaze_x": 1.5}, {"emotion_sad": -0.1}])
def test_what_no_face_can_do_is_refused(asked: dict[str, float]) -> None:
    with pytest.raises(EngineInputError):
        checked(controls.CONTROLS, asked)
