"""The simulated clock of ``benchmarks/ditto.py``."""

from dataclasses import replace
from typing import Any

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


def result(share: float, plain_s: float = 1.0, half: bool = False) -> Any:
    """Of a CPU with a peak of 1 TFLOP/s, on which a frame is 1 TFLOP."""
    pytest.importorskip("torch", reason="the benchmark of Ditto needs torch")
    from benchmarks.ditto import Result, Row

    rows = [Row("frame", 1, "float32", 1 / share, 1e12, 1e12, memory_gb=2.0)]
    windows = {1: 0.5, 2: 0.8}
    return Result("2 threads", False, half, {"float32": 1e12}, rows, windows, plain_s)


def test_a_share_is_of_operations_that_were_done() -> None:
    row = result(0.5).rows[0]
    assert row.share == pytest.approx(0.5)
    assert row.published_share == pytest.approx(1.234 / 2)


def test_a_cpu_is_judged_by_its_frame_and_its_window() -> None:
    from benchmarks.ditto import verdicts

    assert [verdict.is_ok for verdict in verdicts(result(0.61))] == [True, True]
    assert [verdict.is_ok for verdict in verdicts(result(0.59, plain_s=0.7))] == [False, False]


def test_what_was_measured_comes_to_frames_and_a_delay() -> None:
    served = result(0.5).served()
    assert served == {"frames_per_s": 0.5, "live_sessions": 0, "first_frame_ms": 2500.0}


def test_memory_is_that_of_the_batch_that_is_usual() -> None:
    pytest.importorskip("torch", reason="the benchmark of Ditto needs torch")
    one = result(0.5)
    [frame] = one.rows
    others = [replace(frame, batch=n, memory_gb=float(n)) for n in (2, 8, 16)]
    others.append(replace(frame, name="decoder", batch=8, memory_gb=99.0))
    assert replace(one, rows=[frame, *others]).memory == (8, 8.0)
    assert replace(one, rows=[frame, *others[:1]]).memory == (2, 2.0)
    assert replace(one, rows=[frame, *others]).json()["memory_gb"] == 8.0
