"""Voice activity detection: where in the sound somebody speaks."""

from typing import Protocol

from deployments.types import Samples


class VadStream(Protocol):
    """One listener's detector; holds the network's state between chunks."""

    def detect(self, chunk: Samples) -> float:
        """The probability in [0, 1] that ``chunk`` holds speech.

        Args:
            chunk: exactly ``VadEngine.chunk_samples`` samples at ``VadEngine.sample_rate_hz``.
        """
        ...


class VadEngine(Protocol):
    """Holds the weights once for all listeners of a process; safe to call from several threads."""

    sample_rate_hz: int
    chunk_samples: int

    def open(self) -> VadStream:
        """A detector that has heard nothing yet."""
        ...
