"""Motion becomes frames: what moves, what stays, what is seen between the lips."""

import itertools
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.avatar.engine import DrawRequest
from deployments.avatar.portraits import builtin_portraits
from deployments.avatar.warp2d import Warp2dAvatar, mesh
from deployments.avatar.warp2d.columns import N_COLUMNS, Column
from deployments.avatar.warp2d.draw import WarpPortrait
from deployments.errors import EngineInputError, UnusableInputError
from deployments.types import PortraitSource


@cache
def engine() -> Warp2dAvatar:
    return Warp2dAvatar(Warp2dAvatar.Settings())


@cache
def portrait() -> WarpPortrait:
    return engine().prepare(source())


def source() -> PortraitSource:
    return builtin_portraits()[0]


def pose(**columns: float) -> NDArray[np.float32]:
    row = np.zeros(N_COLUMNS, np.float32)
    for name, value in columns.items():
        row[Column[name.upper()]] = value
    return row


def drawn(**columns: float) -> NDArray[np.int64]:
    request = DrawRequest(portrait(), pose(**columns), 0.0)
    return engine().draw([request])[0].astype(np.int64)


def points() -> NDArray[np.float64]:
    """The landmarks in the frame's pixels."""
    landmarks = source().landmarks
    assert landmarks is not None
    found: NDArray[np.float64] = landmarks.astype(np.float64) * 384 / source().image.shape[1]
    return found


def mouth_box() -> tuple[slice, slice]:
    lips = points()[list(mesh.LIP_UPPER_OUTER + mesh.LIP_LOWER_OUTER)]
    (x0, y0), (x1, y1) = lips.min(axis=0).astype(int), lips.max(axis=0).astype(int)
    return slice(y0 - 4, y1 + 24), slice(x0 - 4, x1 + 4)


def differs(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
    changed: NDArray[np.bool_] = np.abs(a - b).max(axis=2) > 24
    return changed


def test_the_rest_pose_is_the_portrait_itself() -> None:
    import cv2

    image = np.asarray(cv2.resize(source().image, (384, 576), interpolation=cv2.INTER_AREA))
    # The picture is kept at 1.5 times the frame and read once more, so it is not bit for bit.
    assert np.abs(drawn() - image.astype(int)).mean() < 1.0


def test_an_open_jaw_shows_the_dark_of_the_mouth_and_changes_nothing_above_the_nose() -> None:
    rest, opened = drawn(), drawn(jaw=0.9)
    assert rest[mouth_box()].sum(axis=2).min() > 120
    assert (opened[mouth_box()].sum(axis=2) < 120).sum() > 100
    eyes = int(points()[list(mesh.EYE_LOWER[0]), 1].max()) + 6
    assert not differs(rest, opened)[:eyes].any()


def test_closed_lips_show_no_teeth_whatever_else_the_mouth_does() -> None:
    seam = points()[13]
    for shape in (pose(press=1), pose(wide=1, press=1), pose(round=1, press=1)):
        frame = engine().draw([DrawRequest(portrait(), shape, 0.0)])[0].astype(int)
        x, y = int(seam[0]), int(seam[1])
        lips = frame[y - 3 : y + 4, x - 20 : x + 21]
        red_over_blue = lips[..., 2] - lips[..., 0]
        assert red_over_blue.min() > 20  # skin and lips are red; teeth are not


JUST_PARTED = ({"jaw": 0.02}, {"jaw": 0.03, "press": 0.7}, {"wide": 0.5, "jaw": 0.02})


@pytest.mark.parametrize("shape", JUST_PARTED)
def test_lips_that_barely_part_show_neither_teeth_nor_black_corners(
    shape: dict[str, float],
) -> None:
    rest, parted = drawn()[mouth_box()], drawn(**shape)[mouth_box()]
    assert differs(rest, parted).any()  # they do part
    assert (parted[..., 2] - parted[..., 0]).min() > 20  # red: no enamel
    assert parted.sum(axis=2).min() > rest.sum(axis=2).min() - 25


def test_lips_part_gradually() -> None:
    frames = [drawn(jaw=jaw)[mouth_box()] for jaw in np.arange(0, 0.12, 0.005)]
    steps = [np.abs(a - b).max() for a, b in itertools.pairwise(frames)]
    assert max(steps) <= 24


def test_teeth_are_seen_in_a_spread_mouth_and_are_not_one_flat_strip() -> None:
    frame = drawn(jaw=0.24, wide=0.9, **{"raise": 0.3})
    box = frame[mouth_box()]
    bright = box.min(axis=2) > 135
    grey = (box.max(axis=2) - box.min(axis=2)) < 70
    teeth = bright & grey
    assert teeth.sum() > 60
    assert box[teeth].sum(axis=1).std() > 20


def test_a_blink_covers_the_iris_with_skin_and_leaves_the_mouth_alone() -> None:
    landmarks = source().landmarks
    assert landmarks is not None
    rest, shut = drawn(), drawn(blink=1)
    for iris in (landmarks[468], landmarks[473]):
        x, y = (iris * 384 / source().image.shape[1]).astype(int)
        assert rest[y - 2 : y + 3, x - 2 : x + 3].mean() < 90  # pupil and iris
        lid = shut[y - 3 : y + 2, x - 6 : x + 7]
        assert lid.mean() > 120
        assert lid.mean(axis=2).std() < 16  # no dark streaks
    assert not differs(rest, shut)[mouth_box()].any()


def test_a_blink_goes_through_phases() -> None:
    landmarks = source().landmarks
    assert landmarks is not None
    x, y = (landmarks[468] * 384 / source().image.shape[1]).astype(int)
    box = slice(y - 12, y + 13), slice(x - 12, x + 13)
    skin = [drawn(blink=shut)[box].mean() for shut in (0, 0.3, 0.5, 0.7, 1)]
    assert skin == sorted(skin)


def test_gaze_moves_the_iris_to_either_side() -> None:
    landmarks = source().landmarks
    assert landmarks is not None
    x, y = (landmarks[468] * 384 / source().image.shape[1]).astype(int)

    def pupil(**columns: float) -> float:
        dark = 255.0 - drawn(**columns)[y - 3 : y + 4, x - 16 : x + 17].mean(axis=(0, 2))
        weight = np.clip(dark - 150, 0, None)
        return float((weight * np.arange(33)).sum() / weight.sum())

    assert pupil(gaze_x=-1) + 2 < pupil() < pupil(gaze_x=1) - 2


@pytest.mark.parametrize("column", ["yaw", "pitch", "roll"])
def test_the_head_moves_and_the_background_stays(column: str) -> None:
    rest, turned = drawn(), drawn(**{column: 1.0})
    assert differs(rest, turned)[180:350, 120:260].any()
    for corner in (np.s_[:40, :40], np.s_[:40, -40:], np.s_[-30:, :30], np.s_[-30:, -30:]):
        assert np.abs(rest[corner] - turned[corner]).max() <= 6


def test_a_small_change_of_motion_is_a_small_change_of_picture() -> None:
    for a in np.linspace(0, 0.95, 8):
        step = np.abs(drawn(jaw=a) - drawn(jaw=a + 0.02))
        assert step.mean() < 0.6


def test_motion_of_another_engine_is_refused() -> None:
    with pytest.raises(EngineInputError):
        engine().draw([DrawRequest(portrait(), np.zeros(3, np.float32), 0.0)])


def test_a_picture_without_landmarks_or_with_a_tiny_face_is_refused() -> None:
    whole = source()
    blind = PortraitSource("x", "X", whole.image, None, {})
    with pytest.raises(UnusableInputError) as no_face:
        engine().prepare(blind)
    assert no_face.value.code == "no_face"
    assert whole.landmarks is not None
    tiny = PortraitSource("x", "X", whole.image[::8, ::8], np.float32(0.125) * whole.landmarks, {})
    with pytest.raises(UnusableInputError) as too_small:
        engine().prepare(tiny)
    assert too_small.value.code == "too_small"


def test_two_portraits_in_one_batch_do_not_mix() -> None:
    whole = source()
    mirrored = PortraitSource("b", "B", 255 - whole.image, whole.landmarks, {})
    other = engine().prepare(mirrored)
    row = pose(jaw=0.5, blink=0.5)
    mixed = engine().draw([DrawRequest(p, row, 0.0) for p in (portrait(), other, portrait())])
    assert np.array_equal(mixed[0], mixed[2])
    assert np.array_equal(mixed[0], engine().draw([DrawRequest(portrait(), row, 0.0)])[0])
    assert np.abs(mixed[0].astype(int) - mixed[1].astype(int)).mean() > 30
