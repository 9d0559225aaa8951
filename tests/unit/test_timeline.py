"""The reply's clock: blocks laid end to end, cut on frame boundaries."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.types import AudioChunk, Phoneme, SpeechChunk, Stretch
from graph.timeline import TAIL_FRAMES, StretchPlan, Timeline

RATE_HZ = 22_050
PLAN = StretchPlan(fps=25, context_s=0.12)


def block(n_samples: int, sentence: int = 0, at_s: float = 0.0) -> SpeechChunk:
    audio = AudioChunk(np.arange(n_samples, dtype=np.float32), RATE_HZ, at_s)
    phoneme = Phoneme("a", at_s, at_s + audio.duration_s)
    return SpeechChunk(audio, sentence, (phoneme,), is_last=False)


def timeline() -> Timeline:
    return Timeline(PLAN, RATE_HZ, "face0001")


def cut_all(line: Timeline) -> list[Stretch]:
    stretches = []
    while line.has_stretch():
        stretches.append(line.cut(None, 0.0))
    return stretches


@given(st.lists(st.integers(1, 30_000), min_size=1, max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_comes_is_cut_into_consecutive_stretches_of_the_whole(
    sizes: list[int], data: st.DataObject
) -> None:
    line, stretches = timeline(), []
    for i, size in enumerate(sizes):
        line.append(block(size, sentence=i))
        if data.draw(st.booleans()):
            stretches += cut_all(line)
    line.end()
    stretches += cut_all(line)
    n_speech = math.ceil(round(sum(sizes) * 25 / RATE_HZ, 9))
    assert [s.first_frame for s in stretches] == list(
        np.cumsum([0] + [s.n_frames for s in stretches[:-1]])
    )
    assert sum(s.n_frames for s in stretches) == n_speech + TAIL_FRAMES
    assert [s.n_rest_frames for s in stretches] == [0] * (len(stretches) - 1) + [TAIL_FRAMES]
    heard = np.concatenate(
        [
            s.audio.samples[: line.sample_at(s.first_frame + s.n_frames) - start]
            for s in stretches
            for start in [line.sample_at(s.first_frame)]
        ]
    )
    assert np.array_equal(heard, np.concatenate([np.arange(n) for n in sizes]))


def test_a_stretch_waits_for_the_context_that_the_engine_wants() -> None:
    line = timeline()
    line.append(block(line.sample_at(10)))
    assert not line.has_stretch()
    line.append(block(line.sample_at(3), at_s=0.4))
    assert line.has_stretch()
    assert line.cut(None, 0.0).audio.duration_s == 0.52


def test_phonemes_of_later_sentences_are_shifted_onto_the_replys_clock() -> None:
    line = timeline()
    line.append(block(22_050, sentence=0))
    line.append(block(11_025, sentence=1))
    line.append(block(11_025, sentence=1, at_s=0.5))
    line.end()
    phonemes = {p for s in cut_all(line) for p in s.phonemes}
    assert phonemes == {
        Phoneme("a", 0.0, 1.0),
        Phoneme("a", 1.0, 1.5),
        Phoneme("a", 1.5, 2.0),
    }


def test_phonemes_stay_with_their_sound_when_silence_falls_into_a_sentence() -> None:
    line = timeline()
    line.append(block(8_820))
    line.cut(None, 0.0)
    line.append_silence(25)
    line.append(block(8_820, at_s=0.4))
    line.end()
    phonemes = {(round(p.start_s, 6), round(p.end_s, 6)) for s in cut_all(line) for p in s.phonemes}
    assert phonemes == {(1.4, 1.8)}


def test_silence_fills_whole_frames_and_counts_as_speech() -> None:
    line = timeline()
    line.append(block(1000))
    line.append_silence(5)
    assert line.has_frames()
    assert line.cut(None, 0.0).n_frames == 5
    assert line.speech_s == 0.2
