"""The face's square and the state of its eyes, against the published implementation."""

import cv2
import numpy as np
import pytest

from deployments.avatar.ditto.crop import (
    MESH,
    POINTS_106,
    POINTS_203,
    CropSettings,
    Layout,
    cut,
    inverted,
    placed,
    to_crop,
)
from deployments.avatar.ditto.eyes import eye_state
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.portraits import builtin_portraits
from tests.ditto.fill_weights import det_image
from tests.ditto.golden import furthest, golden

# The published code was told to move one of these sideways as well, and did not.
_CROPS: tuple[tuple[str, Layout, CropSettings, int], ...] = (
    ("p106_d224", POINTS_106, CropSettings(scale=1.5, y=-0.1), 224),
    ("p203_d512", POINTS_203, CropSettings(), 512),
    ("p203_d512_norot", POINTS_203, CropSettings(turns=False), 512),
    ("p203_d512_vx", POINTS_203, CropSettings(scale=1.8, y=0.05), 512),
)


@pytest.mark.parametrize(("name", "layout", "settings", "side"), _CROPS)
def test_a_face_is_cut_out_upright(
    name: str, layout: Layout, settings: CropSettings, side: int
) -> None:
    want = golden("12_crop")
    matrix = to_crop(want[name[:4]], layout, settings, side)
    assert furthest(matrix, want[f"{name}_M_o2c"]) < 1e-3
    assert furthest(inverted(matrix), want[f"{name}_M_c2o"]) < 1e-3
    if name != "p203_d512_vx":
        got = cut(det_image(3, 480, 640), matrix, side)[::4, ::4].astype(int)
        assert np.abs(got - want[f"{name}_img_s4"]).max() <= 1


def test_the_square_moves_along_the_face() -> None:
    points = golden("12_crop")["p203"]
    usual, right = (to_crop(points, POINTS_203, CropSettings(x=x), 512) for x in (0.0, 0.1))
    np.testing.assert_allclose(
        placed(points, right), placed(points, usual) - (51.2, 0.0), atol=1e-3
    )


def test_points_in_one_place_still_give_a_direction() -> None:
    points = np.tile(np.array((40, 30), np.float32), (203, 1))
    points[108] += 10  # of the cheek, so that the face has a size
    matrix = to_crop(points, POINTS_203, CropSettings(), 512)
    assert matrix[0, 1] == 0
    assert matrix[0, 0] > 0


def test_a_tilted_face_fills_its_square_as_the_upright_one_does() -> None:
    portrait = builtin_portraits()[0]
    assert portrait.landmarks is not None
    turn = np.vstack((cv2.getRotationMatrix2D((300, 500), 20, 0.7), (0, 0, 1))).astype(np.float32)
    seen = [
        placed(points, to_crop(points, MESH, CropSettings(), 512))
        for points in (portrait.landmarks, placed(portrait.landmarks, turn))
    ]
    np.testing.assert_allclose(seen[0], seen[1], atol=0.01)


def test_eyes_are_as_open_and_look_where_the_published_code_says() -> None:
    want = golden("11_eye_state")
    for i, points in enumerate(want["lmk478"]):
        eye_open, eye_ball = eye_state(points)
        assert furthest(eye_open, want["open"][i]) < 1e-6
        assert furthest(eye_ball, want["ball_row"][i]) < 1e-6


def face_of(*, gaze: float, depth: float) -> FloatArray:
    """(478, 3): two eyes 0.1 wide and 0.05 high, which look ``gaze`` to the right; their outer
    corners lie ``depth`` behind everything else."""
    points = np.zeros((478, 3), np.float32)
    for middle, outer, inner, above, below, iris in (
        (0.35, 33, 133, (158, 159, 160), (153, 145, 144), 468),
        (0.65, 263, 362, (385, 386, 387), (380, 374, 373), 473),
    ):
        side = 0.05 if outer == 33 else -0.05
        points[outer], points[inner] = (middle - side, 0.5, depth), (middle + side, 0.5, 0)
        points[list(above), :2], points[list(below), :2] = (middle, 0.475), (middle, 0.525)
        points[iris, :2] = (middle + gaze, 0.5)
    return points


@pytest.mark.parametrize("gaze", [-0.02, 0.0, 0.01])
def test_points_without_depth_are_given_that_of_a_usual_eye(gaze: float) -> None:
    points = face_of(gaze=gaze, depth=0.017)
    flat, deep = eye_state(points[:, :2]), eye_state(points)
    np.testing.assert_allclose(flat[0], 1.5, atol=1e-5)
    np.testing.assert_allclose(flat[0], deep[0], rtol=0.02)
    np.testing.assert_allclose(flat[1], deep[1], atol=0.001)


def test_eyes_without_irises_look_ahead() -> None:
    points = face_of(gaze=0.0, depth=0.0)[:, :2]
    for got, wanted in zip(eye_state(points[:468]), eye_state(points), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-7)
