"""The motion of one frame, as named parts and as the one vector that the diffusion works on.

Parts, each (k,) float32 (a leading axis for frames is allowed everywhere here):

    scale 1       size of the head in the crop, about 1.3; the vector holds scale - 1
    pitch, yaw, roll   66 logits each: bins of 3 degrees from -97.5
    t 3           shift; the third is not used
    exp 63        21 key points' shift by expression, x y z
    kp 63         key points of the face itself; of sources only, not in the vector

Source: Li et al., arXiv 2411.19509; offsets of the published checkpoint (goldens 02).
"""

from collections.abc import Mapping
from itertools import accumulate
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
Info: TypeAlias = Mapping[str, FloatArray]

POSE = ("pitch", "yaw", "roll")
WIDTHS = {"scale": 1, "pitch": 66, "yaw": 66, "roll": 66, "t": 3, "exp": 63}
N_MOTION = sum(WIDTHS.values())
N_BEFORE_EXP = N_MOTION - WIDTHS["exp"]
_ENDS = tuple(accumulate(WIDTHS.values()))[:-1]


def to_vector(info: Info) -> FloatArray:
    """(..., 265) of the parts (..., k); ``kp`` is left out."""
    parts = [info[key] - 1 if key == "scale" else info[key] for key in WIDTHS]
    return np.concatenate(parts, axis=-1, dtype=np.float32)


def from_vector(vector: FloatArray) -> dict[str, FloatArray]:
    """The parts (..., k) of (..., 265)."""
    parts = dict(zip(WIDTHS, np.split(vector, _ENDS, axis=-1), strict=True))
    return parts | {"scale": parts["scale"] + np.float32(1)}
