"""The goldens and the inputs that they were made from, for the tests of Ditto's motion."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from deployments.avatar.ditto.condition import Character
from deployments.avatar.ditto.vector import FloatArray
from tests.ditto.fill_weights import det_uniform, driving_info, source_info

_GOLDENS = Path(__file__).parent / "goldens"


def golden(name: str) -> dict[str, Any]:
    """Every array of one file; ``cases`` as Python objects."""
    with np.load(_GOLDENS / f"{name}.npz") as file:
        arrays: dict[str, Any] = dict(file)
    if "cases" in arrays:
        arrays["cases"] = json.loads(str(arrays["cases"]))
    return arrays


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


def state_shapes(module: str) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor of a published file, by its key."""
    text = (Path(__file__).parent / "state_dicts" / f"{module}.json").read_text()
    return {row["key"]: tuple(row["shape"]) for row in json.loads(text)["keys"]}
