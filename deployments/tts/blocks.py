"""Cuts a sentence's speech, as a synthesiser delivers it, into the blocks that a TTS engine yields.

Shared by the engines of the stage. Pure: samples and marks in, ``SpeechChunk`` out.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from deployments.types import AudioChunk, Phoneme, ReplySentence, Samples, SpeechChunk

MIN_BLOCK_S = 0.1


class Mark(NamedTuple):
    """A sound begins: its IPA (empty for a pause) and its sample in the synthesiser's output."""

    ipa: str
    at_sample: int


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What a synthesiser hands over at once: ``samples`` and the marks that lie in them."""

    samples: Samples
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """How a sentence is cut.

    ``lead_s`` of silence before the first audible sample, ``pause_s`` after the last one; both
    replace the synthesiser's own. ``block_s`` is the length of all blocks but the last, which has
    between ``MIN_BLOCK_S`` and ``block_s + MIN_BLOCK_S``. What is quieter than ``silence`` counts
    as inaudible. Without ``has_phonemes`` blocks carry none, not even pauses: a face would keep its
    mouth shut in them.
    """

    sample_rate_hz: int
    lead_s: float
    pause_s: float
    block_s: float
    silence: float = 1e-3  # -60 dB of full scale, below the noise of any room
    has_phonemes: bool = True

    def samples(self, seconds: float) -> int:
        return math.ceil(seconds * self.sample_rate_hz)


class BlockCutter:
    """Turns the pieces of one sentence into its blocks; one instance per sentence.

    A block leaves as soon as it is certain that it is not the last and that the end of each of its
    phonemes is known, so it lags the synthesiser by a few hundred milliseconds of speech.
    """

    def __init__(self, sentence: ReplySentence, cut: Cut) -> None:
        self._sentence = sentence
        self._cut = cut
        self._shift = 0  # from the synthesiser's sample numbers to the sentence's
        self._begun = False  # something audible came
        self._sound = np.zeros(cut.samples(cut.lead_s), np.float32)  # not yet sent, sure to be
        self._quiet = np.zeros(0, np.float32)  # sent only if something audible follows
        self._marks: list[Mark] = [Mark("", 0)]  # in the sentence's samples, pauses merged
        self._waiting: list[Mark] = []  # came before anything audible
        self._n_sent = 0

    def push(self, piece: Piece) -> Iterator[SpeechChunk]:
        """The blocks that are complete now."""
        self._waiting.extend(piece.marks)
        self._take(piece.samples)
        if self._begun:
            self._place(self._waiting)
            self._waiting = []
            yield from self._complete()

    def finish(self) -> Iterator[SpeechChunk]:
        """The rest, ending with the pause; the last block says so."""
        pause = np.zeros(self._cut.samples(self._cut.pause_s), np.float32)
        self._sound = np.concatenate([self._sound, pause])
        shortfall = self._cut.samples(MIN_BLOCK_S) - len(self._sound) - self._n_sent
        if shortfall > 0:  # nothing audible and settings of almost no silence
            self._sound = np.concatenate([self._sound, np.zeros(shortfall, np.float32)])
        end = self._n_sent + len(self._sound)
        self._marks = [mark for mark in self._marks if mark.at_sample < end] + [Mark("", end)]
        yield from self._complete()
        yield self._block(len(self._sound), is_last=True)

    def _take(self, samples: Samples) -> None:
        audible = np.flatnonzero(np.abs(samples) > self._cut.silence)
        if not len(audible):
            if self._begun:
                self._quiet = np.concatenate([self._quiet, samples])
            else:
                self._shift -= len(samples)
            return
        first = 0
        if not self._begun:
            self._begun = True
            first = int(audible[0])
            self._shift += len(self._sound) - first
        end = int(audible[-1]) + 1
        self._sound = np.concatenate([self._sound, self._quiet, samples[first:end]])
        self._quiet = samples[end:]

    def _place(self, marks: Iterable[Mark]) -> None:
        for mark in marks:
            # The silent closure before a first plosive reaches into the lead: lips close before
            # the sound. More than the lead there is not.
            at = max(mark.at_sample + self._shift, self._marks[-1].at_sample)
            if mark.ipa or self._marks[-1].ipa:
                self._marks.append(Mark(mark.ipa, at))

    def _complete(self) -> Iterator[SpeechChunk]:
        n_block = self._cut.samples(self._cut.block_s)
        n_spare = self._cut.samples(MIN_BLOCK_S)  # so that the last block is not too short
        while len(self._sound) >= n_block + n_spare and self._is_told(self._n_sent + n_block):
            yield self._block(n_block, is_last=False)

    def _is_told(self, end: int) -> bool:
        """Whether the end of each phoneme before the sample ``end`` is known."""
        return not self._cut.has_phonemes or self._marks[-1].at_sample >= end

    def _block(self, n: int, is_last: bool) -> SpeechChunk:
        rate = self._cut.sample_rate_hz
        start, end = self._n_sent, self._n_sent + n
        samples, self._sound = self._sound[:n], self._sound[n:]
        phonemes = self._phonemes(start, end) if self._cut.has_phonemes else ()
        self._marks = [mark for mark in self._marks if mark.at_sample >= end]
        self._n_sent = end
        return SpeechChunk(
            audio=AudioChunk(samples, rate, start / rate),
            sentence_index=self._sentence.index,
            phonemes=phonemes,
            is_last=is_last,
            turn_no=self._sentence.turn_no,
        )

    def _phonemes(self, start: int, end: int) -> tuple[Phoneme, ...]:
        rate = self._cut.sample_rate_hz
        return tuple(
            Phoneme(mark.ipa, mark.at_sample / rate, following.at_sample / rate)
            for mark, following in pairwise(self._marks)
            if start <= mark.at_sample < end and following.at_sample > mark.at_sample
        )
