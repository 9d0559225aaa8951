"""Cutting a sentence's speech into blocks."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.tts.blocks import BlockCutter, Cut, Mark, Piece
from deployments.types import Phoneme, ReplySentence, Samples, SpeechChunk

RATE_HZ = 1_000  # a sample is a millisecond
CUT = Cut(RATE_HZ, lead_s=0.06, pause_s=0.3, block_s=0.15)
SENTENCE = ReplySentence(2, "text", is_last=False, turn_no=5)


def loud(n: int) -> Samples:
    return np.full(n, 0.5, np.float32)


def quiet(n: int) -> Samples:
    return np.full(n, 0.0005, np.float32)


def cut(*pieces: Piece) -> list[SpeechChunk]:
    cutter = BlockCutter(SENTENCE, CUT)
    blocks = [block for piece in pieces for block in cutter.push(piece)]
    return [*blocks, *cutter.finish()]


def lengths(blocks: list[SpeechChunk]) -> list[int]:
    return [len(block.audio.samples) for block in blocks]


def joined(blocks: list[SpeechChunk]) -> list[float]:
    return [float(x) for block in blocks for x in block.audio.samples]


def test_the_synthesisers_own_silence_is_replaced_at_both_ends() -> None:
    blocks = cut(Piece(quiet(33)), Piece(np.concatenate([quiet(7), loud(100), quiet(500)])))
    assert joined(blocks) == [0.0] * 60 + [0.5] * 100 + [0.0] * 300


def test_a_pause_within_the_sentence_stays() -> None:
    pause = float(quiet(1)[0])
    blocks = cut(Piece(loud(50)), Piece(quiet(400)), Piece(loud(50)))
    assert joined(blocks) == [0.0] * 60 + [0.5] * 50 + [pause] * 400 + [0.5] * 50 + [0.0] * 300


def test_phonemes_move_with_their_sound_and_end_where_the_next_begins() -> None:
    marks = (Mark("", 0), Mark("h", 40), Mark("aɪ", 90), Mark("", 140), Mark("", 600))
    blocks = cut(Piece(np.concatenate([quiet(40), loud(100), quiet(500)]), marks))
    assert [phoneme for block in blocks for phoneme in block.phonemes] == [
        Phoneme("", 0.0, 0.06),
        Phoneme("h", 0.06, 0.11),
        Phoneme("aɪ", 0.11, 0.16),
        Phoneme("", 0.16, 0.46),
    ]


def test_the_silent_closure_of_a_first_plosive_reaches_into_the_lead() -> None:
    marks = (Mark("p", 10), Mark("a", 60))
    blocks = cut(Piece(np.concatenate([quiet(50), loud(50)]), marks))
    assert blocks[0].phonemes[:2] == (Phoneme("", 0.0, 0.02), Phoneme("p", 0.02, 0.07))


def test_a_closure_longer_than_the_lead_begins_with_the_sentence() -> None:
    blocks = cut(Piece(np.concatenate([quiet(200), loud(50)]), (Mark("p", 10), Mark("a", 210))))
    assert blocks[0].phonemes[0] == Phoneme("p", 0.0, 0.07)


def test_without_phonemes_a_block_waits_for_sound_only_and_carries_none() -> None:
    cutter = BlockCutter(SENTENCE, replace(CUT, has_phonemes=False))
    early = list(cutter.push(Piece(loud(400))))
    assert lengths(early) == [150, 150]
    assert [block.phonemes for block in [*early, *cutter.finish()]] == [()] * 5


def test_a_phoneme_on_a_border_goes_with_the_block_where_it_starts() -> None:
    marks = (Mark("a", 0), Mark("b", 80), Mark("c", 90), Mark("", 400))
    first, second, *_ = cut(Piece(np.concatenate([loud(400), quiet(9)]), marks))
    assert first.phonemes[1:] == (Phoneme("a", 0.06, 0.14), Phoneme("b", 0.14, 0.15))
    assert second.phonemes == (Phoneme("c", 0.15, 0.46),)


def test_a_block_waits_until_the_end_of_its_last_phoneme_is_known() -> None:
    cutter = BlockCutter(SENTENCE, CUT)
    assert list(cutter.push(Piece(loud(400), (Mark("a", 0),)))) == []
    after = list(cutter.push(Piece(loud(100), (Mark("b", 420),))))
    assert lengths(after) == [150, 150, 150]


def test_without_a_sound_there_is_the_lead_and_the_pause() -> None:
    blocks = cut(Piece(quiet(700), (Mark("", 0), Mark("", 300))))
    assert joined(blocks) == [0.0] * 360
    assert [phoneme for block in blocks for phoneme in block.phonemes] == [Phoneme("", 0.0, 0.36)]


def test_blocks_know_whose_they_are() -> None:
    assert {(b.sentence_index, b.turn_no) for b in cut(Piece(loud(999)))} == {(2, 5)}


def test_the_shortest_sentence_is_still_a_whole_block() -> None:
    cutter = BlockCutter(SENTENCE, Cut(RATE_HZ, lead_s=0.05, pause_s=0.0, block_s=0.1))
    assert lengths(list(cutter.finish())) == [100]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=12),
    st.integers(1, 120),
    st.sampled_from([0.1, 0.12, 0.15]),
)
def test_any_speech_is_cut_into_lawful_blocks(
    parts: list[tuple[int, bool]], n_piece: int, block_s: float
) -> None:
    sound = np.concatenate([np.zeros(0, np.float32), *[(quiet, loud)[o](n) for n, o in parts]])
    edges = np.cumsum([0, *[n for n, _ in parts]]).tolist()
    marks = [Mark("a" if o else "", at) for at, (_, o) in zip(edges, parts, strict=False)]
    cutter = BlockCutter(SENTENCE, Cut(RATE_HZ, 0.06, 0.3, block_s))
    blocks = []
    for start in range(0, len(sound), n_piece):
        inside = tuple(mark for mark in marks if start <= mark.at_sample < start + n_piece)
        blocks += list(cutter.push(Piece(sound[start : start + n_piece], inside)))
    blocks += list(cutter.finish())

    *most, last = lengths(blocks)
    assert set(most) <= {round(block_s * RATE_HZ)}
    assert 100 <= last <= 250
    assert [block.is_last for block in blocks] == [False] * len(most) + [True]
    assert joined(blocks).count(0.5) == np.count_nonzero(sound == 0.5)
    found = [phoneme for block in blocks for phoneme in block.phonemes]
    assert found[0].start_s == 0
    assert found[-1].end_s == pytest.approx(sum(lengths(blocks)) / RATE_HZ)
    assert all(a.end_s == b.start_s for a, b in pairwise(found))
