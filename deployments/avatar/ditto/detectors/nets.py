"""The detectors' networks, as functions of one array."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeAlias

from deployments.avatar.ditto.vector import FloatArray
from deployments.errors import EngineLoadError

Net: TypeAlias = Callable[[FloatArray], Sequence[FloatArray]]
"""One input -> the outputs, in the order of the published file."""


@dataclass(frozen=True, slots=True)
class Detectors:
    """Inputs and outputs, batch 1:

    detector      (1, 3, 512, 512) -> scores, boxes and points, each at strides 8, 16 and 32
    landmark106   (1, 3, 192, 192) -> (1, 212)
    landmark203   (1, 3, 224, 224) -> (1, 406), anywhere among the outputs
    blaze_face    (1, 128, 128, 3) -> (1, 896, 16), (1, 896, 1)
    face_mesh     (1, 256, 256, 3) -> 1,434 values, and others
    """

    detector: Net
    landmark106: Net
    landmark203: Net
    blaze_face: Net
    face_mesh: Net


def open_detectors(files: Mapping[str, Path]) -> Detectors:
    """``files``: the ONNX file of each field of ``Detectors``.

    Raises:
        EngineLoadError: one is missing or cannot be read, or onnxruntime is not installed.
    """
    return Detectors(**{field.name: _net(files[field.name]) for field in fields(Detectors)})


def _net(path: Path) -> Net:
    try:
        import onnxruntime
    except ImportError as error:
        text = f"The published detectors need onnxruntime: {error}"
        raise EngineLoadError(text, stage="avatar") from None

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a portrait is prepared once, beside others being drawn
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its types have no base of their own
        reason = str(error).split("\n", 1)[0]
        raise EngineLoadError(f"{path} cannot be read: {reason}", stage="avatar") from None
    name = session.get_inputs()[0].name

    def run(values: FloatArray) -> Sequence[FloatArray]:
        outputs: Sequence[FloatArray] = session.run(None, {name: values})
        return outputs

    return run
