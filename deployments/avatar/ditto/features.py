"""From sound to one row of features per frame, in any pieces.

HuBERT hears a window of past, current and future frames at a time and gives two rows of 1024 per
frame; the current ones, averaged in pairs, are kept. It remembers nothing between windows, so all
that a stretch carries to the next is the end of its sound.

Source: the published implementation (goldens 20).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from deployments.avatar.ditto.vector import FloatArray

SAMPLE_RATE_HZ = 16_000
N_FRAME = 640  # samples; 25 frames a second
N_FEATURES = 1024
_N_BEYOND = 80  # samples that the network's first layers reach beyond the last frame
_ROWS_PER_FRAME = 2

Hubert: TypeAlias = Callable[[FloatArray], FloatArray]
"""(n,) samples, 16 kHz in [-1, 1] -> (rows, 1024), 50 a second."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A window, in frames. ``is_live`` is how the published live driver counts its past: its
    features come 80 samples (5 ms) later than those of a whole file."""

    past: int = 3
    current: int = 5
    future: int = 2
    is_live: bool = False

    @property
    def n_samples(self) -> int:
        return (self.past + self.current + self.future) * N_FRAME + _N_BEYOND

    @property
    def n_before(self) -> int:
        """Samples of silence before the first."""
        return self.past * N_FRAME + (0 if self.is_live else _N_BEYOND)

    def kept(self, rows: FloatArray) -> FloatArray:
        """(current, 1024) of all rows of the window."""
        first = -_ROWS_PER_FRAME * (self.current + self.future)
        rows = rows[first : len(rows) - _ROWS_PER_FRAME * self.future]
        pairs = rows.reshape(self.current, _ROWS_PER_FRAME, -1)
        return np.asarray(pairs.mean(axis=1), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureState:
    """``samples``: the sound from the next window on. ``n_samples``: all that was heard.
    ``n_rows``: rows that came out."""

    samples: FloatArray
    n_samples: int = 0
    n_rows: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Rows of features for sound that comes in pieces."""

    hubert: Hubert
    chunk: Chunk

    def begin(self) -> FeatureState:
        return FeatureState(np.zeros(self.chunk.n_before, np.float32))

    def advance(
        self, state: FeatureState, samples: FloatArray, is_last: bool
    ) -> tuple[FloatArray, FeatureState]:
        """(n, 1024) as far as the sound reaches; at the end one row for every begun frame."""
        heard = np.concatenate((state.samples, samples))
        n_samples = state.n_samples + len(samples)
        n_wanted = frames_in(n_samples) - state.n_rows if is_last else None
        rows, heard = self._rows(heard, n_wanted)
        return rows, replace(
            state, samples=heard, n_samples=n_samples, n_rows=state.n_rows + len(rows)
        )

    def silence(self, n_frames: int) -> FloatArray:
        """(n_frames, 1024) of a whole file without sound."""
        file = Features(self.hubert, replace(self.chunk, is_live=False))
        samples = np.zeros(n_frames * N_FRAME, np.float32)
        return file.advance(file.begin(), samples, is_last=True)[0]

    def _rows(self, heard: FloatArray, n_wanted: int | None) -> tuple[FloatArray, FloatArray]:
        """As many rows as there are whole windows, or those wanted, with silence after the sound;
        and the sound that is left."""
        chunk, hop = self.chunk, self.chunk.current * N_FRAME
        if n_wanted is None:
            n_windows = max((len(heard) - chunk.n_samples) // hop + 1, 0)
        else:
            n_windows = -(-n_wanted // chunk.current)
            heard = np.pad(heard, (0, n_windows * hop + chunk.n_samples))
        windows = [heard[i * hop : i * hop + chunk.n_samples] for i in range(n_windows)]
        kept = [chunk.kept(self.hubert(window)) for window in windows]
        rows = np.concatenate(kept) if kept else np.zeros((0, N_FEATURES), np.float32)
        return rows[:n_wanted], heard[n_windows * hop :]


def sparing(hubert: Hubert) -> Hubert:
    """The same, but what silence of some length is like it works out once: an idle face, pauses
    and ends of replies ask for little else."""
    known: dict[int, FloatArray] = {}

    def hear(samples: FloatArray) -> FloatArray:
        if samples.any():
            return hubert(samples)
        if len(samples) not in known:
            known[len(samples)] = hubert(samples)
        return known[len(samples)]

    return hear


def frames_in(n_samples: int) -> int:
    """Frames that this much sound lasts, the last one begun."""
    return -(-n_samples // N_FRAME)
