"""A declared fake of a checkpoint's networks: the engine around them is real, and costs little."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.jobs import Noise
from deployments.avatar.ditto.vector import FloatArray, Info
from deployments.avatar.ditto.windows import WindowRequest
from tests.ditto.recipes import xs


class FakeNetworks:
    """Fulfils ``runtime.Networks`` with sums of what is given, without noise; a volume is the
    picture's mean colour. Counts the sessions of each batch of windows."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def hear(self, samples: FloatArray) -> FloatArray:
        """The loudness of each row's sound, everywhere."""
        n_rows = (len(samples) - 400) // 320 + 1
        loud = np.abs(samples[: n_rows * 320]).reshape(n_rows, 320).mean(axis=1)
        return np.repeat(loud[:, None], 1024, axis=1)

    def sampler(self, n_steps: int) -> "FakeNetworks":
        return self

    def windows(
        self, requests: Sequence[WindowRequest], noises: Sequence[Noise]
    ) -> list[FloatArray]:
        """Motion as large as the sound is loud."""
        self.batches.append(len(requests))
        moved = (one.condition[:, :265] * 0.3 + one.before for one in requests)
        return [np.asarray(one, np.float32) for one in moved]

    def appearance(self, picture: FloatArray) -> FloatArray:
        return np.asarray(picture.mean(axis=(1, 2)), np.float32)

    def motion_info(self, picture: FloatArray) -> Info:
        return xs(1)

    def stitch(self, source: FloatArray, driven: FloatArray) -> FloatArray:
        return driven + np.float32(0.01) * source

    def paint(self, volumes: Sequence[FloatArray], motion: FloatArray) -> NDArray[np.uint8]:
        """The mean colour of each portrait, brighter as its points move to the right."""
        faces = np.zeros((len(volumes), 512, 512, 3), np.uint8)
        for face, volume, (source, driven) in zip(faces, volumes, motion, strict=True):
            face[:] = np.clip(255 * volume[::-1] + 100 * (driven - source)[:, 0].mean(), 0, 255)
        return faces
