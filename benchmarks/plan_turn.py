"""One turn in the simulation: heard, thought, spoken and drawn as ``graph.turn`` and ``graph.face``
do it, and watched by somebody whose player never waits.

Left out is what the graph does about lateness (the ladder, silence in place of words that are not
there yet): a picture that comes late is counted as late, and drawn all the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from benchmarks.plan_clock import Clock
from benchmarks.plan_painter import Order, Painter
from benchmarks.plan_pool import Pool
from benchmarks.plan_replicas import BLOCK_S, Ears, Voice
from benchmarks.plan_speech import Speech
from deployments.cost_model import StageCost
from graph.events import Progress
from graph.face import TurnSettings
from graph.timeline import TAIL_FRAMES

LATE_S = 0.05
"""A packet that comes so much after its time is late. Source: issue 3."""

_HANDLING_S = 0.1
"""As ``graph.face`` asks for frames so long before their playout."""


@dataclass(frozen=True, slots=True)
class Studio:
    """What all turns share.

    ``overhead_s``: what the graph itself takes until the first fragment, whatever its stages cost.
    ``coarse_after_s``: a stretch that is needed later than that is drawn as one item.
    """

    clock: Clock
    ears: Pool[Ears]
    voices: Pool[Voice]
    painters: Pool[Painter]
    llm: StageCost
    settings: TurnSettings
    fps: int
    frames_per_packet: int
    look_ahead_s: float
    context_s: float
    overhead_s: float
    coarse_after_s: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is said: a question (0 when it is typed) and the sentences of its answer, in seconds."""

    question_s: float
    sentences_s: tuple[float, ...]


class Turn:
    """One turn in progress, and what its viewer saw."""

    __slots__ = (
        "_ears", "_exchange", "_is_ordering", "_n_cut",
        "_n_speech", "_n_stretches", "_next", "_now", "_painter",
        "_spoken_s", "_starts_at_s", "_studio", "admitted_at_s", "first_at_s", "n_late",
        "n_packets", "n_sent", "on_end", "speech",
    )  # fmt: skip

    def __init__(
        self, studio: Studio, exchange: Exchange, on_end: Callable[["Turn"], None]
    ) -> None:
        self._studio, self._exchange, self.on_end = studio, exchange, on_end
        self.admitted_at_s = studio.clock.now_s
        self.speech = Speech(
            studio.clock,
            studio.voices,
            exchange.sentences_s,
            studio.settings.n_speech_blocks_ahead,
            self._go_on,
        )
        self._n_speech = ceil(self.speech.length_s * studio.fps - 1e-6)  # frames, less the tail
        self.first_at_s: float | None = None
        self._starts_at_s = 0.0  # as the graph reckons: a viewer without picture stands still
        self._ears: Ears | None = None
        self._now: Order | None = None  # whose packets are shown
        self._next: Order | None = None
        self._painter: dict[Order, Painter] = {}
        self._is_ordering = False
        self._spoken_s = 0.0
        self._n_cut = self._n_stretches = 0
        self.n_sent = self.n_packets = self.n_late = 0
        studio.clock.after(studio.overhead_s, self._hear)

    def progress(self, now_s: float) -> Progress | None:
        """As ``graph.face`` tells it after each packet, brought up to now."""
        if self.first_at_s is None:
            return None
        sent_s = self.n_sent / self._studio.fps
        ahead_s = sent_s - (now_s - self._starts_at_s)
        return Progress(self._spoken_s, sent_s, ahead_s, self._is_all_cut)

    @property
    def video_s(self) -> float:
        return self.n_sent / self._studio.fps

    def ends_at_s(self) -> float:
        """When its viewer has seen all of it."""
        first_at_s = self.admitted_at_s if self.first_at_s is None else self.first_at_s
        return max(self._studio.clock.now_s, first_at_s + self.video_s)

    # Ears and brain.

    def _hear(self) -> None:
        if self._exchange.question_s > 0:
            self._studio.ears.ask(self._heard_by)
        else:
            self._think()

    def _heard_by(self, ears: Ears) -> None:
        self._ears = ears
        ears.hear(self._exchange.question_s, self._heard)

    def _heard(self) -> None:
        if self._ears is not None:
            self._studio.ears.give_back(self._ears)
        self._think()

    def _think(self) -> None:
        self.speech.begin(self._studio.llm)
        self._order_next()

    # The face: what is drawn next, and when.

    @property
    def _is_all_cut(self) -> bool:
        return self._n_cut >= self._n_speech + TAIL_FRAMES

    def _order_next(self) -> None:
        """As soon as the stretch before it has brought its motion state."""
        if not self._is_all_cut:
            self._is_ordering = True
            self._go_on()

    def _go_on(self) -> None:
        """Order the next stretch if its words are there and its viewer is near enough."""
        if not self._is_ordering:
            return
        studio, lengths = self._studio, self._studio.settings.stretch_frames
        n_frames = lengths[min(self._n_stretches, len(lengths) - 1)]
        end_s = (self._n_cut + n_frames) / studio.fps + studio.context_s
        if not self.speech.has(end_s):
            return
        too_far_s = self._due_in_s(self._n_cut) - studio.look_ahead_s
        if too_far_s > 0:
            studio.clock.after(too_far_s + 1e-6, self._go_on)
            return
        self._is_ordering = False
        self._order(self._cut(n_frames, end_s))

    def _cut(self, n_frames: int, end_s: float) -> int:
        """How long the stretch is: the last one brings the face to rest."""
        if end_s > self.speech.length_s:
            left = self._n_speech - self._n_cut
            n_frames = left + TAIL_FRAMES if left <= n_frames else n_frames
        self._spoken_s = min(self.speech.length_s, ceil(end_s / BLOCK_S) * BLOCK_S)
        self.speech.read(self._spoken_s)
        return n_frames

    def _order(self, n_frames: int) -> None:
        studio = self._studio
        needed_in_s = max(0.0, self._due_in_s(self._n_cut) - _HANDLING_S)
        is_coarse = needed_in_s >= studio.coarse_after_s
        order = Order(n_frames, studio.clock.now_s + needed_in_s, is_coarse, self._drawn)
        self._n_cut += n_frames
        self._n_stretches += 1
        if self._now is None:
            self._now = order
        else:
            self._next = order

        def drawn_by(painter: Painter) -> None:
            self._painter[order] = painter
            painter.draw(order)

        studio.painters.ask(drawn_by)

    def _due_in_s(self, frame: int) -> float:
        """Before the first fragment has left, nothing is played."""
        if self.first_at_s is None:
            return frame / self._studio.fps
        return frame / self._studio.fps - (self._studio.clock.now_s - self._starts_at_s)

    # Showing: each packet in its order.

    def _drawn(self, order: Order) -> None:
        if order.n_sent == order.n_frames:
            self._studio.painters.give_back(self._painter.pop(order))
        if order is self._now:
            self._show(order)

    def _show(self, order: Order) -> None:
        """All that is complete of the stretch whose turn it is; then comes the next."""
        before, begin = self.n_sent, self._n_cut_before(order)
        self.n_sent = begin + order.n_sent
        if self.n_sent > before:
            self._count(before)
        if before == begin and self._next is None and not self._is_ordering:
            self._order_next()
        if order.n_sent < order.n_frames:
            return
        self._now, self._next = self._next, None
        if self._now is not None:
            if self._now.n_sent:
                self._show(self._now)
        elif self._is_all_cut:
            self.on_end(self)

    def _n_cut_before(self, order: Order) -> int:
        """The reply's frame at which the stretch begins."""
        after = 0 if self._next is None else self._next.n_frames
        return self._n_cut - after - order.n_frames

    def _count(self, before: int) -> None:
        """Packets that are shown now, and how many of them are late."""
        studio, now_s = self._studio, self._studio.clock.now_s
        if self.first_at_s is None:
            self.first_at_s = self._starts_at_s = now_s
        size, fps = studio.frames_per_packet, studio.fps
        self.n_packets += -(-(self.n_sent - before) // size)
        late_frame = (now_s - self.first_at_s - LATE_S) * fps  # what is before it came late
        if before < late_frame:
            self.n_late += -(-(min(ceil(late_frame), self.n_sent) - before) // size)
        self._starts_at_s = max(self._starts_at_s, now_s - self.n_sent / fps)
