"""LMDM, the latent motion diffusion model: from sound to motion, 80 frames at a time.

``Lmdm`` has the published keys. What runs is the ``Denoiser``, which computes nothing twice:

    once            the unconditional memory, which depends on the weights alone
    per schedule    ``tables``: what depends on the time alone, for all steps
    per window      ``begin``: the condition encoder, the memory's keys and values, FiLM of all
                    steps
    per step        ``denoise``: the decoder's layers, with both guidance passes as one batch

Shapes: B sessions, T = 80 frames, M = 265 motion values, C = 1103 conditions, D = 512 latent
values, L = 8 layers, H = 8 heads of E = 64, S steps. 2B rows: the conditional pass of all
sessions, then the unconditional one.

Source: Li et al., arXiv 2411.19509; sizes of the published checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deployments.avatar.ditto.networks.folding import Foldable, linear_of, stacked
from deployments.avatar.ditto.networks.lmdm_layers import (
    DecoderLayer,
    DecoderStack,
    EncoderLayer,
    Rotary,
    Sinusoid,
    Turns,
)

_N_TIME_TOKENS = 2


@dataclass(frozen=True, slots=True)
class LmdmSizes:
    """The defaults are those of the published checkpoint."""

    motion: int = 265
    condition: int = 1103
    frames: int = 80
    latent: int = 512
    heads: int = 8
    hidden: int = 1024
    encoder_layers: int = 2
    decoder_layers: int = 8
    guidance: float = 2.0  # times the way from the unconditional to the conditional prediction


@dataclass(frozen=True, slots=True, eq=False)
class StepTables:
    """What depends on the steps' times alone."""

    hidden: Tensor  # (S, 1, D)
    keys: Tensor  # (S, L, 1, H, 2, E) of the time tokens
    values: Tensor  # (S, L, 1, H, 2, E)
    null_film: Tensor  # (S, L, 3, 2, 1, 1, D) of the unconditional pass


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One window of each of B sessions. The last two keys and values are those of the time tokens,
    written by each step: a window can be in one step at a time."""

    tables: StepTables
    start: Tensor  # (B, 1, D): what the frame before the window adds to the input
    film: Tensor  # (S, L, 3, 2, 2B, 1, D): of three parts of each layer, factor and offset
    keys: Tensor  # (L, 2B, H, T + 2, E)
    values: Tensor  # (L, 2B, H, T + 2, E)


_PUBLISHED = LmdmSizes()


class Lmdm(Foldable):
    """The published keys."""

    def __init__(self, sizes: LmdmSizes = _PUBLISHED) -> None:
        super().__init__()
        self.sizes, width, inner = sizes, sizes.latent, (sizes.latent, sizes.heads, sizes.hidden)
        self.null_cond_embed = nn.Parameter(torch.empty(1, sizes.frames, width))
        self.null_cond_hidden = nn.Parameter(torch.empty(1, width))
        self.rotary = Rotary(width)
        self.time_mlp = nn.Sequential(Sinusoid(width), nn.Linear(width, 4 * width), nn.Mish())
        self.to_time_cond = nn.Sequential(nn.Linear(4 * width, width))
        self.to_time_tokens = nn.Sequential(nn.Linear(4 * width, _N_TIME_TOKENS * width))
        self.norm_cond = nn.LayerNorm(width)
        self.input_projection = nn.Linear(2 * sizes.motion, width)
        self.cond_encoder = nn.ModuleList(EncoderLayer(*inner) for _ in range(sizes.encoder_layers))
        self.cond_projection = nn.Linear(sizes.condition, width)
        self.non_attn_cond_projection = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.seqTransDecoder = DecoderStack(sizes.decoder_layers, *inner)
        self.final_layer = nn.Linear(width, sizes.motion)

    def folded(self) -> "Denoiser":
        """What runs."""
        return Denoiser(self)


class Denoiser(nn.Module):
    """Says what a noisy window of motion is without the noise."""

    def __init__(self, net: Lmdm) -> None:
        super().__init__()
        self.sizes = net.sizes
        self.layers = net.seqTransDecoder.stack
        self.time_mlp, self.to_time_cond = net.time_mlp, net.to_time_cond
        self.to_time_tokens, self.norm_cond = net.to_time_tokens, net.norm_cond
        self.cond_projection, self.cond_encoder = net.cond_projection, net.cond_encoder
        self.hidden_projection, self.final_layer = net.non_attn_cond_projection, net.final_layer
        self.noisy_projection, self.start_projection = _split(net.input_projection)
        self.turns = Turns(net.rotary, net.sizes.frames + _N_TIME_TOKENS)
        self.film = _all_films(self.layers)
        self.key_projection, self.value_projection = _memory_projections(self.layers)
        keys, values = self._memory(net.null_cond_embed, 0)
        self.register_buffer("null_keys", keys)  # (L, 1, H, T, E)
        self.register_buffer("null_values", values)
        self.register_buffer("null_hidden", net.null_cond_hidden.detach())  # (1, D)

    def tables(self, times: Sequence[int] | Tensor) -> StepTables:
        """For steps at these times (0 to 999), in the order in which they are taken."""
        time = torch.as_tensor(times, device=self.null_hidden.device)
        features = self.time_mlp(time)  # (S, 4D)
        hidden = self.to_time_cond(features).unsqueeze(1)  # (S, 1, D)
        tokens = self.to_time_tokens(features).unflatten(-1, (_N_TIME_TOKENS, -1))  # (S, 2, D)
        keys, values = self._memory(tokens, self.sizes.frames)  # (L, S, H, 2, E)
        return StepTables(
            hidden=hidden,
            keys=keys.transpose(0, 1).unsqueeze(2).contiguous(),
            values=values.transpose(0, 1).unsqueeze(2).contiguous(),
            null_film=self._films(hidden + self.null_hidden),
        )

    def begin(self, frame_before: Tensor, condition: Tensor, tables: StepTables) -> Window:
        """B windows that go on from ``frame_before`` (B, M), under ``condition`` (B, T, C)."""
        tokens = self.cond_projection(condition)  # (B, T, D)
        for layer in self.cond_encoder:
            tokens = layer(tokens, self.turns)
        hidden = self.hidden_projection(tokens.mean(dim=1))  # (B, D)
        film = self._films(tables.hidden + hidden)  # (S, L, 3, 2, B, 1, D)
        keys, values = self._memory(tokens, 0)
        return Window(
            tables=tables,
            start=self.start_projection(frame_before).unsqueeze(1),
            film=torch.cat((film, tables.null_film.expand_as(film)), dim=-3),
            keys=_with_null(keys, self.null_keys),
            values=_with_null(values, self.null_values),
        )

    def denoise(self, x: Tensor, window: Window, step: int) -> Tensor:
        """The clean motion (B, T, M), guided, that x (B, T, M) is at the time of this step."""
        window.keys[..., self.sizes.frames :, :] = window.tables.keys[step]
        window.values[..., self.sizes.frames :, :] = window.tables.values[step]
        return self.guided(x, window.start, window.film[step], window.keys, window.values)

    def guided(
        self, x: Tensor, start: Tensor, film: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """As ``denoise``, given what a ``Window`` holds for this one step; film without its S."""
        h = self.noisy_projection(x) + start  # (B, T, D)
        for i, layer in enumerate(self.layers):
            added = layer.attended(h, self.turns)
            if i == 0:  # until here both passes are the same: computed once
                h, added = h.repeat(2, 1, 1), added.repeat(2, 1, 1)  # (2B, T, D)
            h = _modulated(h, added, film[i, 0])
            h = _modulated(h, layer.crossed(h, keys[i], values[i], self.turns), film[i, 1])
            h = _modulated(h, layer.fed(h), film[i, 2])
        conditional, unconditional = h.unflatten(0, (2, -1)).unbind(0)
        # The last layer is linear, so guiding before it is guiding after it, at half the work.
        guided = torch.lerp(unconditional, conditional, self.sizes.guidance)
        out: Tensor = self.final_layer(guided)
        return out

    def _films(self, hidden: Tensor) -> Tensor:
        """(S, L, 3, 2, N, 1, D) of hidden (S, N, D)."""
        film = self.film(F.mish(hidden)).unflatten(-1, (len(self.layers), 3, 2, -1))
        return film.permute(0, 2, 3, 4, 1, 5).unsqueeze(-2).contiguous()

    def _memory(self, tokens: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Keys and values of all layers, each (L, N, H, T, E).

        tokens: (N, T, D), at the memory's positions from ``first`` on.
        """
        tokens = self.norm_cond(tokens)
        both = self.key_projection(self.turns(tokens, first)), self.value_projection(tokens)
        shape = (len(self.layers), self.sizes.heads, -1)
        keys, values = (part.unflatten(-1, shape).permute(2, 0, 3, 1, 4) for part in both)
        return keys.contiguous(), values.contiguous()


def _modulated(x: Tensor, added: Tensor, film: Tensor) -> Tensor:
    """x + factor * added + offset; film (2, 2B, 1, D)."""
    return torch.addcmul(x + film[1], added, film[0])


def _with_null(part: Tensor, null: Tensor) -> Tensor:
    """(L, 2B, H, T + 2, E) of part (L, B, H, T, E), with room for the time tokens."""
    rows = torch.cat((part, null.expand_as(part)), dim=1)
    return F.pad(rows, (0, 0, 0, _N_TIME_TOKENS))


def _split(projection: nn.Linear) -> tuple[nn.Linear, nn.Linear]:
    """What the window itself gives to the input, and what the frame before it does."""
    noisy, start = projection.weight.chunk(2, dim=1)
    return linear_of(noisy, torch.zeros_like(projection.bias)), linear_of(start, projection.bias)


def _all_films(layers: Sequence[DecoderLayer]) -> nn.Linear:
    """FiLM of all layers as one; each factor comes with the 1 that it is counted from."""
    films = [film.block[1] for one in layers for film in (one.film1, one.film2, one.film3)]
    film = stacked(films)
    film.bias.view(len(films), 2, -1)[:, 0] += 1
    return film


def _memory_projections(layers: Sequence[DecoderLayer]) -> tuple[nn.Linear, nn.Linear]:
    """The keys and the values that all layers make of the memory."""
    weights = [one.multihead_attn.in_proj_weight.chunk(3) for one in layers]
    biases = [one.multihead_attn.in_proj_bias.chunk(3) for one in layers]
    keys, values = (
        linear_of(torch.cat([w[i] for w in weights]), torch.cat([b[i] for b in biases]))
        for i in (1, 2)
    )
    return keys, values
