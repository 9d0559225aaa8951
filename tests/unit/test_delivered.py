"""What a full machine delivers corrects what its stages say it could."""

import pytest

from graph.delivered import Delivered


def fed(delivered: Delivered, speech_per_s: float, seconds: float, *, is_full: bool) -> Delivered:
    """Ten reports a second."""
    for i in range(round(seconds * 10) + 1):
        delivered.update(speech_per_s * i / 10, is_full, 10.0, i / 10)
    return delivered


def test_a_full_machine_that_delivers_less_counts_for_less() -> None:
    assert fed(Delivered(), 8.0, 10.0, is_full=True).factor == pytest.approx(0.8)


def test_it_never_counts_for_more_than_its_stages_say_nor_for_less_than_half() -> None:
    assert fed(Delivered(), 20.0, 10.0, is_full=True).factor == 1.0
    assert fed(Delivered(), 1.0, 10.0, is_full=True).factor == 0.5


def test_what_a_machine_with_time_to_spare_delivers_says_nothing() -> None:
    assert fed(Delivered(), 1.0, 10.0, is_full=False).factor == 1.0


def test_a_moment_is_too_short_to_judge() -> None:
    assert fed(Delivered(), 1.0, 1.0, is_full=True).factor == 1.0


def test_what_was_learnt_fades_while_there_is_time_to_spare() -> None:
    delivered = fed(Delivered(), 6.0, 10.0, is_full=True)
    delivered.update(60.0, False, 10.0, 70.0)
    assert delivered.factor == pytest.approx(0.8)
