"""A face back in its portrait: where, how softly, and nothing else of the picture touched."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.avatar.ditto.paste import PastePlan, soft_mask
from deployments.avatar.ditto.vector import FloatArray
from tests.ditto.fill_weights import det_image
from tests.ditto.golden import furthest, golden

PORTRAIT = det_image(3, 480, 640)


def face() -> NDArray[np.float64]:
    """(512, 512, 3): the golden's recipe."""
    y, x = np.mgrid[0:512, 0:512].astype(np.float64)
    return np.stack([128 + 100 * np.sin(x / 40), 128 + 100 * np.cos(y / 30), (x + y) / 4], axis=-1)


def turned(radians: float, scale: float, x: float, y: float) -> FloatArray:
    """The square turned about its upper left corner, which lies at x, y."""
    cos, sin = scale * np.cos(radians), scale * np.sin(radians)
    return np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]], np.float32)


def flat(level: int) -> NDArray[np.uint8]:
    return np.full((512, 512, 3), level, np.uint8)


def test_a_face_is_pasted_as_the_published_code_does() -> None:
    want = golden("13_mask_putback")
    # Which takes faces in fractions of a level and cuts those off at its end.
    got = PastePlan(want["M_c2o"], PORTRAIT).paste(face().astype(np.uint8))
    assert np.abs(got.astype(int) - want["out"]).max() <= 1


def test_the_edge_is_as_soft_as_the_published_one() -> None:
    want, mask = golden("13_mask_putback"), soft_mask()
    assert furthest(mask[256], want["mask_row256"]) < 1e-6
    assert furthest(mask[:, 256], want["mask_col256"]) < 1e-6
    assert furthest(np.diag(mask), want["mask_diag"]) < 1e-6
    assert furthest(mask[::8, ::8], want["mask_s8"]) < 1e-6
    assert mask.sum(dtype=np.float64) == pytest.approx(float(want["mask_sum"]), rel=1e-6)


@pytest.mark.parametrize(
    "to_picture",
    [
        turned(0.0, 0.5, 100, 80),
        turned(0.6, 0.7, 250, 20),
        turned(0.0, 1.5, -60, -100),  # beyond the picture on all sides
        turned(-0.3, 0.8, -90, 230),  # ... and partly
    ],
)
def test_only_the_square_changes_and_it_is_the_same_anywhere(to_picture: FloatArray) -> None:
    before = PORTRAIT.copy()
    got = PastePlan(to_picture, PORTRAIT).paste(flat(255))
    np.testing.assert_array_equal(PORTRAIT, before)
    mask = cv2.warpAffine(soft_mask(), to_picture[:2], (640, 480))[..., None]
    np.testing.assert_array_equal(got[mask[..., 0] == 0], PORTRAIT[mask[..., 0] == 0])
    np.testing.assert_allclose(got, mask * 255.0 + (1 - mask) * PORTRAIT, atol=1.01)
