"""The networks as runtimes without torch know them: plain graphs from tensors to tensors.

A graph has no state, so what a step of the diffusion writes into its window in torch is put
together anew here. Shapes: as in ``lmdm``; batch sizes and the number of steps are free.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deployments.avatar.ditto.export import WINDOW_PARTS
from deployments.avatar.ditto.grid_sample import sample_by_gathering
from deployments.avatar.ditto.networks.lmdm import Denoiser
from deployments.avatar.ditto.networks.lmdm_layers import RealTurns
from deployments.avatar.ditto.networks.motion_extractor import MotionInfo
from deployments.avatar.ditto.runtime import INPUT_SIDE_PX

_FEATURE_SIDE = 64  # of the volume, and of what the warp network gives the decoder
# Of the examples that a network is followed with; unlike any size in it, so that none is taken for
# the other.
_BATCH, _STEPS = 3, 5


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A module to be followed through, with examples of its inputs.

    ``free``: names of the sizes that an input leaves open, by axis; where there are none, axis 0
    is the batch.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: Sequence[str]
    free: Mapping[str, Mapping[int, str]]


def graphs_of(name: str, network: nn.Module, half: bool, plugin_free: bool) -> list[Graph]:
    """The folded ``network``, one of ``weights.NETWORKS``, prepared for ``half``, as graphs.

    ``plugin_free``: volumes are sampled by plain arithmetic, for runtimes that have the operator
    for pictures only.
    """
    if plugin_free and name == "warp_network":
        network = copy(network)
        network.sample = sample_by_gathering
    dtype = torch.float16 if half else torch.float32
    makers: dict[str, Callable[..., list[Graph]]] = {
        "appearance_extractor": _appearance,
        "motion_extractor": _motion,
        "stitch_network": _stitch,
        "warp_network": _warp,
        "decoder": _decoder,
        "lmdm": _lmdm,
    }
    return makers[name](network, dtype)


class WindowGraph(nn.Module):
    """What is worked out once for windows of B sessions."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = _with_real_turns(denoiser)

    def forward(self, times: Tensor, before: Tensor, condition: Tensor) -> tuple[Tensor, ...]:
        """Of times (S,) int64, before (B, M) and condition (B, T, C):

        start     (B, 1, D)
        film      (S, 6 L, 2, B, D)
        keys, values            (L, 2, B, H, T, E)
        time_keys, time_values  (S, L, 1, H, 2, E)
        """
        tables = self.denoiser.tables(times)
        window = self.denoiser.begin(before, condition, tables)
        film = window.film.flatten(1, 3).squeeze(-2).unflatten(2, (2, -1))
        n_frames = self.denoiser.sizes.frames
        parts = (
            part[..., :n_frames, :].unflatten(1, (2, -1)) for part in (window.keys, window.values)
        )
        return window.start, film, *parts, tables.keys, tables.values


class StepGraph(nn.Module):
    """One guided step for B sessions."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = _with_real_turns(denoiser)

    def forward(
        self,
        x: Tensor,
        step: Tensor,
        start: Tensor,
        film: Tensor,
        keys: Tensor,
        values: Tensor,
        time_keys: Tensor,
        time_values: Tensor,
    ) -> Tensor:
        """The clean motion (B, T, M) that x (B, T, M) is at number ``step`` (1,) int64 of the
        times; the rest is what ``WindowGraph`` gave."""
        of_step = film.index_select(0, step)[0].flatten(1, 2)  # (6 L, 2 B, D)
        film = of_step.unflatten(0, (-1, 3, 2)).unsqueeze(-2)
        memory = ((keys, time_keys), (values, time_values))
        joined = (_joined(part.flatten(1, 2), of_time, step) for part, of_time in memory)
        return self.denoiser.guided(x, start, film, *joined)


class PaintGraph(nn.Module):
    """The decoder, as far as the bytes of a picture."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, feature: Tensor) -> Tensor:
        """(B, 512, 512, 3) uint8 BGR of feature (B, 256, 64, 64)."""
        red, green, blue = (self.decoder(feature).float() * 255).unbind(1)
        return torch.stack((blue, green, red), dim=-1).to(torch.uint8)


def _with_real_turns(denoiser: Denoiser) -> Denoiser:
    """The same weights; only the copy turns by real numbers."""
    other = copy(denoiser)
    other._modules = {**denoiser._modules, "turns": RealTurns(denoiser.turns)}
    return other


def _joined(part: Tensor, of_time: Tensor, step: Tensor) -> Tensor:
    """(L, 2B, H, T + 2, E) of part (L, 2B, H, T, E) and the step's time tokens."""
    tokens = of_time.index_select(0, step)[0]  # (L, 1, H, 2, E)
    return torch.cat((part, tokens.expand(-1, part.shape[1], -1, -1, -1)), dim=-2)


def _appearance(network: nn.Module, dtype: torch.dtype) -> list[Graph]:
    return [_batched("appearance_extractor", network, {"image": _picture(dtype)}, ("pred",))]


def _motion(network: nn.Module, _: torch.dtype) -> list[Graph]:
    inputs = {"image": _picture(torch.float32)}
    return [_batched("motion_extractor", network, inputs, MotionInfo._fields)]


def _stitch(network: nn.Module, _: torch.dtype) -> list[Graph]:
    return [_batched("stitch_network", network, _points(network.points), ("out",))]


def _warp(network: nn.Module, dtype: torch.dtype) -> list[Graph]:
    sizes = (*network.volume, _FEATURE_SIDE, _FEATURE_SIDE)
    inputs = {"feature_3d": torch.zeros(_BATCH, *sizes, dtype=dtype)}
    return [_batched("warp_network", network, inputs | _points(network.points), ("out",))]


def _decoder(network: nn.Module, dtype: torch.dtype) -> list[Graph]:
    sizes = (network.fc.in_channels, _FEATURE_SIDE, _FEATURE_SIDE)
    inputs = {"feature": torch.zeros(_BATCH, *sizes, dtype=dtype)}
    return [_batched("decoder", PaintGraph(network), inputs, ("picture",))]


def _lmdm(network: Denoiser, _: torch.dtype) -> list[Graph]:
    sizes, window = network.sizes, WindowGraph(network)
    motion = torch.zeros(_BATCH, sizes.frames, sizes.motion)
    begun = {
        "times": torch.arange(_STEPS),
        "before": motion[:, 0],
        "condition": torch.zeros(_BATCH, sizes.frames, sizes.condition),
    }
    with torch.inference_mode():
        made = dict(zip(WINDOW_PARTS, window(*begun.values()), strict=True))
    step = {"x": motion, "step": torch.zeros(1, dtype=torch.long), **made}
    of_window = {"times": {0: "steps"}, "before": _OF_BATCH, "condition": _OF_BATCH}
    of_step = {"x": _OF_BATCH, "step": {}, **_FREE_IN_WINDOW}
    return [
        Graph("lmdm_window", window, begun, WINDOW_PARTS, of_window),
        Graph("lmdm_step", StepGraph(network), step, ("clean",), of_step),
    ]


_OF_BATCH = {0: "batch"}
_FREE_IN_WINDOW = {
    "start": _OF_BATCH,
    "film": {0: "steps", 3: "batch"},
    "keys": {2: "batch"},
    "values": {2: "batch"},
    "time_keys": {0: "steps"},
    "time_values": {0: "steps"},
}


def _batched(
    name: str, module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str]
) -> Graph:
    return Graph(name, module, inputs, outputs, dict.fromkeys(inputs, _OF_BATCH))


def _picture(dtype: torch.dtype) -> Tensor:
    return torch.zeros(_BATCH, 3, INPUT_SIDE_PX, INPUT_SIDE_PX, dtype=dtype)


def _points(n: int) -> dict[str, Tensor]:
    return {name: torch.zeros(_BATCH, n, 3) for name in ("kp_source", "kp_driving")}
