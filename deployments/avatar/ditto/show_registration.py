"""Shows what the networks get of photographs: ``python -m ... PICTURE... OUT.png``.

A row for each picture: the whole with its face's square, the square, and the points that it was
cut by. Of one that is refused, the reason is printed instead.
"""

import argparse
import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.crop import inverted, placed
from deployments.avatar.ditto.register import MeshRegistrar, Registration
from deployments.avatar.ditto.runtime import FACE_SIDE_PX
from deployments.errors import AvatarError
from deployments.types import Frame

_GREEN, _YELLOW = (0, 255, 0), (0, 255, 255)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if all pictures have been registered, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", metavar="PICTURE")
    parser.add_argument("out", metavar="OUT.png")
    asked = parser.parse_args(arguments)
    registrar = MeshRegistrar()
    rows = [row for name in asked.pictures if (row := _row(registrar, name)) is not None]
    if rows:
        cv2.imwrite(asked.out, np.vstack(rows))
    return int(len(rows) < len(asked.pictures))


def _row(registrar: MeshRegistrar, name: str) -> Frame | None:
    picture = cv2.imread(name, cv2.IMREAD_COLOR)
    if picture is None:
        print(f"{name}: not a picture that can be read")
        return None
    try:
        found = registrar.register(np.asarray(picture, np.uint8), None)
    except AvatarError as error:
        print(f"{name}: {getattr(error, 'code', type(error).__name__)}: {error.message}")
        return None
    opens, looks = (" ".join(f"{v:.3f}" for v in part) for part in (found.eye_open, found.eye_ball))
    print(f"{name}: eyes open {opens}; eyeballs {looks}")
    crop = np.ascontiguousarray(found.crop[..., ::-1])
    return np.hstack((_fitted(_with_square(found)), crop, _with_points(crop, found)))


def _with_square(found: Registration) -> Frame:
    last = FACE_SIDE_PX - 1
    square = np.array(((0, 0), (last, 0), (last, last), (0, last)), np.float32)
    corners = placed(square, found.to_picture).round().astype(np.int32)
    drawn, thickness = found.picture.copy(), max(1, max(found.picture.shape) // 300)
    return np.asarray(cv2.polylines(drawn, [corners], True, _YELLOW, thickness), np.uint8)


def _with_points(crop: Frame, found: Registration) -> Frame:
    drawn = crop.copy()
    for x, y in placed(found.points, inverted(found.to_picture)).round().astype(int).tolist():
        cv2.circle(drawn, (x, y), 1, _GREEN, -1)
    return drawn


def _fitted(picture: Frame) -> NDArray[np.uint8]:
    """(512, 512, 3): the picture as large as it fits, on black."""
    height, width = picture.shape[:2]
    scale = FACE_SIDE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    fitted = np.zeros((FACE_SIDE_PX, FACE_SIDE_PX, 3), np.uint8)
    fitted[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return fitted


if __name__ == "__main__":
    sys.exit(main())
