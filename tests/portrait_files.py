"""Pictures of faces: our own painting, and one photograph that the test tools bring along.

The photograph is Grace Hopper's portrait, an official picture of the US Navy and in the public
domain, as it lies among matplotlib's sample data; it is read from there and not part of this
project.
"""

import io
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from deployments.faces import why_missing
from deployments.types import Frame

MIRA = Path(__file__).resolve().parents[1] / "deployments" / "avatar" / "portraits" / "mira.png"

needs_detector = pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "-")


@cache
def painting() -> Frame:
    """The built-in face: (1152, 768, 3) BGR, looking at the viewer."""
    return np.asarray(cv2.imread(str(MIRA)), dtype=np.uint8)


def photograph() -> bytes:
    """A JPEG of 512x600 pixels; its face is 184 of them wide."""
    import matplotlib

    return (Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").read_bytes()


def enlarged(picture: Frame, by: float) -> Frame:
    size = round(picture.shape[1] * by), round(picture.shape[0] * by)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def beside(left: Frame, right: Frame) -> Frame:
    """Both on one grey wall."""
    wall = np.full((max(left.shape[0], right.shape[0]), left.shape[1] + right.shape[1], 3), 170)
    wall[: left.shape[0], : left.shape[1]] = left
    wall[: right.shape[0], left.shape[1] :] = right
    return wall.astype(np.uint8)


def in_file(picture: Frame, kind: str = "JPEG", **options: Any) -> bytes:
    """A BGR picture as a file; ``options`` as Pillow's ``save`` takes them."""
    return saved(Image.fromarray(picture[..., ::-1]), kind, **options)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
