"""What runs the networks: torch, ONNX Runtime or TensorRT, behind one interface.

Arrays that go in and come out are numpy's. What stays where the networks run (a portrait's volume
of features, say) is the runtime's own and only handed back to it.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.jobs import Sampler
from deployments.avatar.ditto.vector import FloatArray, Info

VolumeT = TypeVar("VolumeT")

INPUT_SIDE_PX = 256
"""Of the picture that the appearance and motion extractors see."""
FACE_SIDE_PX = 512
"""Of the picture that the decoder paints."""


class Networks(Protocol[VolumeT]):
    """All networks of one checkpoint, ready; called from one thread at a time."""

    def hear(self, samples: FloatArray) -> FloatArray:
        """HuBERT: samples (n,), 16 kHz in [-1, 1] -> (rows, 1024), 50 rows a second."""
        ...

    def sampler(self, n_steps: int) -> Sampler:
        """The motion diffusion in so many steps; made once, kept for the next call."""
        ...

    def appearance(self, picture: FloatArray) -> VolumeT:
        """The volume of features of a picture (3, 256, 256), RGB from 0 to 1."""
        ...

    def motion_info(self, picture: FloatArray) -> Info:
        """The parts of ``vector.py`` with ``kp``, each (k,), of a picture (3, 256, 256)."""
        ...

    def stitch(self, source: FloatArray, driven: FloatArray) -> FloatArray:
        """Key points to draw, (n, 21, 3), of those of the source and of the driven face."""
        ...

    def paint(self, volumes: Sequence[VolumeT], motion: FloatArray) -> NDArray[np.uint8]:
        """Warp and decode: (b, 512, 512, 3) BGR, one face for each volume.

        ``motion`` (b, 2, 21, 3): key points of the source, then of the driven face. The volumes may
        be those of different portraits.
        """
        ...
