"""Published ONNX files made fit for runtimes without the published plugin.

The warp network samples volumes. ONNX knows that since opset 20; the files are older. In one, the
operator is the plugin's own, ``GridSample3D``; in the other it is the standard one under an opset
that had it for pictures only. Both become the standard operator of opset 20; weights stay as they
are.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from deployments.errors import EngineLoadError

_OPSET, _IR_VERSION = 20, 9
_OLDEST_OPSET = 13  # before it, Softmax meant something else
_PLUGIN, _STANDARD = "GridSample3D", "GridSample"
# Its attributes, as the plugin or an older opset calls them, and the values that sample linearly,
# with zeros outside and corners not aligned: the only way that Ditto does.
_LINEAR = {
    "mode": (b"linear", b"bilinear"),
    "interpolation_mode": (0, b"linear", b"bilinear"),
    "padding_mode": (0, b"zeros"),
    "align_corners": (0,),
}
_REDUCTIONS = (  # took their axes as an attribute until opset 18
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceProd", "ReduceSumSquare",
)  # fmt: skip


def readable(name: str, path: Path) -> Path | bytes:
    """The file of the network ``name``, or what it becomes where it samples volumes otherwise.

    Raises:
        EngineLoadError: it cannot be read, or samples in another way than Ditto does.
    """
    import onnx

    if name != "warp_network":  # no other samples; the largest is of 1.5 GB
        return path
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's exceptions have no common base
        raise EngineLoadError(f"{path} cannot be read: {error}", stage="avatar") from None
    samplings = [node for node in model.graph.node if node.op_type in (_PLUGIN, _STANDARD)]
    [opset] = [one for one in model.opset_import if one.domain in ("", "ai.onnx")]
    is_old = opset.version < _OPSET
    if not samplings or not (is_old or any(node.op_type == _PLUGIN for node in samplings)):
        return path
    if opset.version < _OLDEST_OPSET:
        text = f"{path} has opset {opset.version}; {_OLDEST_OPSET} is the oldest that is read"
        raise EngineLoadError(text, stage="avatar")
    for node in samplings:
        _standardise(node, path)
    if is_old:
        _raise_opset(model, opset)
    content: bytes = model.SerializeToString()
    return content


def _standardise(node: Any, path: Path) -> None:
    """A node of GridSample as opset 20 has it."""
    import onnx

    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if value not in _LINEAR.get(attribute.name, (value,)):
            text = f"{path} samples with {attribute.name} {value!r}, which is not Ditto's way"
            raise EngineLoadError(text, stage="avatar")
    del node.attribute[:]
    standard = {"mode": "linear", "padding_mode": "zeros", "align_corners": 0}
    node.attribute.extend(onnx.helper.make_attribute(*one) for one in standard.items())
    node.op_type, node.domain = _STANDARD, ""


def _raise_opset(model: Any, opset: Any) -> None:
    """To 20, with what was written otherwise before it."""
    older = opset.version
    opset.version, model.ir_version = _OPSET, max(model.ir_version, _IR_VERSION)
    rewrite: dict[str, Callable[[Any, Any], None]] = {"Split": _count_parts}
    rewrite |= dict.fromkeys(_REDUCTIONS, _axes_as_input)
    for node in model.graph.node:
        if older < 18 and node.op_type in rewrite:
            rewrite[node.op_type](model, node)


def _axes_as_input(model: Any, node: Any) -> None:
    import onnx

    for attribute in [one for one in node.attribute if one.name == "axes"]:
        name = f"{node.output[0]}.axes"
        axes = onnx.helper.make_tensor(
            name, onnx.TensorProto.INT64, [len(attribute.ints)], attribute.ints
        )
        model.graph.initializer.append(axes)
        node.input.append(name)
        node.attribute.remove(attribute)


def _count_parts(_: Any, node: Any) -> None:
    import onnx

    if len(node.input) == 1:
        node.attribute.append(onnx.helper.make_attribute("num_outputs", len(node.output)))
