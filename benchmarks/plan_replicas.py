"""Ears and voices in the simulation: replicas with one thread, as the stages' deployments have.

What a step costs is the cost model's word; how long it takes is the card's.
"""

from collections import deque
from collections.abc import Callable
from math import ceil, inf

from benchmarks.plan_card import Card, Work
from deployments.cost_model import StageCost
from deployments.types import Effort

BLOCK_S = 0.15
"""Of speech, as the TTS engines yield it. Source: ``deployments.tts.fake``."""

_LITTLE_S = 1e-9


class Replica:
    """What every stage's replica is to whoever sends it work and to admission.

    ``n_ongoing``: the requests that it has. ``place``: where its pool keeps it. ``busy_s`` and
    ``media_s`` are of the efforts that were not told yet.
    """

    __slots__ = ("busy_s", "card", "is_leaving", "media_s", "n_ongoing", "name", "place")

    def __init__(self, name: str, card: Card) -> None:
        self.name, self.card = name, card
        self.n_ongoing = self.place = 0
        self.busy_s = self.media_s = 0.0
        self.is_leaving = False

    def effort(self) -> Effort | None:
        """What its outputs took since it was last asked; ``None`` if there were none."""
        if self.media_s <= 0:
            return None
        found = Effort(self.name, self.busy_s, self.media_s)
        self.busy_s = self.media_s = 0.0
        return found


class Ears(Replica):
    """An ASR replica: one utterance after the other."""

    __slots__ = ("_cost", "_waiting")

    def __init__(self, name: str, card: Card, cost: StageCost) -> None:
        super().__init__(name, card)
        self._cost = cost
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()

    def hear(self, question_s: float, on_heard: Callable[[], None]) -> None:
        self._waiting.append((question_s, on_heard))
        if len(self._waiting) == 1:
            self._begin()

    def _begin(self) -> None:
        self.card.begin(self._cost.work_s(self._waiting[0][0]), self._heard)

    def _heard(self, took_s: float) -> None:
        question_s, on_heard = self._waiting.popleft()
        self.busy_s += took_s
        self.media_s += question_s
        if self._waiting:
            self._begin()
        on_heard()


class Utterance:
    """A sentence that is being spoken: ``done_s`` of its ``media_s`` were there when it was last
    looked at. ``tell_at_s``: of how much its reader wants to be told; its end is told in any case.
    """

    __slots__ = ("done_s", "media_s", "on_more", "tell_at_s")

    def __init__(self, media_s: float, tell_at_s: float, on_more: Callable[[], None]) -> None:
        self.media_s, self.on_more = media_s, on_more
        self.done_s, self.tell_at_s = 0.0, tell_at_s

    @property
    def is_over(self) -> bool:
        return self.done_s >= self.media_s - _LITTLE_S


class Voice(Replica):
    """A TTS replica: its sentences take turns block by block; one alone is spoken in long steps."""

    __slots__ = ("_cost", "_sentences", "_step_s", "_until_s", "_work")

    def __init__(self, name: str, card: Card, cost: StageCost) -> None:
        super().__init__(name, card)
        self._cost = cost
        self._sentences: deque[Utterance] = deque()
        self._work: Work | None = None  # of the first sentence,
        self._until_s = self._step_s = 0.0  # which then has so much, and what that costs

    def speak(self, utterance: Utterance) -> None:
        self._sentences.append(utterance)
        if self._work is None:
            self._begin()
        elif len(self._sentences) == 2:
            self._cut_short(self._sentences[0].done_s)  # from now on they take turns

    def tell_at(self, utterance: Utterance, media_s: float) -> None:
        """``utterance`` is to say when so much of it is there."""
        utterance.tell_at_s = media_s
        if utterance is self._sentences[0] and self._work is not None:
            self._cut_short(media_s)

    def look(self, utterance: Utterance) -> float:
        """How much of it is there."""
        if self._work is not None and utterance is self._sentences[0]:
            return max(utterance.done_s, self._made_s(utterance))
        return utterance.done_s

    def _made_s(self, utterance: Utterance) -> float:
        """Whole blocks of the first sentence, by now."""
        spent_s = self._spent_s(self._until_s) - self._step_s
        if self._work is not None:
            spent_s += self.card.done_s(self._work, self._step_s)
        spoken_s = spent_s - self._cost.first_output_s
        if spoken_s < -_LITTLE_S:
            return 0.0
        each_s = self._cost.per_media_s
        n_blocks = int(spoken_s / each_s / BLOCK_S + _LITTLE_S) if each_s else inf
        return min(self._until_s, n_blocks * BLOCK_S)

    def _spent_s(self, media_s: float) -> float:
        """Of work, once so much of a sentence is there."""
        return self._cost.work_s(media_s) if media_s else 0.0

    def _begin(self) -> None:
        """The next step of the sentence whose turn it is."""
        sentence = self._sentences[0]
        wanted_s = sentence.done_s + BLOCK_S
        if len(self._sentences) == 1:
            is_told = sentence.tell_at_s <= sentence.done_s + _LITTLE_S
            wanted_s = sentence.media_s if is_told else max(wanted_s, sentence.tell_at_s)
        self._until_s = _block_end(wanted_s, sentence)
        self._step_s = self._spent_s(self._until_s) - self._spent_s(sentence.done_s)
        self._work = self.card.begin(self._step_s, self._made)

    def _cut_short(self, wanted_s: float) -> None:
        """End the step in progress where ``wanted_s`` is there, not in the middle of a block."""
        sentence, work = self._sentences[0], self._work
        until_s = _block_end(max(wanted_s, self._made_s(sentence) + BLOCK_S), sentence)
        if work is None or until_s >= self._until_s - _LITTLE_S:
            return
        saved_s = self._spent_s(self._until_s) - self._spent_s(until_s)
        self._until_s, self._step_s = until_s, self._step_s - saved_s
        self._work = self.card.shorten(work, saved_s)

    def _made(self, took_s: float) -> None:
        sentence = self._sentences.popleft()
        self._work = None
        self.busy_s += took_s
        self.media_s += self._until_s - sentence.done_s
        sentence.done_s = self._until_s
        if not sentence.is_over:
            self._sentences.append(sentence)
        if self._sentences:
            self._begin()
        if sentence.is_over or sentence.done_s >= sentence.tell_at_s - _LITTLE_S:
            sentence.on_more()


def _block_end(media_s: float, sentence: Utterance) -> float:
    """The end of the block in which ``media_s`` lies."""
    n_blocks = ceil(media_s / BLOCK_S - _LITTLE_S)
    return min(sentence.media_s, n_blocks * BLOCK_S)
