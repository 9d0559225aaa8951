"""What every speech recogniser does that hears several utterances at once."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from deployments.asr.engine import BatchingAsrEngine, final
from deployments.errors import EngineInputError
from deployments.registry import load_engine
from deployments.types import AudioChunk, Transcript
from tests.contracts.test_asr import tiny_whisper_options
from tests.sounds import RATE_HZ, talk

pytestmark = pytest.mark.skipif(
    not find_spec("espeakng_loader"), reason="the extra 'espeak' is not installed"
)
needs_faster_whisper = pytest.mark.skipif(
    not find_spec("faster_whisper"), reason="the extra 'faster_whisper' is not installed"
)
Batching = BatchingAsrEngine[Any]


@pytest.fixture(
    scope="module", params=["fake", pytest.param("faster_whisper", marks=needs_faster_whisper)]
)
def engine(request: pytest.FixtureRequest) -> Batching:
    options: dict[str, Any] = {"batch": 4, "rule": "duration"}
    if request.param == "faster_whisper":
        options = tiny_whisper_options(request.getfixturevalue("tiny_whisper"))
    loaded: Batching = load_engine("asr", request.param, options)
    return loaded


def utterances() -> list[tuple[AudioChunk, str | None]]:
    """Of several lengths, languages and rates; the third is silence, the last one long."""
    return [
        (AudioChunk(talk(2.0, 1), RATE_HZ), "en"),
        (AudioChunk(talk(3.0, 2), RATE_HZ, start_s=2.0), "zh"),
        (AudioChunk(np.zeros(RATE_HZ, np.float32), RATE_HZ), None),
        (AudioChunk(talk(2.5, 3), 24_000), None),
        (AudioChunk(talk(9.0, 4), RATE_HZ), "es"),
        (AudioChunk(talk(5.5, 5), RATE_HZ), "zh"),
        (AudioChunk(talk(75.0, 6), RATE_HZ), None),
    ]


def together(
    engine: Batching, asked: Sequence[tuple[AudioChunk, str | None]]
) -> list[list[Transcript]]:
    """All transcripts of each, heard in batches as large as the engine likes."""
    hearings = [engine.open(audio, language) for audio, language in asked]
    heard: list[list[Transcript]] = [[] for _ in asked]
    left = list(range(len(asked)))
    while left:
        batch, left = left[: engine.capabilities.batch], left[engine.capabilities.batch :]
        for i, transcript in zip(batch, engine.hear([hearings[i] for i in batch]), strict=True):
            heard[i].append(transcript)
        left += [i for i in batch if not heard[i][-1].is_final]
    return heard


def test_it_says_how_many_it_likes_at_once(engine: Batching) -> None:
    assert engine.capabilities.batch == 4


def test_utterances_heard_together_come_out_as_alone(engine: Batching) -> None:
    asked = utterances()
    alone = [list(engine.transcribe(*one)) for one in asked]
    assert together(engine, asked) == alone
    assert [one[-1].text == "" for one in alone] == [i == 2 for i in range(len(asked))]


def test_the_order_of_a_batch_changes_nothing(engine: Batching) -> None:
    asked = utterances()[:4]
    assert together(engine, asked[::-1]) == together(engine, asked)[::-1]


def test_what_is_not_given_any_more_does_not_disturb_the_others(engine: Batching) -> None:
    gone, stays = utterances()[-1], utterances()[4]
    expected = final(engine.transcribe(*stays))
    hearings = [engine.open(*gone), engine.open(*stays)]
    assert engine.hear(hearings)[1] == expected
    assert final(engine.transcribe(*stays)) == expected


def test_opening_refuses_what_transcribing_refuses(engine: Batching) -> None:
    with pytest.raises(EngineInputError):
        engine.open(AudioChunk(talk(0.5), RATE_HZ), "tlh")
