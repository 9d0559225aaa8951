"""The inputs that the goldens of Ditto's motion were made from."""

import json
from typing import Any

import numpy as np

from deployments.avatar.ditto.condition import Character
from deployments.avatar.ditto.stitcher import StitchNet
from deployments.avatar.ditto.vector import FloatArray
from tests.ditto.fill_weights import det_uniform, driving_info, fill_arrays, source_info
from tests.ditto.golden import golden, published


def cases_of(name: str) -> list[dict[str, Any]]:
    """The runs that one file holds the outputs of."""
    cases: list[dict[str, Any]] = json.loads(str(golden(name)["cases"]))
    return cases


def xs(seed: int, **more: float) -> dict[str, FloatArray]:
    """Parts of a source, each (k,)."""
    return {key: part[0] for key, part in source_info(seed, **more).items()}


def xd(seed: int) -> dict[str, FloatArray]:
    """Parts of a driving frame, each (k,)."""
    return {key: part[0] for key, part in driving_info(seed).items()}


def character(*seeds: int, eyes_from: int = 0) -> Character:
    """A source of one frame per seed; its eyes are numbers ``eyes_from`` and on."""
    eyes = range(eyes_from, eyes_from + len(seeds))
    return Character(
        infos=[xs(seed) for seed in seeds],
        eye_open=np.concatenate([0.3 + 0.1 * det_uniform(300 + i, (1, 2)) for i in eyes]),
        eye_ball=np.concatenate([0.01 * det_uniform(400 + i, (1, 6)) for i in eyes]),
        shape=xs(seeds[0])["kp"],
    )


def stitch_net() -> StitchNet:
    """The published network in numpy, with the recipe's weights."""
    w = fill_arrays({row["key"]: row["shape"] for row in published("stitch_network")["keys"]})

    def run(source: FloatArray, driven: FloatArray) -> FloatArray:
        x = np.concatenate((source.reshape(-1, 63), driven.reshape(-1, 63)), axis=1)
        for layer in (0, 2, 4, 6):
            x = np.maximum(x, 0) if layer else x
            x = x @ w[f"mlp.{layer}.weight"].T + w[f"mlp.{layer}.bias"]
        out = driven + x[:, :63].reshape(-1, 21, 3)
        out[..., :2] += x[:, None, 63:]
        return np.asarray(out, np.float32)

    return run
