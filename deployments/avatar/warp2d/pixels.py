"""OpenCV's picture operations with the types that this package uses."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def remap(picture: NDArray[Any], where: NDArray[Any]) -> NDArray[Any]:
    """``picture`` read at ``where`` (rows, cols, 2), bilinear; beyond its edge the edge goes on."""
    nothing: Any = None
    found: NDArray[Any] = np.asarray(
        cv2.remap(
            picture,
            where.astype(np.float32, copy=False),
            nothing,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
    return found


def resized(picture: NDArray[Any], width_px: int, height_px: int) -> NDArray[Any]:
    """Bilinear; a node lies in the middle of the pixels that it stands for."""
    return np.asarray(cv2.resize(picture, (width_px, height_px)))


def shrunk(picture: NDArray[Any], width_px: int, height_px: int) -> NDArray[Any]:
    """Each pixel the mean of those it covers."""
    size = (width_px, height_px)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def blurred(picture: NDArray[Any], sigma_px: float) -> NDArray[Any]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma_px))
