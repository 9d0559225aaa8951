"""A picture of any size becomes a portrait in the engine's frame, or is refused for what it is."""

import math
from dataclasses import replace

import numpy as np
import pytest

from deployments.avatar.ditto.frame import in_frame
from deployments.avatar.ditto.paste import PastePlan
from deployments.avatar.ditto.register import MeshRegistrar, PublishedRegistrar
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.portraits import builtin_portraits
from deployments.errors import EngineInputError, UnusableInputError
from deployments.types import Frame, PortraitSource
from tests.ditto.fill_weights import det_image
from tests.ditto.replies import fake_engine
from tests.ditto.stub_detectors import stubs
from tests.portrait_files import enlarged, needs_detector, photograph
from web.pictures import decode

SOURCE = builtin_portraits()[0]
UNKNOWN = replace(SOURCE, landmarks=None)
SIZES = [(512, 512), (512, 768), (640, 360), (64, 256)]


def points() -> FloatArray:
    assert SOURCE.landmarks is not None
    return SOURCE.landmarks


@pytest.mark.parametrize("size", SIZES)
def test_a_face_keeps_its_proportions_and_its_place_in_any_frame(size: tuple[int, int]) -> None:
    shown = in_frame(MeshRegistrar().register(SOURCE.image, points()), *size)
    assert shown.picture.shape == (size[1], size[0], 3)
    longer, shorter = np.linalg.svd(shown.to_picture[:2, :2])[1]
    assert longer == pytest.approx(shorter, rel=0.02)  # a frame is of whole pixels
    face = np.ascontiguousarray(shown.crop[..., ::-1])
    aside = shown.to_picture + np.array([[0, 0, 4], [0, 0, 4], [0, 0, 0]], np.float32)
    there, beside = (
        np.abs(PastePlan(way, shown.picture).paste(face).astype(int) - shown.picture).mean()
        for way in (shown.to_picture, aside)
    )
    assert there < 1
    assert beside > 3 * there


def test_beyond_the_edges_of_a_photograph_no_black_is_painted() -> None:
    """Nor is anything lost that the photograph shows above a frame that is low."""
    found = MeshRegistrar().register(
        SOURCE.image[:, 150:], points() - np.array((150, 0), np.float32)
    )
    shown = in_frame(found, 640, 360)
    paste = PastePlan(shown.to_picture, shown.picture)
    there, black = (
        np.abs(paste.paste(crop[..., ::-1].copy()).astype(int) - shown.picture)
        for crop in (shown.crop, found.crop)
    )
    assert there.mean() < 1
    assert black.mean() > 3
    assert np.array_equal(shown.crop[:90], found.crop[:90])
    assert found.crop[:90, 200:300].mean() > 100


def background(source: PortraitSource, width_px: int = 128, height_px: int = 192) -> Frame:
    """The portrait in its frame, with a black face."""
    engine = fake_engine(width_px=width_px, height_px=height_px)
    return engine.prepare(source).paste.paste(np.zeros((512, 512, 3), np.uint8))


@needs_detector
def test_a_picture_that_lies_on_its_side_is_shown_upright() -> None:
    picture = decode(photograph(), 10**6)
    upright = background(replace(UNKNOWN, image=picture))
    for n_quarters in (1, 3):
        image = np.ascontiguousarray(np.rot90(picture, n_quarters))
        lying = background(replace(UNKNOWN, image=image))
        assert np.abs(lying.astype(int) - upright).mean() < 3


@needs_detector
def test_a_face_is_measured_in_its_own_picture() -> None:
    assert background(UNKNOWN, 64, 96).shape == (96, 64, 3)
    with pytest.raises(UnusableInputError) as refused:
        background(replace(UNKNOWN, image=enlarged(SOURCE.image, 1 / 24)), 512, 768)
    assert refused.value.code == "too_small"


def test_the_published_detectors_see_the_whole_picture_whatever_the_frame() -> None:
    picture = np.ascontiguousarray(det_image(3, 480, 640)[..., ::-1])
    registrar = PublishedRegistrar(stubs().nets(), rival=math.inf)
    for size in ((64, 96), (512, 512)):
        engine = fake_engine(registrar=registrar, width_px=size[0], height_px=size[1])
        portrait = engine.prepare(PortraitSource("a", "A", picture, None))
        assert portrait.paste.paste(np.zeros((512, 512, 3), np.uint8)).shape == (*size[::-1], 3)


@pytest.mark.parametrize(
    ("landmarks", "why"),
    [
        (np.full((478, 2), np.nan, np.float32), "no numbers"),
        (np.full((478, 2), 100, np.float32), "in one place"),
        (points() + np.array((2304, 0), np.float32), "beside the picture"),
        (points() - np.array((0, 3000), np.float32), "beside the picture"),
        (points()[:100], r"\(100, 2\)"),
    ],
)
def test_landmarks_of_another_picture_are_refused(landmarks: FloatArray, why: str) -> None:
    with pytest.raises(EngineInputError, match=why):
        fake_engine().prepare(replace(SOURCE, landmarks=landmarks))


@pytest.mark.parametrize("shape", [(0, 0, 3), (4, 0, 3), (40, 30), (40, 30, 4)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineInputError, match="a picture of shape"):
        fake_engine().prepare(replace(SOURCE, image=np.zeros(shape, np.uint8)))


def test_a_face_at_the_edge_of_its_picture_is_drawn() -> None:
    for away in ((-256, 0), (256, 0), (0, -288), (500, 300)):
        moved = replace(SOURCE, landmarks=points() + np.array(away, np.float32))
        assert background(moved, 256, 384).shape == (384, 256, 3)
