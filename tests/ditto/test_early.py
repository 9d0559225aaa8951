"""The way on from frames that were given before their sound was there."""

import numpy as np

from deployments.avatar.ditto.early import Early
from deployments.avatar.ditto.vector import FloatArray


def ramp(first: int, n: int) -> FloatArray:
    """Motion (n, 265) that is the number of its frame everywhere."""
    return np.repeat(np.arange(first, first + n, dtype=np.float32)[:, None], 265, axis=1)


def test_motion_of_frames_that_were_given_is_passed_over_and_the_gap_closes_evenly() -> None:
    early = Early(3, gap=np.full(265, 8.0, np.float32))  # its own motion will say 2
    motion, early = early.follow(ramp(0, 2))
    assert len(motion) == 0
    motion, early = early.follow(ramp(2, 3))
    np.testing.assert_allclose(motion[:, 0], [3 + 5, 4 + 4], rtol=0, atol=1e-6)
    motion, early = early.follow(ramp(5, 6))
    np.testing.assert_allclose(motion[:, 7], [5 + 3, 6 + 2, 7 + 1, 8, 9, 10], rtol=0, atol=1e-6)
    assert (early.n_frames, early.n_led) == (0, 0)


def test_pieces_make_no_difference() -> None:
    early = Early(4, gap=np.full(265, -1.5, np.float32))
    whole, _ = early.follow(ramp(0, 20))
    parts = []
    for first in range(20):
        part, early = early.follow(ramp(first, 1))
        parts.append(part)
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-6)


def test_where_both_agree_nothing_changes() -> None:
    motion, early = Early(2, gap=ramp(1, 1)[0]).follow(ramp(0, 9))
    assert np.array_equal(motion, ramp(2, 7))
    assert (early.n_frames, early.n_led) == (0, 0)
    assert np.array_equal(Early().follow(ramp(0, 3))[0], ramp(0, 3))
