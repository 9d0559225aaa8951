"""The layers of LMDM: rotary positions, attention, encoder and decoder layers.

Shapes: N windows, T positions, D = 512 values, H = 8 heads of E = D / H.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Rotary(nn.Module):
    """Pair i of values turns by ``position * freqs[i]``; the table is part of the checkpoint."""

    def __init__(self, width: int) -> None:
        super().__init__()
        freqs = 10000.0 ** (-torch.arange(0, width, 2) / width)  # (D/2,)
        self.register_buffer("freqs", freqs)


class Turns(nn.Module):
    """``Rotary`` worked out for a number of positions, as complex numbers of length 1."""

    def __init__(self, rotary: Rotary, positions: int) -> None:
        super().__init__()
        angles = torch.outer(torch.arange(positions), rotary.freqs)  # (positions, D/2)
        turns = torch.polar(torch.ones_like(angles), angles)
        self.register_buffer("turns", turns, persistent=False)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """x (N, T, D), whose T positions begin with ``first``, turned. In float32."""
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))  # (N, T, D/2)
        turned = pairs * self.turns[first : first + x.shape[1]]
        return torch.view_as_real(turned).flatten(2)


class RealTurns(nn.Module):
    """The same by real numbers alone, for runtimes that know no others; slower in torch."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self.register_buffer("cos", turns.turns.real.clone())  # (positions, D/2)
        self.register_buffer("sin", turns.turns.imag.clone())

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """As ``Turns``."""
        a, b = x.unflatten(-1, (-1, 2)).unbind(-1)  # (N, T, D/2)
        cos, sin = (part[first : first + x.shape[1]] for part in (self.cos, self.sin))
        return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(2)


class Sinusoid(nn.Module):
    """The time (S,) as ``width`` sines and cosines, (S, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.half = width // 2

    def forward(self, time: Tensor) -> Tensor:
        """Source: Ho et al., arXiv 2006.11239; the divisor is half - 1."""
        i = torch.arange(self.half, device=time.device)
        angles = time[:, None] * torch.exp(i * (-math.log(10000.0) / (self.half - 1)))
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class Attention(nn.Module):
    """Multi-head attention: query and keys are turned by their positions, values are not."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def projected(self, x: Tensor, first: int, last: int) -> list[Tensor]:
        """Of query 0, key 1 and value 2 those from ``first`` to ``last``: each (N, H, T, E)."""
        width, n = self.out_proj.in_features, last + 1 - first
        rows = slice(first * width, (last + 1) * width)
        out = F.linear(x, self.in_proj_weight[rows], self.in_proj_bias[rows])
        return [part.transpose(1, 2) for part in out.unflatten(-1, (n, self.heads, -1)).unbind(2)]

    def to_itself(self, x: Tensor, turns: Turns) -> Tensor:
        """(N, T, D) of x (N, T, D)."""
        query, keys = self.projected(turns(x), 0, 1)
        (values,) = self.projected(x, 2, 2)
        return self.joined(query, keys, values)

    def to_memory(self, x: Tensor, keys: Tensor, values: Tensor, turns: Turns) -> Tensor:
        """(N, T, D) of x (N, T, D), keys and values (N, H, any, E)."""
        (query,) = self.projected(turns(x), 0, 0)
        return self.joined(query, keys, values)

    def joined(self, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(N, T, D) of what each head (N, H, T, E) has seen."""
        seen = F.scaled_dot_product_attention(query, keys, values)
        out: Tensor = self.out_proj(seen.transpose(1, 2).flatten(2))
        return out


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward over the conditions."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.rotary = Rotary(width)

    def forward(self, x: Tensor, turns: Turns) -> Tensor:
        """(N, T, D) of (N, T, D)."""
        x = x + self.self_attn.to_itself(self.norm1(x), turns)
        out: Tensor = x + self.linear2(F.gelu(self.linear1(self.norm2(x))))
        return out


class Film(nn.Module):
    """Factor and offset of what a part of a layer adds: feature-wise linear modulation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Mish(), nn.Linear(width, 2 * width))


class DecoderLayer(nn.Module):
    """Pre-norm self-attention, cross-attention and feed-forward; FiLM is applied by the caller."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.multihead_attn = Attention(width, heads)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.film1 = Film(width)
        self.film2 = Film(width)
        self.film3 = Film(width)
        self.rotary = Rotary(width)

    def attended(self, x: Tensor, turns: Turns) -> Tensor:
        """What self-attention adds to x (N, T, D)."""
        return self.self_attn.to_itself(self.norm1(x), turns)

    def crossed(self, x: Tensor, keys: Tensor, values: Tensor, turns: Turns) -> Tensor:
        """What the memory adds to x (N, T, D)."""
        return self.multihead_attn.to_memory(self.norm2(x), keys, values, turns)

    def fed(self, x: Tensor) -> Tensor:
        """What the feed-forward part adds to x (N, T, D)."""
        out: Tensor = self.linear2(F.gelu(self.linear1(self.norm3(x))))
        return out


class DecoderStack(nn.Module):
    """The decoder's layers, under the name that the published keys have."""

    def __init__(self, n_layers: int, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.stack = nn.ModuleList(DecoderLayer(width, heads, hidden) for _ in range(n_layers))
