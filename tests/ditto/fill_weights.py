"""Weights and inputs for the golden data that are the same bits on every machine.

The goldens in ``goldens/`` were made with these; ``goldens/README.md`` says which go where. All of
it is integer hashing. For element number i (row-major) of stream number s

    h = i * 0x9E3779B1 + s * 0x85EBCA6B + 0x1B873593       (all of it mod 2^32)
    h ^= h >> 16;  h *= 0x7FEB352D;  h ^= h >> 15;  h *= 0x846CA68B;  h ^= h >> 16
    u = (h + 0.5) / 2^32                                   (float64, in (0, 1))

Weights: key number k of the state_dict, sorted as plain strings and counted over all of them, uses
stream 7919 * (k + 1); with v = det_uniform(stream, shape), ``_fill_one`` says what is made of v.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Shape = tuple[int, ...]

_BLOCK = 1 << 16  # elements hashed at a time: what stays in a core's cache


def _hash(stream: int, first: int, n: int) -> npt.NDArray[np.uint32]:
    """Numbers ``first`` to ``first + n`` of a stream; arrays of uint32 wrap by themselves."""
    h = np.arange(first, first + n, dtype=np.uint32)
    h *= np.uint32(0x9E3779B1)
    h += np.uint32((stream * 0x85EBCA6B + 0x1B873593) & 0xFFFFFFFF)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        h ^= h >> np.uint32(shift)
        h *= np.uint32(factor)
    h ^= h >> np.uint32(16)
    return h


def _unit(stream: int, n: int) -> npt.NDArray[np.float64]:
    """u of the first n elements."""
    return (_hash(stream, 0, n).astype(np.float64) + 0.5) / 2**32


def det_uniform(seed: int, shape: Shape) -> Floats:
    """Values in [-1, 1)."""
    out = np.empty(int(np.prod(shape)), np.float32)
    for first in range(0, out.size, _BLOCK):
        u = _hash(seed, first, min(_BLOCK, out.size - first)).astype(np.float64)
        u += 0.5
        u *= 2.0**-31
        u -= 1.0
        out[first : first + u.size] = u
    return out.reshape(shape)


def det_normal(seed: int, shape: Shape) -> Floats:
    """Standard normal values, by Box and Muller."""
    n = int(np.prod(shape))
    u1, u2 = _unit(2 * seed + 1000003, n), _unit(2 * seed + 1000004, n)
    z = np.sqrt(-2.0 * np.log(u1)) * np.cos(2.0 * np.pi * u2)
    return z.astype(np.float32).reshape(shape)


def det_image(seed: int, h: int, w: int) -> npt.NDArray[np.uint8]:
    """An RGB picture (h, w, 3): waves, and texture on them."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    fx, fy = 2 + seed % 3, 3 + seed % 2
    texture = det_uniform(500000 + seed, (h, w, 3)).astype(np.float64)
    waves = [
        np.sin(2 * np.pi * (fx * x / w + c / 3)) * np.cos(2 * np.pi * fy * y / h) for c in range(3)
    ]
    out = 128 + 70 * np.stack(waves, axis=-1) + 30 * texture
    return np.clip(np.floor(out), 0, 255).astype(np.uint8)


def fill_arrays(shapes: Mapping[str, Shape]) -> dict[str, npt.NDArray[Any]]:
    """A value for each key of a state_dict but the rotary tables, which a module computes."""
    out: dict[str, npt.NDArray[Any]] = {}
    keys = sorted(shapes)
    for k, key in enumerate(keys):
        last = key.rsplit(".", 1)[-1]
        if last == "num_batches_tracked":
            out[key] = np.zeros(shapes[key], np.int64)
        elif last not in ("freqs", "weight_v"):
            out[key] = _fill_one(key, last, det_uniform(7919 * (k + 1), tuple(shapes[key])))
    for key in keys:
        if key.endswith("weight_v"):
            out[key] = _right_vector(out, key.removesuffix("weight_v"))
    return out


def _fill_one(key: str, last: str, v: Floats) -> Floats:
    """What this kind of weight is made of v, so that the activations keep a size of about one."""
    if last == "running_var":
        return np.float32(1) + np.float32(0.25) * v
    if last in ("running_mean", "gamma", "beta"):
        return np.float32(0.1) * v
    if last == "weight_u":
        wide = v.astype(np.float64)
        return (wide / np.linalg.norm(wide)).astype(np.float32)
    if "null_cond" in key:
        return v
    if last in ("weight", "weight_orig", "in_proj_weight") and v.ndim >= 2:
        gain = np.sqrt(2.0) if v.ndim >= 4 else 1.0
        return v * np.float32(gain * np.sqrt(3.0 / int(np.prod(v.shape[1:]))))
    if last == "weight":
        return np.float32(1) + np.float32(0.1) * v
    return np.float32(0.05) * v


def _right_vector(filled: Mapping[str, npt.NDArray[Any]], base: str) -> Floats:
    """v of the spectral norm: W^T u over its length, so that sigma is ||W^T u||."""
    w = filled[base + "weight_orig"]
    t = w.reshape(w.shape[0], -1).T.astype(np.float64) @ filled[base + "weight_u"].astype(
        np.float64
    )
    return (t / np.linalg.norm(t)).astype(np.float32)


def fill_module(module: Any) -> Any:
    """Fills a torch module in place and switches it to inference; returns it."""
    import torch

    state = module.state_dict()
    arrays = fill_arrays({key: tuple(value.shape) for key, value in state.items()})
    with torch.no_grad():
        for key, array in arrays.items():
            state[key].copy_(torch.from_numpy(array))
    return module.eval()


def pose_logits(seed: int, peak: float) -> Floats:
    """(1, 66): a soft pose near bin ``peak``."""
    bins = np.arange(66, dtype=np.float64)
    noise = 0.5 * det_uniform(seed, (66,)).astype(np.float64)
    return (-((bins - peak) ** 2) / 18.0 + noise).astype(np.float32).reshape(1, 66)


def source_info(seed: int, scale: float = 1.3) -> dict[str, Floats]:
    """What the motion extractor might say of a source frame: xs(seed) in the goldens' README."""
    return {
        "pitch": pose_logits(seed * 100 + 1, 31 + seed % 5),
        "yaw": pose_logits(seed * 100 + 2, 33 - seed % 4),
        "roll": pose_logits(seed * 100 + 3, 32.5 + seed % 3),
        "t": 0.05 * det_uniform(seed * 100 + 4, (1, 3)),
        "exp": 0.03 * det_uniform(seed * 100 + 5, (1, 63)),
        "scale": np.array([[scale + 0.01 * seed]], np.float32),
        "kp": 0.35 * det_uniform(seed * 100 + 6, (1, 63)),
    }


def driving_info(seed: int) -> dict[str, Floats]:
    """What the diffusion might say of a frame: xd(seed) in the goldens' README, without ``kp``."""
    info = source_info(seed)
    del info["kp"]
    return info
