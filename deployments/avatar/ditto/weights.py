"""Published checkpoints into networks that are ready to run.

Files are read with ``weights_only``: no code in them runs. Keys must be exactly those that were
published, shapes must fit each other, and each layer is exchanged afterwards for the cheaper one
that it amounts to.
"""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.avatar.ditto.sizes import sizes_of
from deployments.errors import EngineLoadError

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORKS = (
    "appearance_extractor",
    "motion_extractor",
    "stitch_network",
    "warp_network",
    "decoder",
    "lmdm",
)
# What the published file of a network has its weights under, where it is more than weights.
_WRAPPERS = {"stitch_network": "retarget_shoulder", "lmdm": "model_state_dict"}


def load_network(name: str, path: Path) -> "nn.Module":
    """The network ``name``, one of ``NETWORKS``, on the CPU in float32, folded; as large as its
    weights say.

    Raises:
        EngineLoadError: the file cannot be read, holds more than tensors, or not exactly the keys
            of this network in shapes that fit each other.
    """
    from deployments.avatar.ditto.networks.folding import fold

    state = _read(name, path)
    try:
        network = build_network(name, "meta", **sizes_of(name, state))
        network.load_state_dict(state, assign=True)
    except (RuntimeError, LookupError, ValueError, ArithmeticError, AttributeError) as error:
        raise EngineLoadError(f"{path} is no {name}: {error}", stage="avatar") from None
    return fold(network.float())


def build_network(name: str, device: str, **sizes: Any) -> "nn.Module":
    """The network ``name`` with its published keys and shapes, before any weights are loaded.

    ``device``: where its tensors are; ``meta`` is nowhere: no memory, nothing initialised.
    ``sizes``: what its constructor takes; without them, those of the published checkpoint.
    """
    import torch

    with torch.device(device):
        network: nn.Module = _constructor(name)(**sizes)
    return network


def _constructor(name: str) -> Callable[..., Any]:
    from deployments.avatar.ditto.networks import (
        appearance,
        decoder,
        lmdm,
        motion_extractor,
        stitch,
        warp,
    )

    return {
        "appearance_extractor": appearance.AppearanceExtractor,
        "motion_extractor": motion_extractor.MotionExtractor,
        "stitch_network": stitch.StitchNetwork,
        "warp_network": warp.WarpNetwork,
        "decoder": decoder.Decoder,
        "lmdm": lmdm.Lmdm,
    }[name]


def _read(name: str, path: Path) -> dict[str, "Tensor"]:
    """The state_dict in the file, as it was before training wrapped it."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).split("\n", 1)[0]
        raise EngineLoadError(f"{path} cannot be read: {reason}", stage="avatar") from None
    state = content
    if (wrapper := _WRAPPERS.get(name)) is not None and isinstance(content, Mapping):
        state = content.get(wrapper)
    if not isinstance(state, Mapping):
        raise EngineLoadError(f"{path} does not hold the weights of {name}", stage="avatar")
    return {str(key).replace("module.", ""): value for key, value in state.items()}
