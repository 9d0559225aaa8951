"""What the model writes for silence, noise and music is not what somebody said."""

import pytest

from deployments.asr.faster_whisper.judgement import (
    Evidence,
    better,
    is_speech,
    is_worth_hearing,
    needs_another_try,
)
from deployments.asr.faster_whisper.settings import JudgementSettings

SETTINGS = JudgementSettings()
SURE, UNSURE = -0.3, -1.4
LOOP = "no no " * 60


@pytest.mark.parametrize(
    ("evidence", "share", "expected"),
    [
        (Evidence(" What time is it?", SURE, 0.01), 1.0, True),
        (Evidence(" What time is it?", SURE, 0.9), 1.0, True),  # sure of every word
        (Evidence(" What time is it?", UNSURE, 0.01), 1.0, True),  # mumbled
        (Evidence(" Thank you.", UNSURE, 0.9), 1.0, False),  # silence
        (Evidence(" Thank you.", UNSURE, 0.01), 0.2, False),  # music in which the VAD heard bits
        (Evidence(" Yes", SURE, 0.01), 0.2, True),  # slow, but clear
        (Evidence(LOOP, SURE, 0.01), 1.0, False),
        (Evidence(" ♪♪ ...", SURE, 0.01), 1.0, False),
        (Evidence("", SURE, 0.01), 1.0, False),
    ],
)
def test_what_was_said_is_told_from_what_was_not(
    evidence: Evidence, share: float, expected: bool
) -> None:
    assert is_speech(evidence, share, "", SETTINGS) is expected


def test_the_prompt_repeated_is_nothing_said() -> None:
    said = Evidence("以下是普通话的句子", SURE, 0.01)
    assert not is_speech(said, 1.0, "以下是普通话的句子。", SETTINGS)
    assert is_speech(said, 1.0, "", SETTINGS)


def test_a_loop_compresses_and_a_sentence_does_not() -> None:
    assert Evidence(LOOP, SURE, 0.0).compression_ratio > 10
    sentence = Evidence("My name is Margaret and I live near the river.", SURE, 0.0)
    assert sentence.compression_ratio < 1.2
    assert Evidence("", SURE, 0.0).compression_ratio == 0


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence("Good.", SURE, 0.01), False),
        (Evidence("Good.", UNSURE, 0.01), True),
        (Evidence("Good.", UNSURE, 0.9), False),  # nobody speaks: no temperature helps
        (Evidence(LOOP, SURE, 0.01), True),
        (Evidence(LOOP, UNSURE, 0.9), True),
    ],
)
def test_the_ladder_is_climbed_for_loops_and_guesses(evidence: Evidence, expected: bool) -> None:
    assert needs_another_try(evidence, SETTINGS) is expected


def test_of_bad_tries_the_surest_that_is_no_loop_is_kept() -> None:
    tries = [Evidence(LOOP, -0.1, 0.0), Evidence("a", -1.5, 0.0), Evidence("b", -1.2, 0.0)]
    assert better(tries, SETTINGS) == 2
    assert better(tries[:1], SETTINGS) == 0


def test_too_little_speech_is_not_worth_hearing() -> None:
    assert not is_worth_hearing([], 16_000, SETTINGS)
    assert not is_worth_hearing([(0, 1000), (9000, 11_000)], 16_000, SETTINGS)
    assert is_worth_hearing([(0, 2000), (9000, 11_000)], 16_000, SETTINGS)
    assert not is_worth_hearing([], 16_000, JudgementSettings(min_speech_s=0))
