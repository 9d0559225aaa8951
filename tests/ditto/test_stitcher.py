"""Motion drives a face, and controls change it, as in the published implementation."""

from random import Random
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.blink import blink_rows
from deployments.avatar.ditto.stitcher import (
    Blinks,
    Stitcher,
    StitchSettings,
    StitchState,
    scale_ratio,
)
from deployments.avatar.ditto.vector import FloatArray, to_vector
from deployments.errors import ConfigError
from tests.ditto.golden import golden
from tests.ditto.recipes import cases_of, character, stitch_net, xd, xs

_GOLDEN = golden("09_motion_stitch")
_CASES = cases_of("09_motion_stitch")
_NAMES = {
    "relative_d": "is_relative",
    "drive_eye": "drives_eyes",
    "fade_type": "fade_to",
    "fade_out_keys": "fade_keys",
    "flag_stitching": "stitches",
    "overall_ctrl_info": "overall",
}


def settings_of(case: dict[str, Any]) -> StitchSettings:
    setup = case.get("setup", {})
    values = {ours: setup[theirs] for theirs, ours in _NAMES.items() if theirs in setup}
    keys = setup.get("use_d_keys")
    gains = dict.fromkeys(keys, 1.0) if isinstance(keys, list) else keys
    every = range(case.get("frames", 4))
    by_frame = dict.fromkeys(every, case["call"]) if "call" in case else {}
    return StitchSettings(gains=gains, by_frame=by_frame, **values)


def stitcher_of(case: dict[str, Any]) -> Stitcher:
    setup, source = case.get("setup", {}), character(*((1, 2, 3, 4) if "video" in case else (1,)))
    blinks, ratio = None, 1.0
    if "delta_eye_arr" in setup:
        shifts = _GOLDEN["delta_eye_arr"]
        rows = blink_rows(setup["N_d"], len(shifts), setup["delta_eye_open_n"], Random(0))
        blinks = Blinks(shifts, rows)
    if "ch_scale" in case:
        ratio = float(xs(5, scale=case["ch_scale"])["scale"][0] / xs(1)["scale"][0])
    return Stitcher(source, settings_of(case), stitch_net(), blinks, ratio)


def motion(n: int) -> FloatArray:
    return np.stack([to_vector(xd(10 + i % 8)) for i in range(n)])


def close(got: Any, wanted: Any, tolerance: float) -> None:
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: str(case["name"]))
def test_a_face_is_driven_as_published(case: dict[str, Any]) -> None:
    start = StitchState(anchor=to_vector(xd(case["d0"])) if "d0" in case else None)
    rows = motion(case.get("frames", 4))
    source, driven, _ = stitcher_of(case).advance(start, rows)
    close(source, _GOLDEN[f"{case['name']}_x_s"], 2e-6)
    close(driven, _GOLDEN[f"{case['name']}_x_d"], 2e-6)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: str(case["name"]))
def test_frames_one_by_one_are_frames_at_once(case: dict[str, Any]) -> None:
    stitcher, state, alone = stitcher_of(case), StitchState(), []
    _, at_once, _ = stitcher.advance(StitchState(), motion(8))
    for row in motion(8):
        _, driven, state = stitcher.advance(state, row[None])
        alone.append(driven)
    close(np.concatenate(alone), at_once, 1e-6)
    assert state.frame == 8


def test_no_motion_is_no_frame() -> None:
    stitcher = stitcher_of({"name": "nothing"})
    source, driven, state = stitcher.advance(StitchState(), motion(1)[:0])
    assert source.shape == driven.shape == (0, 21, 3)
    assert state.frame == 0


def test_faded_out_the_face_is_its_portrait() -> None:
    settings = StitchSettings(
        fade_to="s",
        fade_keys=None,
        drives_eyes=False,
        overall={"fade_alpha": 0.0, "delta_yaw": 9.0},
        stitches=False,
    )
    source, driven, _ = Stitcher(character(1), settings, stitch_net()).advance(
        StitchState(), motion(3)
    )
    close(driven, source, 1e-6)


def test_a_reference_with_a_larger_head_is_known() -> None:
    assert scale_ratio(character(2), character(1)) == pytest.approx(1.32 / 1.31)


def test_controls_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match="delta_nose"):
        StitchSettings(by_frame={3: {"delta_nose": 1.0}})
    with pytest.raises(ConfigError, match="nose"):
        StitchSettings(gains={"nose": 1.0})
