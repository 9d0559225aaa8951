"""A photograph is animated as the painting is: with closed lips, and lids of its own skin."""

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.avatar.engine import DrawRequest
from deployments.avatar.portraits import builtin_portraits
from deployments.avatar.warp2d import Warp2dAvatar, mesh
from deployments.avatar.warp2d.closing import closed, teeth_light
from deployments.avatar.warp2d.columns import N_COLUMNS, Column
from deployments.avatar.warp2d.draw import WarpPortrait
from deployments.avatar.warp2d.geometry import Geometry, in_order
from deployments.faces import FaceFinder
from deployments.faces.framing import framed
from deployments.types import PortraitSource
from tests.portrait_files import needs_detector, photograph
from web.pictures import decode

WIDTH, HEIGHT = 384, 576


@cache
def engine() -> Warp2dAvatar:
    return Warp2dAvatar(Warp2dAvatar.Settings())


def pose(**columns: float) -> NDArray[np.float32]:
    row = np.zeros(N_COLUMNS, np.float32)
    for name, value in columns.items():
        row[Column[name.upper()]] = value
    return row


def drawn(portrait: WarpPortrait, **columns: float) -> NDArray[np.int64]:
    return engine().draw([DrawRequest(portrait, pose(**columns), 0.0)])[0].astype(np.int64)


def painted_points() -> NDArray[np.float64]:
    landmarks = builtin_portraits()[0].landmarks
    assert landmarks is not None
    points: NDArray[np.float64] = landmarks.astype(np.float64) * 384 / 768
    return points


def smiling(gap_px: float) -> PortraitSource:
    """The painting with its lips drawn apart, and a row of white teeth between them."""
    painting = builtin_portraits()[0]
    image, points = painting.image.copy(), painted_points()
    seam = points[list(mesh.LIP_UPPER_INNER)]
    s = np.linspace(-1, 1, len(seam))
    half = gap_px / 2 * (1 - s**2)
    upper, lower = seam - np.stack([half * 0, half], 1), seam + np.stack([half * 0, half], 1)
    outline = np.round(np.concatenate([upper, lower[::-1]]) * 2).astype(np.int32)
    cv2.fillPoly(image, [outline], (235, 240, 245))
    points[list(mesh.LIP_UPPER_INNER)], points[list(mesh.LIP_LOWER_INNER)] = upper, lower
    return PortraitSource("s", "S", image, (points * 2).astype(np.float32), painting.layout, False)


def white(frame: NDArray[np.int64]) -> int:
    """How many pixels of the mouth are as white as teeth."""
    points = painted_points()
    (x0, y0) = points[list(mesh.LIP_UPPER_OUTER)].min(axis=0).astype(int) - 4
    (x1, y1) = points[list(mesh.LIP_LOWER_OUTER)].max(axis=0).astype(int) + 4
    box = frame[y0:y1, x0:x1]
    return int(((box.min(axis=2) > 170) & (np.ptp(box, axis=2) < 50)).sum())


@pytest.mark.parametrize("gap_px", [4.0, 8.0, 16.0])
def test_teeth_that_a_picture_shows_are_covered_by_closed_lips(gap_px: float) -> None:
    source = smiling(gap_px)
    shown = cv2.resize(source.image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    assert white(shown.astype(np.int64)) > 60
    portrait = engine().prepare(source)
    for shape in ({}, {"press": 1.0}, {"blink": 1.0}, {"yaw": 1.0, "roll": 1.0}):
        assert white(drawn(portrait, **shape)) <= 6  # at the corners


def test_they_are_seen_again_when_the_mouth_opens() -> None:
    assert white(drawn(engine().prepare(smiling(8.0)), jaw=0.4, wide=0.5)) > 60


def test_closing_the_lips_moves_them_to_where_they_meet_and_leaves_the_eyes_alone() -> None:
    source = smiling(8.0)
    points = np.asarray(source.landmarks, np.float64)[: mesh.N_POINTS] / 2
    canvas = np.asarray(cv2.resize(source.image, (WIDTH, HEIGHT)), np.uint8)
    picture, moved = closed(canvas, points, 1.0)
    assert np.array_equal(moved[list(mesh.LIP_UPPER_INNER)], moved[list(mesh.LIP_LOWER_INNER)])
    above = int(points[list(mesh.EYE_LOWER[0]), 1].max()) + 10
    away = np.abs(picture[:above].astype(int) - canvas[:above])
    assert away.max() <= 12
    assert away.mean() < 0.05
    assert np.abs(moved - points).max() < 8.0


def test_a_wide_open_mouth_takes_the_chin_up_with_it() -> None:
    source = smiling(24.0)
    points = np.asarray(source.landmarks, np.float64)[: mesh.N_POINTS] / 2
    canvas = np.asarray(cv2.resize(source.image, (WIDTH, HEIGHT)), np.uint8)
    _, moved = closed(canvas, points, 1.0)
    assert moved[mesh.CHIN, 1] < points[mesh.CHIN, 1] - 5
    assert moved[10] == pytest.approx(points[10])


def test_lips_that_are_closed_stay_as_they_are() -> None:
    painting = builtin_portraits()[0]
    canvas = np.asarray(cv2.resize(painting.image, (WIDTH, HEIGHT)), np.uint8)
    points = painted_points()[: mesh.N_POINTS]
    picture, moved = closed(canvas, points, 1.0)
    assert picture is canvas
    assert moved is points
    assert teeth_light(canvas, points, 1.0) == 1.0


def test_painted_teeth_are_as_bright_as_those_of_the_picture() -> None:
    def light(level: int) -> float:
        source = smiling(8.0)
        points = np.asarray(source.landmarks, np.float64)[: mesh.N_POINTS]
        inner = [*mesh.LIP_UPPER_INNER, *reversed(mesh.LIP_LOWER_INNER)]
        cv2.fillPoly(source.image, [np.round(points[inner]).astype(np.int32)], (level,) * 3)
        return teeth_light(source.image, points, 1.0)

    assert light(230) > light(190) > 1.0 > light(150)
    assert light(40) == 1.0  # the dark of an open mouth says nothing of teeth


def test_landmarks_of_thin_lips_are_brought_into_order() -> None:
    points = painted_points()[: mesh.N_POINTS]
    thin = points.copy()
    for row in (mesh.LIP_UPPER_OUTER, *mesh.LIP_UPPER_ROWS):
        ids = list(row[1:-1])
        thin[ids, 1] = np.interp(thin[ids, 0], *points[list(mesh.LIP_UPPER_INNER)].T) + 0.5
    ordered = in_order(thin)
    rows = [mesh.LIP_UPPER_OUTER, *mesh.LIP_UPPER_ROWS, mesh.LIP_UPPER_INNER]
    middles = [ordered[row[len(row) // 2], 1] for row in rows]
    assert middles == sorted(middles)
    assert middles[-1] - middles[0] > 0.03 * Geometry.of(points).mouth_width
    assert in_order(points) == pytest.approx(points, abs=0.05)


def test_thin_lips_are_pressed_without_folds() -> None:
    painting = builtin_portraits()[0]
    points = painted_points()
    seam = points[list(mesh.LIP_UPPER_INNER)].copy()
    for rows, sign in ((mesh.LIP_UPPER_ROWS, -1), (mesh.LIP_LOWER_ROWS, 1)):
        outer = mesh.LIP_UPPER_OUTER if sign < 0 else mesh.LIP_LOWER_OUTER
        for depth, row in zip((1.6, 1.1, 0.6), (outer[1:-1], *rows), strict=True):
            ids = list(row)
            points[ids, 1] = np.interp(points[ids, 0], *seam.T) + sign * depth
    thin = PortraitSource("t", "T", painting.image, np.float32(2) * points.astype(np.float32))
    portrait = engine().prepare(thin)
    rest, pressed = drawn(portrait), drawn(portrait, press=1.0)
    x0, x1 = int(seam[2, 0]), int(seam[-3, 0])
    y = int(seam[5, 1])
    strips = [
        frame[y - 10 : y + 11, x0:x1].mean(axis=2).argmin(axis=0) for frame in (rest, pressed)
    ]
    assert np.abs(np.diff(strips[1])).max() <= np.abs(np.diff(strips[0])).max() + 2


# a real photograph


@cache
def hopper() -> PortraitSource:
    upright, face = FaceFinder().find(decode(photograph(), 10**6), 48.0)
    image, landmarks = framed(upright, face.landmarks, WIDTH, HEIGHT)
    return PortraitSource("g", "G", image, landmarks, builtin=False)


@cache
def portrait() -> WarpPortrait:
    return engine().prepare(hopper())


def points_in_frame() -> NDArray[np.int64]:
    landmarks = hopper().landmarks
    assert landmarks is not None
    placed: NDArray[np.int64] = (landmarks * WIDTH / hopper().image.shape[1]).astype(int)
    return placed


def patch(frame: NDArray[np.int64], at: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean colour around a point."""
    x, y = at
    mean: NDArray[np.float64] = frame[y - 2 : y + 3, x - 3 : x + 4].mean(axis=(0, 1))
    return mean


@needs_detector
def test_a_photographs_rest_pose_is_the_picture() -> None:
    shown = cv2.resize(hopper().image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    assert np.abs(drawn(portrait()) - shown.astype(int)).mean() < 4.0


@needs_detector
def test_its_closed_lids_have_the_colour_of_the_skin_below_them() -> None:
    points, rest, shut = points_in_frame(), drawn(portrait()), drawn(portrait(), blink=1.0)
    cheeks = np.median([patch(shut, points[i]) for i in mesh.UPPER_CHEEKS], axis=0)
    for iris in (468, 473):
        lid = patch(shut, points[iris] - (0, 2))
        assert np.abs(lid - cheeks).max() < 45
        assert lid.mean() > patch(rest, points[iris]).mean() + 30


@needs_detector
def test_its_mouth_opens_on_its_inside_and_the_head_above_stays() -> None:
    points, rest, opened = points_in_frame(), drawn(portrait()), drawn(portrait(), jaw=0.9)
    eyes = points[33, 1] + 12
    assert np.abs(rest[:eyes] - opened[:eyes]).mean() < 1.0
    x, y = points[13]
    inside = np.s_[y : y + 24, x - 10 : x + 11]
    assert np.abs(rest[inside] - opened[inside]).mean() > 30
    neutral = [np.ptp(frame[inside], axis=2) < 60 for frame in (rest, opened)]
    bright = [frame[inside].min(axis=2) > 120 for frame in (rest, opened)]
    teeth = [int((n & b).sum()) for n, b in zip(neutral, bright, strict=True)]
    assert teeth[0] == 0
    assert teeth[1] > 20
