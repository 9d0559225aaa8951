"""What is made of a photograph by MediaPipe's landmarks: the square, the eyes, and refusals."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from deployments.avatar.ditto.crop import CropSettings, placed
from deployments.avatar.ditto.paste import PastePlan
from deployments.avatar.ditto.register import MeshRegistrar, Registration, network_input
from deployments.avatar.ditto.show_registration import main
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.portraits import builtin_portraits
from deployments.errors import EngineInputError, UnusableInputError
from deployments.types import Frame
from tests.portrait_files import beside, enlarged, in_file, needs_detector, painting, photograph
from web.pictures import decode

LIPS, CHIN, CHEEKS, BROW, EYES = (13, 14), 152, (234, 454), 105, (33, 263)


@cache
def hopper() -> Registration:
    return MeshRegistrar().register(decode(photograph(), 10**6), None)


def in_crop(registration: Registration) -> FloatArray:
    """The registration's points as pixels of its crop."""
    back = np.linalg.inv(registration.to_picture.astype(np.float64)).astype(np.float32)
    return placed(registration.points, back)


def refusal(picture: Frame) -> str:
    with pytest.raises(UnusableInputError) as refused:
        MeshRegistrar().register(picture, None)
    assert refused.value.message
    return refused.value.code


@needs_detector
class TestOfPhotographs:
    def test_a_face_stands_upright_where_the_networks_expect_it(self) -> None:
        points = in_crop(hopper())
        widest = points[CHEEKS[1], 0] - points[CHEEKS[0], 0]
        assert widest == pytest.approx(512 / 2.3, abs=4)  # the longer side of the face's box
        assert points[list(EYES), 0].mean() == pytest.approx(256, abs=8)
        assert abs(points[EYES[0], 1] - points[EYES[1], 1]) < 8
        middle = (points[BROW, 1] + points[CHIN, 1]) / 2
        assert middle == pytest.approx(512 * (0.5 + 0.125), abs=8)

    def test_the_crop_shows_the_picture_at_its_points(self) -> None:
        picture, found = decode(photograph(), 10**6), hopper()
        assert found.crop.shape == (512, 512, 3)
        at_crop = in_crop(found)[:468].round().astype(int)
        at_picture = found.points[:468].round().astype(int)
        seen = found.crop[at_crop[:, 1], at_crop[:, 0], ::-1].astype(int)
        there = picture[at_picture[:, 1], at_picture[:, 0]].astype(int)
        assert np.abs(seen - there).mean() < 12
        assert np.abs(seen[:, ::-1] - there).mean() > 30  # not with red for blue

    def test_a_crop_pasted_back_is_the_picture(self) -> None:
        picture, found = decode(photograph(), 10**6), hopper()
        again = PastePlan(found.to_picture, picture).paste(found.crop[..., ::-1].copy())
        away = np.abs(again.astype(int) - picture)
        assert away.mean() < 2  # a pixel aside it is 4.3
        assert np.percentile(away, 99) < 25

    def test_open_eyes_that_look_into_the_camera_are_so(self) -> None:
        assert (hopper().eye_open > 0.6).all()
        assert (hopper().eye_open < 1.2).all()
        assert np.abs(hopper().eye_ball).max() < 0.03
        assert (hopper().eye_ball[4:] < 0).all()  # the irises lie before the middle of an eye

    def test_a_picture_that_lies_on_its_side_gives_the_same_crop(self) -> None:
        picture, upright = decode(photograph(), 10**6), hopper()
        for n_quarters in (1, 3):
            lying = np.ascontiguousarray(np.rot90(picture, n_quarters))
            found = MeshRegistrar().register(lying, None)
            assert found.picture.shape == picture.shape
            np.testing.assert_allclose(in_crop(found), in_crop(upright), atol=0.5)
            assert np.abs(found.crop.astype(int) - upright.crop).mean() < 2

    def test_pictures_without_one_clear_face_are_refused(self) -> None:
        noise = np.random.default_rng(2).integers(0, 255, (400, 300, 3), np.uint8)
        assert refusal(noise) == "no_face"
        assert refusal(beside(painting(), painting())) == "many_faces"
        assert refusal(enlarged(painting(), 0.15)) == "too_small"

    def test_a_command_draws_what_the_networks_get(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "face.jpg").write_bytes(photograph())
        (tmp_path / "wall.png").write_bytes(in_file(np.full((300, 400, 3), 170, np.uint8), "PNG"))
        out = tmp_path / "out.png"
        assert main([str(tmp_path / "face.jpg"), str(out)]) == 0
        drawn = np.asarray(cv2.imread(str(out)), np.uint8)
        assert drawn.shape == (512, 3 * 512, 3)
        np.testing.assert_allclose(drawn[:, 512:1024, ::-1], hopper().crop, atol=2)
        assert (drawn[:, 1024:] == (0, 255, 0)).all(axis=-1).sum() > 400  # the points
        assert main([str(tmp_path / "wall.png"), str(tmp_path / "none.png"), str(out)]) == 1
        said = capsys.readouterr().out
        assert "wall.png: no_face: No face was found" in said
        assert "none.png: not a picture" in said


def test_landmarks_that_are_known_are_used_as_they_are() -> None:
    portrait = builtin_portraits()[0]
    found = MeshRegistrar().register(portrait.image, portrait.landmarks)
    np.testing.assert_array_equal(found.points, portrait.landmarks)
    points = in_crop(found)
    assert points[CHEEKS[1], 0] - points[CHEEKS[0], 0] == pytest.approx(512 / 2.3, abs=8)


def test_the_square_follows_the_settings() -> None:
    portrait = builtin_portraits()[0]
    usual, wide = (
        MeshRegistrar(settings).register(portrait.image, portrait.landmarks)
        for settings in (CropSettings(), CropSettings(scale=4.6, y=0.0))
    )
    np.testing.assert_allclose(wide.to_picture[:2, :2], 2 * usual.to_picture[:2, :2], rtol=1e-5)
    points = in_crop(wide)
    assert (points[BROW, 1] + points[CHIN, 1]) / 2 == pytest.approx(256, abs=4)


def test_landmarks_without_irises_do() -> None:
    portrait = builtin_portraits()[0]
    assert portrait.landmarks is not None
    found, whole = (
        MeshRegistrar().register(portrait.image, points)
        for points in (portrait.landmarks[:468], portrait.landmarks)
    )
    np.testing.assert_array_equal(found.crop, whole.crop)
    np.testing.assert_array_equal(found.eye_open, whole.eye_open)
    np.testing.assert_allclose(found.eye_ball, whole.eye_ball, atol=0.01)


def test_landmarks_of_another_kind_are_refused() -> None:
    with pytest.raises(EngineInputError, match=r"\(68, 2\)"):
        MeshRegistrar().register(painting(), np.zeros((68, 2), np.float32))


def test_the_networks_see_a_quarter_of_the_pixels_from_0_to_1() -> None:
    crop = np.zeros((512, 512, 3), np.uint8)
    crop[0, 0] = (255, 0, 0)
    crop[2:4, 4:6] = (0, 255, 51)
    seen = network_input(crop)
    assert seen.shape == (3, 256, 256)
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen[:, 0, 0], (64 / 255, 0, 0), atol=1e-6)
    np.testing.assert_allclose(seen[:, 1, 2], (0, 1, 0.2), atol=1e-6)
    assert seen.sum() == pytest.approx(64 / 255 + 1.2)
