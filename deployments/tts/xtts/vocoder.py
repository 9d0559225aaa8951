"""Latents become sound as they come, each decoded once.

The library decodes the whole sentence again for every piece. But what it does to latents reaches
only so far: two interpolations between neighbours, then a HiFi-GAN of convolutions. So each piece
is decoded with the frames around it that its sound depends on, and is the same, to the rounding of
floats, as the sentence decoded at once.
"""

from collections.abc import Sequence
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.types import Samples

REACH = 13
"""So many frames on each side of one does its sound depend on. Source: the kernels of the library's
HiFi-GAN, whose sizes are fixed: 3 frames by the first convolution, 7.5 by the residual blocks at
eight times the rate, 2.1 by the rest; a changed frame changed sound up to 12.65 frames away."""


class Stretching:
    """A stream of vectors, interpolated linearly to ``scale`` times as many.

    The same numbers as ``torch.nn.functional.interpolate`` gives for the whole, however the stream
    is cut: positions are counted from its beginning, in float32 as there.
    """

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._n_in = 0
        self._n_out = 0
        self._kept: Any = None  # (n, width), the latest of the input
        self._first = 0  # the index of kept[0]

    def push(self, vectors: Any, is_end: bool) -> Any:
        """(m, width): certain after ``vectors``, (n, width); at the end all that is left."""
        import torch

        kept = vectors if self._kept is None else torch.cat([self._kept, vectors])
        self._n_in += len(vectors)
        at = torch.arange(self._n_out, floor(self._n_in * self._scale), dtype=torch.float32)
        ratio = np.float32(1 / self._scale)
        source = torch.clamp((at + 0.5) * ratio - 0.5, min=0)
        if not is_end:
            source = source[source.floor() + 1 < self._n_in]
        made = self._between(kept, source.to(kept.device))
        self._n_out += len(source)
        self._forget(kept)
        return made

    def _between(self, kept: Any, source: Any) -> Any:
        low = source.floor()
        share = (source - low)[:, None]
        index = low.long() - self._first
        high = (index + 1).clamp(max=len(kept) - 1)
        return kept[index] * (1 - share) + kept[high] * share

    def _forget(self, kept: Any) -> None:
        """Keep what the next output needs, one vector more than that for the rounding."""
        needed = max(self._first, floor((self._n_out + 0.5) / self._scale - 0.5) - 1)
        self._kept = kept[needed - self._first :]
        self._first = needed


class Vocoding:
    """One stretch of speech on its way from latents to sound; one instance per stretch."""

    def __init__(self, decoder: Any, speaker: NDArray[np.float32], speed: float = 1.0) -> None:
        """``decoder``: the library's ``HifiDecoder``; ``speaker``: (512,), see ``Timbre``."""
        import torch

        self._network = decoder.waveform_decoder
        self._hop = int(decoder.output_hop_length)
        self._device = decoder.device
        self._speaker = torch.from_numpy(speaker)[None, :, None].to(self._device)
        scales = (
            1 / speed,
            decoder.ar_mel_length_compression / decoder.output_hop_length,
            decoder.output_sample_rate / decoder.input_sample_rate,
        )
        self._stretchings = [Stretching(scale) for scale in scales if scale != 1]
        self._frames: Any = None  # (n, width), not yet sounded, behind those around them
        self._n_sounded = 0  # so many of them have been

    def push(self, latents: Sequence[Any], is_end: bool) -> Samples:
        """The sound that is certain after ``latents``, each (width,); all the rest at the end."""
        import torch

        with torch.inference_mode():
            frames = self._stretched(latents, is_end)
            if self._frames is not None:
                frames = torch.cat([self._frames, frames])
            n_certain = len(frames) if is_end else max(self._n_sounded, len(frames) - REACH)
            sound = self._sound(frames, n_certain)
            first = max(0, n_certain - REACH)
            self._frames, self._n_sounded = frames[first:], n_certain - first
        return sound

    def _stretched(self, latents: Sequence[Any], is_end: bool) -> Any:
        import torch

        width = self._network.conv_pre.in_channels
        empty = torch.zeros((0, width), device=self._device)
        vectors = torch.stack(list(latents)) if latents else empty
        for stretching in self._stretchings:
            vectors = stretching.push(vectors, is_end)
        return vectors

    def _sound(self, frames: Any, n_certain: int) -> Samples:
        """Of the frames from the first that has not been sounded to ``n_certain``."""
        if n_certain == self._n_sounded:
            return np.zeros(0, np.float32)
        wave = self._network(frames.T[None], g=self._speaker)[0, 0]
        certain = wave[self._n_sounded * self._hop : n_certain * self._hop]
        return np.asarray(certain.float().cpu().numpy(), np.float32)
