"""Writes a tiny Ditto with deterministic weights that the real loader accepts.

    python -m tests.tiny_models.make_tiny_ditto OUT [--seed 7] [--depth 4]

OUT gets the published layout: the networks' weights, HuBERT as ONNX and both configurations. Keys,
files, the 512x512 picture, the 265 values of motion and all counts of frames are real; the widths
are a few values each, and the picture is noise. Needs torch and onnx; 5 s, 3 MB.
"""

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from deployments.avatar.ditto.files import CONFIGS, LIVE_CONFIG, NETWORKS, OFFLINE_CONFIG
from tests.ditto.fill_weights import det_uniform, fill_module, source_info

_WRAPPERS = {"stitch_network": "retarget_shoulder", "lmdm": "model_state_dict"}
_MOTION = 0.025  # of the last layer of the diffusion: how far the face moves
_LOUD = 40.0  # of HuBERT's rows
_HEADS = {"kp": 0.1, "exp": 0.02, "t": 0.03, "scale": 0.05}  # how much a picture says of its face


def sizes(depth: int = 4) -> dict[str, dict[str, Any]]:
    """What the constructors are told; with a volume of so many slices."""
    from deployments.avatar.ditto.networks.lmdm import LmdmSizes

    volume = (4, depth)
    lmdm = LmdmSizes(latent=16, hidden=16, encoder_layers=1, decoder_layers=2)
    return {
        "appearance_extractor": {"width": 4, "channels": 4, "depth": depth, "n_residual": 1},
        "motion_extractor": {"depths": (1, 1, 1, 1), "widths": (4, 4, 8, 8)},
        "stitch_network": {"width": 8},
        "warp_network": {
            "volume": volume,
            "compressed": 1,
            "width": 2,
            "n_blocks": 2,
            "out": 8,
        },
        "decoder": {"features": 8, "width": 12, "hidden": 4, "n_middle": 1},
        "lmdm": {"sizes": lmdm},
    }


def write_networks(out: Path, depth: int) -> None:
    """The files of the layout for torch, wrapped as the published ones are."""
    import torch

    from deployments.avatar.ditto.weights import build_network

    for name, asked in sizes(depth).items():
        state = fill_module(build_network(name, "cpu", **asked)).state_dict()
        if name == "lmdm":
            for key in ("final_layer.weight", "final_layer.bias"):
                state[key] *= _MOTION
        if name == "motion_extractor":
            _pose(state)
        if name == "stitch_network":
            state = {f"module.{key}": value / 10 for key, value in state.items()}
        path = out / NETWORKS["torch", False][name]
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({_WRAPPERS[name]: state} if name in _WRAPPERS else state, path)


def _pose(state: dict[str, Any]) -> None:
    """Faces of a possible size that look about straight ahead, in place."""
    import torch

    usual = source_info(1)
    for part, value in usual.items():
        head = f"detector.fc_{part}"
        state[f"{head}.weight"] *= _HEADS.get(part, 1.0)
        state[f"{head}.bias"] = torch.from_numpy(value[0])


def write_hubert(path: Path, seed: int) -> None:
    """Sound (1, n) to rows (T, 1024), 50 a second: two matrices with a bend between them."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = {
        "window": det_uniform(seed, (8, 1, 400)) / 10,
        "spread": _LOUD * det_uniform(seed + 1, (8, 1024)),
        "channel": np.array([1], np.int64),
        "batch": np.array([0], np.int64),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["input_values", "channel"], ["sound"]),
        helper.make_node("Conv", ["sound", "window"], ["heard"], strides=[320]),
        helper.make_node("Tanh", ["heard"], ["bent"]),
        helper.make_node("Squeeze", ["bent", "batch"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["rows"], perm=[1, 0]),
        helper.make_node("MatMul", ["rows", "spread"], ["encoding_out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "hubert",
        [helper.make_tensor_value_info("input_values", TensorProto.FLOAT, [1, "n"])],
        [helper.make_tensor_value_info("encoding_out", TensorProto.FLOAT, ["rows", 1024])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def config(seed: int, **defaults: object) -> dict[str, Any]:
    """What a configuration holds; ``defaults`` are more of its ``default_kwargs``."""
    odds = np.exp(4 * det_uniform(seed, (600, 8)).astype(np.float64))
    limits = np.stack((np.full(265, -3.0), np.full(265, 3.0), np.zeros(265), np.zeros(265)))
    limits[:2, 1:199] = [[-30.0], [30.0]]
    return {
        "base_cfg": {"hubert_cfg": {"model_path": "hubert.onnx", "device": "cpu"}},
        "audio2motion_cfg": {
            "model_path": "lmdm.pth", "device": "cpu", "motion_feat_dim": 265,
            "audio_feat_dim": 1103, "seq_frames": 80, "use_emo": True, "use_sc": True,
            "use_eye_open": True, "use_eye_ball": True, "w2f_type": "hubert",
        },
        "default_kwargs": {
            "emo": (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32),
            "delta_eye_arr": 0.05 * det_uniform(seed + 1, (15, 63)),
            "delta_eye_open_n": 0,
            "v_min_max_for_clip": limits.astype(np.float32),
            "smo_k_d": 3,
            "overall_ctrl_info": {"delta_pitch": 2},
            "ch_info": reference(seed),
            **defaults,
        },
    }  # fmt: skip


def reference(seed: int) -> dict[str, Any]:
    """A reference character."""
    info = source_info(2, scale=1.5)
    return {
        "x_s_info_lst": [info],
        "sc": info["kp"].reshape(-1),
        "eye_open_lst": 0.3 + 0.1 * det_uniform(seed + 2, (1, 2)),
        "eye_ball_lst": 0.01 * det_uniform(seed + 3, (1, 6)),
    }


def live_config(seed: int) -> dict[str, Any]:
    """As published, with few steps for tests' sake."""
    return config(
        seed, online_mode=True, overlap_v2=70, sampling_timesteps=2,
        fix_kp_cond=1, fix_kp_cond_dim=[0, 202],
    )  # fmt: skip


def offline_config(seed: int) -> dict[str, Any]:
    """The same."""
    return config(seed, online_mode=False, overlap_v2=10, sampling_timesteps=3)


def write_configs(out: Path, seed: int) -> None:
    """One for each way of moving."""
    (out / CONFIGS).mkdir(parents=True, exist_ok=True)
    for name, content in ((LIVE_CONFIG, live_config(seed)), (OFFLINE_CONFIG, offline_config(seed))):
        (out / CONFIGS / name).write_bytes(pickle.dumps(content, protocol=4))


def build(out: Path, seed: int, depth: int = 4) -> None:
    """Write the folder."""
    write_networks(out, depth)
    write_hubert(out / NETWORKS["torch", False]["hubert"], seed)
    write_configs(out, seed)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--depth", type=int, default=4, help="of the volume; 1 draws fastest")
    options = parser.parse_args()
    build(**vars(options))
    files = [file for file in options.out.rglob("*") if file.is_file()]
    print(json.dumps({"bytes": sum(file.stat().st_size for file in files)}))


if __name__ == "__main__":
    main()
