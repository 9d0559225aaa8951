"""Files as published ones are, made of our exports: one picture at a time, older operators.

The diffusion is a stand-in with the published inputs and outputs, and a value that tells whether
each was used: the frame before the window plus a thousandth of the time.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tests.ditto.conftest import Exports


def published_files(exports: Exports, folder: Path, form: str, padding: int = 0) -> dict[str, Path]:
    """A file for each network; ``form`` of the warp network's: ``plugin`` or ``older opset``."""
    import onnx

    models = {
        name: onnx.load(exports.graphs[name])
        for name in exports.graphs
        if not name.startswith("lmdm")
    }
    for model in models.values():
        _take_one_at_a_time(model)
    _age(models["warp_network"], form, padding)
    _end_before_levels(models["decoder"])
    files = {"hubert": exports.checkpoint["hubert"]}
    for name, model in {**models, "lmdm": _stand_in()}.items():
        files[name] = folder / f"{name}.onnx"
        onnx.save(model, files[name])
    return files


def _take_one_at_a_time(model: Any) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1


def _age(model: Any, form: str, padding: int) -> None:
    from onnx import helper

    [node] = [node for node in model.graph.node if node.op_type == "GridSample"]
    del node.attribute[:]
    if form == "plugin":
        node.op_type = "GridSample3D"
        old: dict[str, Any] = {"interpolation_mode": 0, "padding_mode": padding, "align_corners": 0}
    else:
        old = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": 0}
    node.attribute.extend(helper.make_attribute(*one) for one in old.items())
    model.opset_import[0].version, model.ir_version = 17, 8


def _end_before_levels(model: Any) -> None:
    """With the decoder's own output, (1, 3, 512, 512) from 0 to 1."""
    from onnx import TensorProto, helper

    [last] = [i for i, node in enumerate(model.graph.node) if node.op_type == "Sigmoid"]
    name = model.graph.node[last].output[0]
    del model.graph.output[:], model.graph.node[last + 1 :]
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 512, 512])
    model.graph.output.append(output)


def _stand_in() -> Any:
    from onnx import TensorProto, helper, numpy_helper

    sizes = {"x": [1, 80, 265], "cond_frame": [1, 265], "cond": [1, 80, 1103]}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in sizes.items()
    ]
    inputs.append(helper.make_tensor_value_info("time_cond", TensorProto.INT64, [1]))
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 80, 265])
        for name in ("pred_noise", "x_start")
    ]
    constants = {
        "nothing": np.zeros((1, 80, 265), np.float32),
        "one": np.array([1], np.int64),
        "thousandth": np.array([0.001], np.float32),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["cond_frame", "one"], ["before"]),
        helper.make_node("Cast", ["time_cond"], ["time"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["time", "thousandth"], ["late"]),
        helper.make_node("Add", ["before", "late"], ["same"]),
        helper.make_node("Add", ["same", "nothing"], ["x_start"]),
        helper.make_node("Identity", ["x"], ["pred_noise"]),
    ]
    arrays = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "lmdm", inputs, outputs, arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
