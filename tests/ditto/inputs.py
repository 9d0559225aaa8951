"""What is given to all networks of a runtime, to compare it with another one."""

from typing import Any

import numpy as np

from deployments.avatar.ditto.jobs import seeded_noise
from deployments.avatar.ditto.runtime import Networks
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.windows import WindowRequest
from tests.ditto.fill_weights import det_image, det_normal, det_uniform


def picture(seed: int = 3) -> FloatArray:
    """(3, 256, 256), RGB from 0 to 1."""
    image = det_image(seed, 256, 256).astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def points(seed: int, n: int) -> FloatArray:
    """(n, 2, 21, 3): key points of the source, and of the driven face."""
    source = 0.5 * det_uniform(seed, (n, 21, 3))
    return np.stack((source, source + 0.05 * det_uniform(seed + 1, (n, 21, 3))), axis=1)


def windows_of(networks: Networks[Any], n: int, n_steps: int = 3) -> FloatArray:
    """(n, 80, 265): windows of so many sessions, made together."""
    requests = [
        WindowRequest(i, 0.3 * det_uniform(20 + i, (265,)), 0.3 * det_normal(30 + i, (80, 1103)))
        for i in range(n)
    ]
    noises = [seeded_noise(i, 80, 265) for i in range(n)]
    return np.stack(networks.sampler(n_steps).windows(requests, noises))
