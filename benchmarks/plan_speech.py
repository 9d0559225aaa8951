"""An answer's words in the simulation: written by the language model, spoken by voices."""

from collections.abc import Sequence
from math import inf

from benchmarks.plan_clock import Clock, Event
from benchmarks.plan_pool import Pool
from benchmarks.plan_replicas import BLOCK_S, Utterance, Voice
from deployments.cost_model import StageCost

WORD_S = 0.4
"""A sentence is known to be over with the word after it."""

_LITTLE_S = 1e-6


class Speech:
    """The sentences of one answer, each spoken by any voice once the one before it is read.

    ``n_blocks_ahead``: so much may be unread when the next sentence is asked for.
    """

    __slots__ = (
        "_ahead_s", "_clock", "_is_asked", "_on_more", "_read_s", "_seen_s", "_sentences",
        "_text_at_s", "_utterance", "_voice", "_voices", "_wanted_s", "done_s", "length_s",
    )  # fmt: skip

    def __init__(
        self,
        clock: Clock,
        voices: Pool[Voice],
        sentences: Sequence[float],
        n_blocks_ahead: int,
        on_more: Event,
    ) -> None:
        self._clock, self._voices, self._on_more = clock, voices, on_more
        self._sentences = list(sentences)
        self.length_s = sum(sentences)
        self.done_s = 0.0  # of whole sentences
        self._ahead_s = n_blocks_ahead * BLOCK_S
        self._read_s = self._seen_s = 0.0  # taken by its reader; there when it was last looked at
        self._is_asked = False  # for a sentence, which is not over yet
        self._wanted_s = inf  # how much its reader waits for
        self._text_at_s: list[float] = []
        self._utterance: Utterance | None = None
        self._voice: Voice | None = None

    def begin(self, llm: StageCost) -> None:
        """The language model is asked now."""
        now_s, written_s = self._clock.now_s, 0.0
        for sentence_s in self._sentences:
            written_s += sentence_s
            known_s = min(self.length_s, written_s + WORD_S)
            self._text_at_s.append(now_s + llm.work_s(known_s))
        self._sentences.reverse()
        self._text_at_s.reverse()
        self._go_on()

    @property
    def is_over(self) -> bool:
        return self.done_s >= self.length_s - _LITTLE_S

    def has(self, speech_s: float) -> bool:
        """Whether so much is there, or all; if not, ``on_more`` is told when it is."""
        if speech_s <= self._seen_s + _LITTLE_S or self.is_over:
            return True
        utterance, voice = self._utterance, self._voice
        if utterance is not None and voice is not None:
            self._seen_s = self.done_s + voice.look(utterance)
            if speech_s <= self._seen_s + _LITTLE_S:
                return True
        self._wanted_s = speech_s
        if utterance is not None and voice is not None:
            voice.tell_at(utterance, speech_s - self.done_s)
        self._go_on()
        return False

    def read(self, speech_s: float) -> None:
        """So much was taken by its reader."""
        self._read_s = speech_s
        self._go_on()

    def _go_on(self) -> None:
        """The next sentence is asked for when its text is there and the last one mostly read. Who
        waits for more has taken all that is there."""
        taken_s = self._read_s if self._wanted_s == inf else min(self._wanted_s, self.done_s)
        is_read = self.done_s - taken_s <= self._ahead_s
        if self._sentences and is_read and not self._is_asked:
            self._is_asked = True
            self._clock.at(max(self._clock.now_s, self._text_at_s.pop()), self._ask)

    def _ask(self) -> None:
        self._voices.ask(self._spoken_by)

    def _spoken_by(self, voice: Voice) -> None:
        sentence_s = self._sentences.pop()
        tell_at_s = min(sentence_s, self._wanted_s - self.done_s)
        self._voice, self._utterance = voice, Utterance(sentence_s, tell_at_s, self._heard)
        voice.speak(self._utterance)

    def _heard(self) -> None:
        """More of the sentence is there, or all of it."""
        utterance, voice = self._utterance, self._voice
        if utterance is None or voice is None:
            return
        here_s = self.done_s + utterance.done_s
        if utterance.is_over:
            self.done_s = self._seen_s = here_s
            self._utterance, self._voice, self._is_asked = None, None, False
            self._voices.give_back(voice)
            self._go_on()
        if here_s >= min(self._wanted_s, self.length_s) - _LITTLE_S:
            self._wanted_s = inf
            self._on_more()
