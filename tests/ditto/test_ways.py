"""What a way of moving takes from the configuration, from the portrait and from a stretch."""

from typing import Any

import numpy as np
import pytest

from deployments.avatar.controls import checked
from deployments.avatar.ditto.condition import emotion_of
from deployments.avatar.ditto.controls import CONTROLS
from deployments.avatar.ditto.motion import MotionPath
from deployments.avatar.ditto.published_config import published
from deployments.avatar.ditto.ways import Way, Wishes
from deployments.avatar.portraits import builtin_portraits
from tests.ditto.fake_networks import FakeNetworks
from tests.ditto.recipes import character
from tests.ditto.replies import fake_engine
from tests.tiny_models.make_tiny_ditto import config, live_config

FACE = character(1)


def way(asked: dict[str, Any]) -> Way:
    networks = FakeNetworks()
    return Way(published(asked), networks.hear, networks.stitch, origin="")


def path(asked: dict[str, Any], **controls: float) -> MotionPath:
    wishes = Wishes(checked(CONTROLS, controls), None, {4: {"fade_alpha": 0.5}})
    return way(asked).path(FACE, wishes, seed=5)


def test_the_reference_character_stands_for_the_portrait_where_there_is_one() -> None:
    moved = path(live_config(7))
    reference = moved.windows.conditions.character
    assert moved.stitcher.source is FACE
    assert reference.infos[0]["scale"] == pytest.approx(1.5 + 0.02)
    assert moved.stitcher.scale_ratio == pytest.approx(1.52 / 1.31)
    alone = path(live_config(7) | {"default_kwargs": {"online_mode": True, "overlap_v2": 70}})
    assert alone.windows.conditions.character is alone.stitcher.source is FACE
    assert alone.stitcher.scale_ratio == 1.0
    assert alone.stitcher.blinks is None
    assert alone.windows.limits is None


def test_wishes_are_added_to_what_the_configuration_asks() -> None:
    asked = config(7, ctrl_info={4: {"delta_yaw": 3.0}, 9: {"delta_yaw": 1.0}})
    usual, wished = path(asked), path(asked, emotion_sad=1.0, head_pitch_deg=4.0, blink_rate=2.0)
    sad = np.repeat(emotion_of([5])[None], 600, axis=0)
    np.testing.assert_allclose(wished.windows.conditions.emotion, sad, rtol=0, atol=1e-6)
    assert np.array_equal(usual.windows.conditions.emotion, asked["default_kwargs"]["emo"])
    assert wished.stitcher.settings.overall["delta_pitch"] == 6.0
    frames = wished.stitcher.settings.by_frame
    assert frames == {4: {"delta_yaw": 3.0, "fade_alpha": 0.5}, 9: {"delta_yaw": 1.0}}
    assert usual.stitcher.blinks is not None
    assert wished.stitcher.blinks is not None
    often, seldom = (sum(b.rows) for b in (wished.stitcher.blinks, usual.stitcher.blinks))
    assert often > 1.5 * seldom > 0


def test_live_begins_in_silence_and_offline_does_not() -> None:
    live, offline = way(live_config(7)), way(config(7))
    states = [
        one.path(FACE, Wishes(checked(CONTROLS, {}), None, {}), 1).begin(1)
        for one in (live, offline)
    ]
    assert [len(state.windows.waiting) for state in states] == [70, 0]
    assert (live.n_ahead, offline.n_ahead) == (26, 87)
    assert live.maker != offline.maker


def test_a_picture_of_any_size_shows_the_same_face_in_its_square() -> None:
    [small, large] = (
        fake_engine(width_px=width, height_px=height).prepare(builtin_portraits()[0])
        for width, height in ((192, 288), (512, 768))
    )
    np.testing.assert_allclose(small.volume, large.volume, rtol=0, atol=0.01)
    black = np.zeros((512, 512, 3), np.uint8)
    [covered, wider] = (
        np.argwhere((one.paste.paste(black) == 0).all(axis=2)).mean(axis=0) / size
        for one, size in ((small, 192), (large, 512))
    )
    np.testing.assert_allclose(covered, wider, rtol=0, atol=0.01)
