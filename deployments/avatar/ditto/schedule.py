"""The noise schedule of the diffusion and the steps that are taken through it.

Source: cosine schedule (Nichol and Dhariwal 2021) and DDIM with eta = 1 (Song et al. 2021), with
the published checkpoint's constants (goldens 04).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_N_TIMES = 1000
_OFFSET, _MAX_BETA = 0.008, 0.999


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """S steps. ``times`` (S + 1,) falls to -1, which is the clean motion.

    After step i the next noisy motion is ``clean[i] * x_start + pred[i] * pred_noise +
    fresh[i] * noise``, each (S - 1,) float32; the last step's x_start is the result.
    ``alphas`` (1000,) float32: how much of the motion's energy is left at each time.
    """

    times: NDArray[np.int64]
    clean: NDArray[np.float32]
    pred: NDArray[np.float32]
    fresh: NDArray[np.float32]
    alphas: NDArray[np.float32]

    def weights(self) -> NDArray[np.float32]:
        """(S - 1, 3): of the clean prediction, of the noisy motion that it was made from and of
        fresh noise, in the next noisy motion. The predicted noise is folded into the first two."""
        alphas = self.alphas.astype(np.float64)[self.times[:-2]]
        of_noisy = self.pred * np.sqrt(1 / (1 - alphas))
        of_clean = self.clean - self.pred / np.sqrt(1 / alphas - 1)
        return np.stack((of_clean, of_noisy, self.fresh), axis=1).astype(np.float32)


def schedule(n_steps: int) -> Schedule:
    """``n_steps`` of equal length through the thousand times."""
    times = np.linspace(-1, _N_TIMES - 1, n_steps + 1).astype(np.int64)[::-1]
    alphas = _alphas()
    now, then = alphas[times[:-2]], alphas[times[1:-1]]
    # All float32: the first ``pred`` is all rounding, and the published one is rounded so.
    fresh = np.sqrt((1 - now / then) * (1 - then) / (1 - now))
    pred = np.sqrt(np.maximum(1 - then - fresh**2, 0))  # it may even round to less than nothing
    return Schedule(times, np.sqrt(then), pred, fresh, alphas)


def _alphas() -> NDArray[np.float32]:
    at = np.arange(_N_TIMES + 1) / _N_TIMES
    left = np.cos((at + _OFFSET) / (1 + _OFFSET) * np.pi / 2) ** 2
    betas = np.minimum(1 - left[1:] / left[:-1], _MAX_BETA).astype(np.float32)
    return np.cumprod(1 - betas.astype(np.float64)).astype(np.float32)
