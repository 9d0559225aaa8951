"""Long recordings cut at pauses, for models that were trained on short ones. Pure."""

import numpy as np

from deployments.types import Samples

_WINDOW_S = 0.2  # a pause between words; plosives close for less
_HOP_S = 0.02


def split_at_pauses(samples: Samples, sample_rate_hz: int, max_s: float) -> list[Samples]:
    """The sound in pieces of at most ``max_s``, each cut in the quietest 0.2 s of its second half.

    Args:
        samples: (n,) float32.

    Returns:
        Views that joined are ``samples``; one alone if it is short enough.
    """
    n_max = int(max_s * sample_rate_hz)
    pieces = []
    while len(samples) > n_max:
        cut = n_max // 2 + _quietest(samples[n_max // 2 : n_max], sample_rate_hz)
        pieces.append(samples[:cut])
        samples = samples[cut:]
    return [*pieces, samples]


def _quietest(samples: Samples, sample_rate_hz: int) -> int:
    """The middle of the window with the least energy; the later one of equals."""
    hop = max(1, int(_HOP_S * sample_rate_hz))
    energy = np.add.reduceat(np.square(samples, dtype=np.float64), np.arange(0, len(samples), hop))
    n_hops = min(len(energy), round(_WINDOW_S / _HOP_S))
    windows = np.convolve(energy, np.ones(n_hops), "valid")
    last = len(windows) - 1 - int(np.argmin(windows[::-1]))
    return min((last * hop) + n_hops * hop // 2, len(samples))
