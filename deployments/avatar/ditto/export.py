"""Networks of a checkpoint into ONNX files, for ONNX Runtime and TensorRT.

Each file is whole: weights inside, any batch size, operators of ONNX's opset 20, which is the first
that samples volumes. An export takes seconds and a file is as large as its checkpoint, so files are
kept, by what they were made of.
"""

import hashlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.avatar.ditto.kept import Kept, digest_of
from deployments.avatar.ditto.weights import load_network

if TYPE_CHECKING:
    from deployments.avatar.ditto.networks.graphs import Graph

OPSET = 20
GRAPHS_OF = {
    "appearance_extractor": ("appearance_extractor",),
    "motion_extractor": ("motion_extractor",),
    "stitch_network": ("stitch_network",),
    "warp_network": ("warp_network",),
    "decoder": ("decoder",),
    "lmdm": ("lmdm_window", "lmdm_step"),
}
"""What each network is cut into."""
WINDOW_PARTS = ("start", "film", "keys", "values", "time_keys", "time_values")
"""What ``lmdm_window`` gives and ``lmdm_step`` takes, in order; see ``networks.graphs``."""
INFO_PARTS = ("pitch", "yaw", "roll", "t", "exp", "scale", "kp")
"""What the motion extractor gives, in order."""
_COMPUTED_BY = ("grid_sample.py", "export.py", "networks/*.py")  # beside this file
_EXPORTER = "torch.onnx._internal.exporter"


@dataclass(frozen=True, slots=True)
class Form:
    """How networks are exported. ``half``: drawing in half precision; see ``networks.precision``.
    ``plugin_free``: see ``networks.graphs.graphs_of``."""

    half: bool = False
    plugin_free: bool = False


def log(line: str) -> None:
    """Tells the replica's log."""
    logging.getLogger("ray.serve.avatar").info(line)


def exported(
    files: Mapping[str, Path], kept: Kept, form: Form, say: Callable[[str], None]
) -> dict[str, Path]:
    """A file for each graph of each network whose checkpoint is among ``files``, a ``.pth``.

    Args:
        files: by names of ``weights.NETWORKS``; others are left out.
        kept: where they are or will be.
        form: of all of them.
        say: is told what takes long.

    Raises:
        EngineLoadError: a checkpoint is not what it should be.
    """
    found: dict[str, Path] = {}
    for name, path in files.items():
        if name in GRAPHS_OF and path.suffix != ".onnx":
            found |= _of_network(name, path, kept, form, say)
    return found


def _of_network(
    name: str, path: Path, kept: Kept, form: Form, say: Callable[[str], None]
) -> dict[str, Path]:
    import torch

    made_of = {
        "checkpoint": digest_of(path),
        "form": asdict(form),
        "torch": torch.__version__,
        "sources": _digest_of_sources(),
    }
    found: dict[str, Path] = {}
    for graph in GRAPHS_OF[name]:
        file = kept.path(f"{graph}.onnx", made_of)
        if file is None:
            say(f"{name}: exporting {path.name} to ONNX")
            return {
                one.name: kept.put(f"{one.name}.onnx", made_of, onnx_bytes(one))
                for one in _graphs(name, path, form)
            }
        found[graph] = file
    return found


@cache
def _digest_of_sources() -> str:
    """Of the code that says what an export computes: another one makes other files."""
    here = Path(__file__).parent
    paths = sorted(path for pattern in _COMPUTED_BY for path in here.glob(pattern))
    return hashlib.sha256("".join(digest_of(path) for path in paths).encode()).hexdigest()


def _graphs(name: str, path: Path, form: Form) -> "list[Graph]":
    from deployments.avatar.ditto.networks.graphs import graphs_of
    from deployments.avatar.ditto.networks.precision import prepare

    network = prepare(name, load_network(name, path), form.half)
    return graphs_of(name, network, form.half, form.plugin_free)


def onnx_bytes(graph: "Graph") -> bytes:
    """The graph as an ONNX file."""
    import torch

    sizes = {name for axes in graph.free.values() for name in axes.values()}
    free = {name: torch.export.Dim(name, min=1, max=4096) for name in sizes}
    shapes = tuple(
        {axis: free[size] for axis, size in graph.free[name].items()} for name in graph.inputs
    )
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            graph.module.eval(),
            tuple(graph.inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=shapes,
            verbose=False,
        )
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own libraries, and that two sizes of the same name are one."""
    logger = logging.getLogger(_EXPORTER)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
