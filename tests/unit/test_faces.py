"""The one face of a picture, its landmarks, and how it is framed."""

import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from deployments.avatar.portraits import builtin_portraits
from deployments.errors import EngineLoadError, UnusableInputError
from deployments.faces import Face, FaceFinder, weights, why_missing
from deployments.faces.framing import framed
from deployments.types import Frame
from tests.portrait_files import beside, enlarged, needs_detector, painting, photograph
from web.pictures import decode

ROOT = Path(__file__).resolve().parents[2]
LEAST_PX = 48.0


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def only(finder: FaceFinder, picture: Frame, least_px: float = LEAST_PX) -> Face:
    return finder.find(picture, least_px)[1]


def tilted(picture: Frame, degrees: float) -> Frame:
    """Turned clockwise about its middle."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    turned = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, dtype=np.uint8)


def refusal(finder: FaceFinder, picture: Frame) -> tuple[str, str]:
    with pytest.raises(UnusableInputError) as refused:
        finder.find(picture, LEAST_PX)
    return refused.value.code, refused.value.message


@needs_detector
class TestFinding:
    def test_the_landmarks_of_a_painted_face_are_where_they_were_painted(
        self, finder: FaceFinder
    ) -> None:
        painted = builtin_portraits()[0].landmarks
        assert painted is not None
        found = only(finder, painting())
        away = np.linalg.norm(found.landmarks - painted, axis=1) / found.eyes_px
        assert found.landmarks.shape == (478, 2)
        assert away[:468].mean() < 0.025
        assert away[[61, 291, 13, 14, 152, 33, 263]].max() < 0.08
        assert away[468:].max() < 0.06  # each iris: its middle, and its edge in the same order

    def test_a_photograph_of_a_face_with_glasses_and_cap_is_found(self, finder: FaceFinder) -> None:
        face = only(finder, decode(photograph(), 10**6))
        assert face.width_px == pytest.approx(184, abs=6)
        assert face.eyes_px == pytest.approx(126, abs=6)
        assert abs(face.roll) < 0.08
        inside = face.landmarks[[468, 473]]  # the irises, between the corners of their eyes
        corners = face.landmarks[[33, 133, 362, 263], 0]
        assert corners[0] < inside[0, 0] < corners[1] < corners[2] < inside[1, 0] < corners[3]

    @pytest.mark.parametrize("share", [0.2, 0.5])
    def test_a_face_is_found_wherever_it_is_in_a_wide_picture(
        self, finder: FaceFinder, share: float
    ) -> None:
        wall = np.full((1152, 3000, 3), 170, np.uint8)
        small = enlarged(painting(), share)
        at = slice(900, 900 + small.shape[0]), slice(2100, 2100 + small.shape[1])
        if at[0].stop > len(wall):
            at = slice(0, small.shape[0]), at[1]
        wall[at] = small
        face = only(finder, wall, 30.0)
        here = face.landmarks - (at[1].start, at[0].start)
        alone = only(finder, small, 30.0).landmarks
        assert np.abs(here - alone).mean() < 0.04 * face.eyes_px

    @pytest.mark.parametrize("degrees", [-20, 20])
    def test_a_face_that_is_tilted_a_little_is_taken_as_it_is(
        self, finder: FaceFinder, degrees: int
    ) -> None:
        picture = tilted(painting(), degrees)
        same, face = finder.find(picture, LEAST_PX)
        assert same is picture
        assert math.degrees(face.roll) == pytest.approx(degrees, abs=3)

    def test_one_that_is_tilted_much_is_refused(self, finder: FaceFinder) -> None:
        code, text = refusal(finder, tilted(painting(), 34))
        assert code == "no_face"
        assert "tilted" in text

    @pytest.mark.parametrize("n_quarters", [1, 3])
    def test_a_picture_that_lies_on_its_side_is_turned(
        self, finder: FaceFinder, n_quarters: int
    ) -> None:
        lying = np.ascontiguousarray(np.rot90(painting(), n_quarters))
        upright, face = finder.find(lying, LEAST_PX)
        assert np.array_equal(upright, painting())
        assert abs(math.degrees(face.roll)) < 3

    def test_no_face_is_found_where_there_is_none(self, finder: FaceFinder) -> None:
        noise = np.random.default_rng(2).integers(0, 255, (400, 300, 3), np.uint8)
        squares = np.kron(np.indices((8, 8)).sum(axis=0) % 2, np.ones((40, 40))) * 255
        board = np.repeat(squares[..., None], 3, axis=2).astype(np.uint8)
        for picture in (noise, board, np.zeros((1, 1, 3), np.uint8)):
            code, text = refusal(finder, picture)
            assert code == "no_face"
            assert "seen from the front" in text

    def test_two_faces_are_too_many_but_a_small_one_behind_is_not(self, finder: FaceFinder) -> None:
        code, _ = refusal(finder, beside(painting(), painting()))
        assert code == "many_faces"
        passer_by = beside(painting(), enlarged(painting(), 0.25))
        assert only(finder, passer_by).width_px > 300

    def test_a_small_face_is_refused_with_its_size(self, finder: FaceFinder) -> None:
        code, text = refusal(finder, enlarged(painting(), 0.15))
        assert code == "too_small"
        assert " 48" in text

    def test_a_face_squeezed_to_one_side_is_turned_away(self, finder: FaceFinder) -> None:
        face = only(finder, painting())
        assert not face.is_turned_away
        face.landmarks[1] = face.landmarks[234] + (0.2 * face.width_px, 0)
        assert face.is_turned_away


# the networks' files


def test_without_the_wheel_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    text = why_missing()
    assert "face_landmark.tflite" in text
    assert "`pip install --no-deps --require-hashes -r requirements-portraits.lock`" in text
    with pytest.raises(EngineLoadError, match=r"requirements-portraits\.lock"):
        FaceFinder()


def test_the_command_brings_a_lock_of_one_package_with_hashes() -> None:
    lines = (ROOT / "requirements-portraits.lock").read_text().splitlines()
    assert [line for line in lines if "==" in line] == ["mediapipe==0.10.21 \\"]
    assert sum("--hash=sha256:" in line for line in lines) == len(lines) - 1 >= 10


@needs_detector
def test_the_wheel_is_read_and_never_run() -> None:
    program = (
        "import sys; from deployments.faces import FaceFinder, why_missing; "
        "FaceFinder(); print(why_missing(), [m for m in sys.modules if 'mediapipe' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


# framing


def landmarks_in(
    left: float, top: float, width: float
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Those of the painted face, moved and scaled so that they fill a place of that width."""
    painted = builtin_portraits()[0].landmarks
    assert painted is not None
    low, high = painted.min(axis=0), painted.max(axis=0)
    placed: np.ndarray[tuple[int, int], np.dtype[np.float32]] = (
        (painted - low) * (width / float(high[0] - low[0])) + (left, top)
    ).astype(np.float32)
    return placed


def gradient(height: int, width: int) -> Frame:
    """Each pixel tells where it is: a hundredth of its column and row."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 0, x // 20, y // 20], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(384, 576), (512, 512), (640, 360)])
def test_the_frame_has_the_profiles_proportions_with_the_face_in_it(
    width: int, height: int
) -> None:
    picture = gradient(3000, 4000)
    found = landmarks_in(1900, 900, 400)
    cut, moved = framed(picture, found, width, height)
    assert cut.shape[1] / cut.shape[0] == pytest.approx(width / height, rel=0.01)
    assert cut.shape[1] <= 2 * width
    low, high = (
        moved[:468].min(axis=0) / cut.shape[1::-1],
        moved[:468].max(axis=0) / cut.shape[1::-1],
    )
    assert 0.15 < low[0] < high[0] < 0.85
    assert 0.15 < low[1] < high[1] < 0.75
    # Landmarks lie on the same spots of the picture as before.
    for before, after in zip(found[::50], moved[::50], strict=True):
        x, y = after.round().astype(int)
        assert cut[y, x, 1:].astype(int) == pytest.approx(before // 20, abs=1)


def test_a_face_at_the_edge_is_framed_within_the_picture() -> None:
    picture = gradient(1500, 2000)
    cut, moved = framed(picture, landmarks_in(5, 300, 300), 384, 576)
    assert cut[0, 0].tolist()[1] == 0  # the picture's left edge is the frame's
    assert moved[:468, 0].min() == pytest.approx(5 * cut.shape[1] / 652, abs=6)


def test_a_face_that_fills_its_picture_is_given_room_around_it() -> None:
    picture = gradient(420, 400)
    cut, moved = framed(picture, landmarks_in(10, 5, 380), 384, 576)
    share = np.ptp(moved[:468, 0]) / cut.shape[1]
    assert 0.6 < share < 0.85
    assert cut.shape[1] > 400
    outside = cut[:20].astype(int)
    assert np.abs(np.diff(outside, axis=1)).max() <= 2  # a continuation, soft, without borders


def test_a_small_picture_is_not_enlarged() -> None:
    cut, _ = framed(gradient(600, 400), landmarks_in(120, 150, 160), 384, 576)
    assert cut.shape[1] <= 400
