"""LMDM as the paper draws it, with nothing worked out beforehand: what ``Denoiser`` is compared to.

It runs an ``Lmdm`` that has not been folded: one guidance pass after the other, every step anew.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def plain_denoise(net: Any, x: Tensor, frame_before: Tensor, cond: Tensor, time: int) -> Tensor:
    """The clean motion (B, T, M), guided, of x (B, T, M)."""
    conditional, unconditional = plain_passes(net, x, frame_before, cond, time)
    return unconditional + net.sizes.guidance * (conditional - unconditional)


def plain_passes(
    net: Any, x: Tensor, frame_before: Tensor, cond: Tensor, time: int
) -> tuple[Tensor, Tensor]:
    """The conditional and the unconditional prediction, (B, T, M) each."""
    tokens = _encoded(net, cond)
    hidden = net.non_attn_cond_projection(tokens.mean(dim=1))
    null = net.null_cond_embed.expand_as(tokens)
    inputs = net, x, frame_before, time
    return _one_pass(*inputs, tokens, hidden), _one_pass(*inputs, null, net.null_cond_hidden)


def _one_pass(
    net: Any, x: Tensor, frame_before: Tensor, time: int, tokens: Tensor, hidden: Tensor
) -> Tensor:
    n, frames, _ = x.shape
    features = net.time_mlp(torch.tensor([time], device=x.device))
    t = net.to_time_cond(features) + hidden
    time_tokens = net.to_time_tokens(features).reshape(1, 2, -1).expand(n, -1, -1)
    memory = net.norm_cond(torch.cat((tokens, time_tokens), dim=1))
    h = torch.cat((x, frame_before[:, None].expand(-1, frames, -1)), dim=-1)
    h = net.input_projection(h)
    for layer in net.seqTransDecoder.stack:
        seen = layer.norm1(h)
        h = h + _film(layer.film1, t, _attention(layer.self_attn, layer.rotary, seen, seen))
        seen = layer.norm2(h)
        h = h + _film(layer.film2, t, _attention(layer.multihead_attn, layer.rotary, seen, memory))
        h = h + _film(layer.film3, t, _fed(layer, layer.norm3(h)))
    out: Tensor = net.final_layer(h)
    return out


def _encoded(net: Any, cond: Tensor) -> Tensor:
    h: Tensor = net.cond_projection(cond)
    for layer in net.cond_encoder:
        seen = layer.norm1(h)
        h = h + _attention(layer.self_attn, layer.rotary, seen, seen)
        h = h + _fed(layer, layer.norm2(h))
    return h


def _film(film: Any, t: Tensor, added: Tensor) -> Tensor:
    factor, offset = film.block(t)[:, None].chunk(2, dim=-1)
    return (1 + factor) * added + offset


def _fed(layer: Any, x: Tensor) -> Tensor:
    out: Tensor = layer.linear2(F.gelu(layer.linear1(x)))
    return out


def _attention(attention: Any, rotary: Any, x: Tensor, memory: Tensor) -> Tensor:
    """From x (N, T, D) to memory (N, any, D); whole vectors are turned before the projection."""
    inputs = _turned(rotary, x), _turned(rotary, memory), memory
    weights = attention.in_proj_weight.chunk(3)
    biases = attention.in_proj_bias.chunk(3)
    query, keys, values = (
        F.linear(*part).unflatten(-1, (attention.heads, -1)).transpose(1, 2)
        for part in zip(inputs, weights, biases, strict=True)
    )
    seen = F.scaled_dot_product_attention(query, keys, values)
    out: Tensor = attention.out_proj(seen.transpose(1, 2).flatten(2))
    return out


def _turned(rotary: Any, x: Tensor) -> Tensor:
    angles = torch.outer(torch.arange(x.shape[1], device=x.device), rotary.freqs)
    cos, sin = angles.cos(), angles.sin()
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)
