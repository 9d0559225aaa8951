"""How large a checkpoint's networks are, read off the shapes of its weights.

The published checkpoint has one size. Another one with the same keys runs by the same code, so
that a small one tests it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias


class _Shaped(Protocol):
    shape: Any


State: TypeAlias = Mapping[str, _Shaped]


def sizes_of(name: str, state: State) -> dict[str, Any]:
    """What the constructor of the network ``name``, one of ``weights.NETWORKS``, takes.

    Raises:
        KeyError, ValueError: these are not the weights of such a network.
    """
    return _READERS[name](state)


def _appearance_extractor(state: State) -> dict[str, Any]:
    channels = _out(state, "resblocks_3d.3dr0.conv1")
    return {
        "width": _out(state, "first.conv"),
        "channels": channels,
        "depth": _out(state, "second") // channels,
        "n_residual": _count(state, "resblocks_3d.3dr"),
    }


def _motion_extractor(state: State) -> dict[str, Any]:
    stages = range(_count(state, "detector.stages."))
    return {
        "depths": tuple(_count(state, f"detector.stages.{i}.") for i in stages),
        "widths": tuple(_out(state, f"detector.stages.{i}.0.dwconv") for i in stages),
        "points": _out(state, "detector.fc_kp") // 3,
        "bins": _out(state, "detector.fc_pitch"),
    }


def _stitch_network(state: State) -> dict[str, Any]:
    return {"points": _in(state, "mlp.0") // 6, "width": _out(state, "mlp.0")}


def _warp_network(state: State) -> dict[str, Any]:
    motion = "dense_motion_network."
    points, compressed = _out(state, f"{motion}mask") - 1, _out(state, f"{motion}compress")
    stacked, channels = (points + 1) * (compressed + 1), _in(state, f"{motion}compress")
    return {
        "points": points,
        "volume": (channels, _in(state, "third.conv") // channels),
        "compressed": compressed,
        "width": _out(state, f"{motion}hourglass.decoder.conv") - stacked,
        "n_blocks": _count(state, f"{motion}hourglass.encoder.down_blocks."),
        "out": _out(state, "fourth"),
    }


def _decoder(state: State) -> dict[str, Any]:
    return {
        "features": _in(state, "fc"),
        "width": _out(state, "fc"),
        "hidden": _out(state, "G_middle_0.norm_0.mlp_shared.0"),
        "n_middle": _count(state, "G_middle_"),
    }


def _lmdm(state: State) -> dict[str, Any]:
    from deployments.avatar.ditto.networks.lmdm import LmdmSizes

    _, frames, latent = state["null_cond_embed"].shape
    sizes = LmdmSizes(
        motion=_out(state, "final_layer"),
        condition=_in(state, "cond_projection"),
        frames=frames,
        latent=latent,
        hidden=_out(state, "seqTransDecoder.stack.0.linear1"),
        encoder_layers=_count(state, "cond_encoder."),
        decoder_layers=_count(state, "seqTransDecoder.stack."),
    )  # the number of heads leaves no trace in any shape
    return {"sizes": sizes}


_READERS: dict[str, Callable[[State], dict[str, Any]]] = {
    "appearance_extractor": _appearance_extractor,
    "motion_extractor": _motion_extractor,
    "stitch_network": _stitch_network,
    "warp_network": _warp_network,
    "decoder": _decoder,
    "lmdm": _lmdm,
}


def _out(state: State, layer: str) -> int:
    """Outputs of a convolution or a linear layer."""
    return int(state[f"{layer}.weight"].shape[0])


def _in(state: State, layer: str) -> int:
    return int(state[f"{layer}.weight"].shape[1])


def _count(state: State, prefix: str) -> int:
    """How many are numbered behind ``prefix``."""
    rest = (key.removeprefix(prefix) for key in state if key.startswith(prefix))
    return len({number.split(".", 1)[0] for number in rest})
