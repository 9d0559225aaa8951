"""What the published implementation gave; ``goldens/README.md`` says for which inputs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_HERE = Path(__file__).parent

Arrays = dict[str, npt.NDArray[Any]]


def golden(name: str) -> Arrays:
    """The arrays of one file, such as ``05_lmdm_step``."""
    with np.load(_HERE / "goldens" / f"{name}.npz") as file:
        return dict(file)


def published(network: str) -> dict[str, Any]:
    """A published state_dict's keys, shapes and dtypes, and sums of it when it is filled."""
    listed: dict[str, Any] = json.loads((_HERE / "state_dicts" / f"{network}.json").read_text())
    return listed


def furthest(got: Any, wanted: npt.NDArray[Any]) -> float:
    """The largest difference, of arrays or tensors of the same shape."""
    got = np.asarray(got, dtype=np.float64)
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max())
