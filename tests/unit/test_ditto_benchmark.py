"""The simulated clock of ``benchmarks/ditto.py``."""

import pytest

from benchmarks.ditto_sessions import BLOCK, DELAY_S, FRAME_S, cost, latest_s, sessions

FREE = {1: 1e-9}


def test_a_frame_that_takes_its_whole_time_leaves_no_room_for_a_second_session() -> None:
    assert sessions({1: 0.9 * FRAME_S}, FREE) == 1


def test_a_device_slower_than_life_serves_nobody() -> None:
    assert sessions({1: 1.05 * FRAME_S}, FREE) == 0


def test_batches_serve_as_many_as_they_have_time_for() -> None:
    # Eight frames in a fifth of a frame's time: 40 sessions' frames in real time.
    batches = {1: FRAME_S / 5, 8: FRAME_S / 5}
    assert 36 <= sessions(batches, FREE) <= 40
    assert sessions({1: FRAME_S / 5}, FREE) <= 5


def test_windows_take_their_share() -> None:
    frames = {1: FRAME_S / 10}
    assert sessions(frames, {1: BLOCK * FRAME_S / 2}) == 1
    together = {1: BLOCK * FRAME_S / 4, 4: BLOCK * FRAME_S / 4}
    assert sessions(frames, together) > sessions(frames, {1: BLOCK * FRAME_S / 4})


def test_one_session_is_as_early_as_its_window_and_its_frame_allow() -> None:
    window_s, frame_s = 0.1, 0.01
    early_s = latest_s(1, {1: frame_s}, {1: window_s})
    assert early_s == pytest.approx(window_s + frame_s - DELAY_S)


def test_a_batch_between_two_sizes_takes_as_long_as_the_larger() -> None:
    assert [cost({1: 1.0, 4: 2.0}, n) for n in (1, 2, 4)] == [1.0, 2.0, 2.0]
