"""Where the published checkpoint keeps what, under one folder.

Source: the published layout (digital-avatar/ditto-talkinghead at Hugging Face). Its code is
Apache-2.0; what its detectors are made from (InsightFace) may be used non-commercially only.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

Runtime: TypeAlias = Literal["torch", "onnxruntime", "tensorrt"]

CONFIGS = "ditto_cfg"
LIVE_CONFIG = "v0.4_hubert_cfg_trt_online.pkl"
OFFLINE_CONFIG = "v0.4_hubert_cfg_pytorch.pkl"

_TORCH = {
    "appearance_extractor": "ditto_pytorch/models/appearance_extractor.pth",
    "motion_extractor": "ditto_pytorch/models/motion_extractor.pth",
    "stitch_network": "ditto_pytorch/models/stitch_network.pth",
    "warp_network": "ditto_pytorch/models/warp_network.pth",
    "decoder": "ditto_pytorch/models/decoder.pth",
    "lmdm": "ditto_pytorch/models/lmdm_v0.4_hubert.pth",
    "hubert": "ditto_pytorch/aux_models/hubert_streaming_fix_kv.onnx",
}
_ONNX = {
    "appearance_extractor": "ditto_onnx/appearance_extractor.onnx",
    "motion_extractor": "ditto_onnx/motion_extractor.onnx",
    "stitch_network": "ditto_onnx/stitch_network.onnx",
    "warp_network": "ditto_onnx/warp_network.onnx",
    "decoder": "ditto_onnx/decoder.onnx",
    "lmdm": "ditto_onnx/lmdm_v0.4_hubert.onnx",
    "hubert": "ditto_onnx/hubert.onnx",
}
# Our own exports are made from the weights, so both runtimes of ONNX files begin with those.
NETWORKS: Mapping[tuple[Runtime, bool], Mapping[str, str]] = {
    ("torch", False): _TORCH,
    ("onnxruntime", False): _TORCH,
    ("onnxruntime", True): _ONNX,
    ("tensorrt", False): _TORCH,
    ("tensorrt", True): _ONNX,
}
"""By runtime and whether the published ONNX files are to be used: a file for each of
``weights.NETWORKS`` and for ``hubert``."""
DETECTORS: Mapping[str, str] = {
    "detector": "ditto_onnx/insightface_det.onnx",
    "landmark106": "ditto_onnx/landmark106.onnx",
    "landmark203": "ditto_onnx/landmark203.onnx",
    "blaze_face": "ditto_onnx/blaze_face.onnx",
    "face_mesh": "ditto_onnx/face_mesh.onnx",
}


def below(folder: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """``names`` as files in ``folder``."""
    return {key: folder / name for key, name in names.items()}
