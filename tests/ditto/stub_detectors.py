"""Stubs of the published detectors: the raw outputs that the goldens' README lists, whatever is
put in, which is kept to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from deployments.avatar.ditto.detectors import Detectors, Net
from deployments.avatar.ditto.vector import FloatArray
from tests.ditto.fill_weights import det_uniform

_N_CELLS = (8192, 2048, 512)
Groups = Sequence[tuple[tuple[int, ...], tuple[float, float]]]


@dataclass
class Stubs:
    """``outputs`` by network, as ``Detectors`` names them; ``seen``: the last input of each."""

    outputs: dict[str, list[FloatArray]]
    seen: dict[str, FloatArray] = field(default_factory=dict)

    def nets(self) -> Detectors:
        return Detectors(**{name: self._net(name) for name in self.outputs})

    def _net(self, name: str) -> Net:
        def run(values: FloatArray) -> list[FloatArray]:
            self.seen[name] = values
            return self.outputs[name]

        return run


def stubs() -> Stubs:
    return Stubs(
        {
            "detector": faces({14 * 2 + 13 * 64: 0.91, 15 * 2 + 1 + 13 * 64: 0.83, 370: 0.6}),
            "landmark106": [_landmark106()],
            "landmark203": [_landmark203()],
            "blaze_face": _blaze_face(),
            "face_mesh": [128 + 90 * det_uniform(3400, (1, 1, 1, 1434))],
        }
    )


def faces(sure: dict[int, float]) -> list[FloatArray]:
    """What the detector says: nothing for sure, but so ``sure`` of these cells of stride 16."""
    scores = [0.2 + 0.2 * det_uniform(3000 + i, (n, 1)) for i, n in enumerate(_N_CELLS)]
    for cell, score in sure.items():
        scores[1][cell] = score
    boxes = [7 + 0.5 * det_uniform(3010 + i, (n, 4)) for i, n in enumerate(_N_CELLS)]
    points = [2 * det_uniform(3020 + i, (n, 10)) for i, n in enumerate(_N_CELLS)]
    return scores + boxes + points


def _landmark106() -> FloatArray:
    points = 0.55 * det_uniform(3100, (106, 2))
    eyes, mouth = ((33, 35, 40, 39), (87, 89, 94, 93)), (52, 61)
    groups = ((eyes[0], (-0.22, -0.2)), (eyes[1], (0.22, -0.2)), (mouth, (0.0, 0.3)))
    return _gathered(points, groups, 0.1 * points).reshape(1, 212)


def _landmark203() -> FloatArray:
    points = 0.5 + 0.3 * det_uniform(3200, (203, 2))
    eyes, mouth = ((0, 6, 12, 18), (24, 30, 36, 42)), (48, 66)
    groups = ((eyes[0], (0.38, 0.42)), (eyes[1], (0.62, 0.40)), (mouth, (0.5, 0.66)))
    return _gathered(points, groups, 0.05 * (points - 0.5)).reshape(1, 406)


def _gathered(points: FloatArray, groups: Groups, around: FloatArray) -> FloatArray:
    """``points``, those of each group placed close around its middle."""
    out = points.copy()
    for numbers, middle in groups:
        out[list(numbers)] = np.asarray(middle, np.float32) + around[list(numbers)]
    return out


def _blaze_face() -> list[FloatArray]:
    values, logits = 3 * det_uniform(3300, (1, 896, 16)), -6 + det_uniform(3301, (1, 896, 1))
    values[..., 2:4] += 50
    first = 2 * (7 * 16 + 8)
    for cell, logit in ((first, 2.2), (first + 1, 1.7), (first + 3, 0.4)):
        logits[0, cell] = logit
    values[:, first : first + 4, 4:6] += (-10, -6)
    values[:, first : first + 4, 6:8] += (10, -4)
    return [values, logits]
