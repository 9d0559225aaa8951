"""Frames that were given before their sound was there, and the way on from them.

Where a viewer would run out, motion is made as if silence followed. When sound comes after all, it
has motion of its own for those frames; that is passed over, and what follows is led over to it.
"""

from dataclasses import dataclass, replace

import numpy as np

from deployments.avatar.ditto.vector import FloatArray

_N_LED = 5  # frames, 0.2 s: a jump of the head in one frame would be seen


@dataclass(frozen=True, slots=True, eq=False)
class Early:
    """``n_frames``: given frames whose own motion is still to come. ``n_led``: frames that are
    still to be led over. ``gap`` (265,): until their motion has come, the last of those frames as
    it was given; then how far that was from its own motion."""

    n_frames: int = 0
    n_led: int = 0
    gap: FloatArray | None = None

    def follow(self, motion: FloatArray) -> tuple[FloatArray, "Early"]:
        """What is to be given of motion (m, 265) that comes next, and what is open after it."""
        n = min(self.n_frames, len(motion))
        if self.gap is None or n < self.n_frames:
            return motion[n:], replace(self, n_frames=self.n_frames - n)
        if n:
            return _led(motion[n:], _N_LED, self.gap - motion[n - 1])
        return _led(motion, self.n_led, self.gap)


def _led(motion: FloatArray, n_led: int, gap: FloatArray) -> tuple[FloatArray, Early]:
    """The gap closes evenly; where both agree there is none, and nothing changes."""
    n = min(n_led, len(motion))
    shares = (n_led - np.arange(n, dtype=np.float32)) / np.float32(_N_LED + 1)
    led = np.concatenate((motion[:n] + shares[:, None] * gap, motion[n:]))
    return led, Early(0, n_led - n, gap) if n < n_led else Early()
