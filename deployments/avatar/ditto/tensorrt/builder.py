"""An ONNX file becomes a plan.

Networks are strongly typed: each value is as precise as the file says, so what has to stay in
float32 does. Sizes that the file leaves open get one range each, best in the middle. One range, not
one for each size of batch as issue 6 has it: any batch runs at exactly its size, and kernels are
sought and kept once instead of four times. What a range costs in speed is unmeasured: see
``benchmarks/ditto.md``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.avatar.ditto.features import Chunk
from deployments.errors import EngineLoadError


@dataclass(frozen=True, slots=True)
class Span:
    """Of a size: from, best at, to."""

    least: int
    best: int
    most: int


_SOUND = Span(*[Chunk().n_samples] * 3)
_ONE, _SESSIONS, _STEPS = Span(1, 1, 1), Span(1, 4, 16), Span(1, 10, 50)
_BEST_FRAMES = 8
MOST_STEPS = _STEPS.most
"""Of the diffusion."""


def spans(graph: str, frames: int) -> Mapping[str, Span]:
    """Of the sizes that a graph leaves open, by their names; at most ``frames`` are drawn at once,
    since what is between the decoder's layers takes 0.2 GB for each."""
    drawn = {"batch": Span(1, min(_BEST_FRAMES, frames), frames)}
    of_lmdm = {"batch": _SESSIONS, "steps": _STEPS}
    known: dict[str, dict[str, Span]] = {
        "appearance_extractor": {"batch": _ONE},
        "motion_extractor": {"batch": _ONE},
        "stitch_network": {"batch": Span(1, 16, 512)},
        "warp_network": drawn,
        "decoder": drawn,
        "lmdm_window": of_lmdm,
        "lmdm_step": of_lmdm,
    }
    return known.get(graph, {})


def build(
    trt: Any, graph: str, content: bytes, frames: int, memory_gb: float | None = None
) -> bytes:
    """The plan of the ONNX file ``content``, for this machine's GPU.

    Args:
        trt: ``tensorrt`` or ``tensorrt_rtx``.
        graph: its name: of ``export.GRAPHS_OF``, or ``hubert``.
        content: of the file.
        frames: at most drawn at once.
        memory_gb: the most that it may need beside its weights and values.

    Raises:
        EngineLoadError: it cannot be read, or TensorRT finds no way to run it; says why.
    """
    log = logger(trt)
    builder = trt.Builder(log)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(content):
        raise _failed(graph, [_told(parser.get_error(i)) for i in range(parser.num_errors)])
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # it is on, and has no more digits than half precision
    if memory_gb is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(memory_gb * 1e9))
    config.add_optimization_profile(_profile(builder, network, graph, frames))
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _failed(graph, log.errors)
    return bytes(memoryview(plan))


def logger(trt: Any) -> Any:
    """A logger of the library's that keeps what went wrong, in ``errors``, and prints nothing."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(text)

    return Log()


def _strongly_typed(trt: Any) -> int:
    """The flag, where networks could be otherwise: until TensorRT 10."""
    flag = trt.NetworkDefinitionCreationFlag.__members__.get("STRONGLY_TYPED")
    return 0 if flag is None else 1 << int(flag)


def _profile(builder: Any, network: Any, graph: str, frames: int) -> Any:
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        axes = list(_axes(graph, tensor, spans(graph, frames)))
        shapes = ([getattr(span, end) for span in axes] for end in ("least", "best", "most"))
        profile.set_shape(tensor.name, *shapes)
    return profile


def _axes(graph: str, tensor: Any, named: Mapping[str, Span]) -> Iterator[Span]:
    """Of each axis of an input."""
    for axis, size in enumerate(tensor.shape):
        name = tensor.get_dimension_name(axis)
        if size >= 0:
            yield Span(size, size, size)
        elif graph == "hubert":  # published; it names its sizes as it likes
            yield _SOUND if axis else _ONE
        elif name in named:
            yield named[name]
        else:
            raise _failed(graph, [f"nobody knows how large its size {name!r} is"])


def _told(error: Any) -> str:
    """What a parser's error says, and of which node."""
    node = f"{error.node_operator()} {error.node_name()}".strip()
    return f"{error.desc()} ({node})" if node else error.desc()


def _failed(graph: str, reasons: Sequence[str]) -> EngineLoadError:
    text = f"TensorRT cannot build {graph}: {'; '.join(reasons) or 'it does not say why'}"
    return EngineLoadError(text, stage="avatar")
