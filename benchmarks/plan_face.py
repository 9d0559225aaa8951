"""A turn's face in the simulation: stretches ordered and shown as ``graph.face`` does it.

When a picture gives way to the voice, and how far, the graph's own ladder says.
"""

from dataclasses import dataclass
from functools import partial
from math import ceil, inf

from benchmarks.plan_clock import Clock, Event
from benchmarks.plan_painter import Order, Painter
from benchmarks.plan_pool import Pool
from benchmarks.plan_replicas import BLOCK_S
from benchmarks.plan_speech import Speech
from graph.face import TurnSettings
from graph.ladder import Ladder
from graph.timeline import TAIL_FRAMES

LATE_S = 0.05
"""A packet that comes so much after its time is late. Source: issue 3."""

_HANDLING_S = 0.1  # as ``graph.face`` asks for frames so long before their playout,
_MIN_PATIENCE_S = 0.02  # and waits at least so long for what may be there
_LITTLE_S = 1e-6


@dataclass(frozen=True, slots=True)
class FaceRules:
    """How faces are drawn. ``coarse_after_s``: a stretch that is needed later than that is one item
    of the schedule, and its packets are taken to come in time."""

    settings: TurnSettings
    fps: int
    frames_per_packet: int
    look_ahead_s: float
    context_s: float
    coarse_after_s: float


@dataclass(eq=False, slots=True)
class _Stretch:
    """``begin`` is the reply's frame; ``n_stood`` of its frames were shown without it."""

    begin: int
    n_frames: int
    order: Order | None = None  # None once nothing is left to be drawn of it
    n_stood: int = 0
    has_state: bool = False  # its first packet came, so that the next one can be ordered

    @property
    def end(self) -> int:
        return self.begin + self.n_frames

    @property
    def n_ready(self) -> int:
        """Frames, from its begin, that can be shown."""
        return self.n_stood + (0 if self.order is None else self.order.n_sent)


class Face:
    """Shows one reply to a viewer whose player never waits; ``on_end`` when all was sent."""

    __slots__ = (
        "_clock", "_is_ordering", "_ladder", "_look_at_s", "_n_cut", "_n_speech", "_n_stretches",
        "_next", "_now", "_on_end", "_painter", "_painters", "_rules", "_shown_at_s", "_speech",
        "_starts_at_s", "first_at_s", "n_late", "n_packets", "n_sent", "spoken_s",
    )  # fmt: skip

    def __init__(
        self,
        clock: Clock,
        painters: Pool[Painter],
        rules: FaceRules,
        speech: Speech,
        on_end: Event,
    ) -> None:
        self._clock, self._painters, self._rules = clock, painters, rules
        self._speech, self._on_end = speech, on_end
        self._ladder = Ladder(rules.settings.ladder, rules.fps)
        self._n_speech = ceil(speech.length_s * rules.fps - _LITTLE_S)  # frames, less the tail
        self._now: _Stretch | None = None  # whose packets are shown
        self._next: _Stretch | None = None
        self._painter: dict[Order, Painter] = {}
        self._is_ordering = False
        self._look_at_s = inf  # when it is seen whether the next packet is there
        self._n_cut = self._n_stretches = 0
        self._starts_at_s = self._shown_at_s = 0.0  # a viewer without picture stands still
        self.first_at_s: float | None = None
        self.spoken_s = 0.0
        self.n_sent = self.n_packets = self.n_late = 0

    @property
    def is_all_cut(self) -> bool:
        return self._n_cut >= self._n_speech + TAIL_FRAMES

    @property
    def ahead_s(self) -> float:
        """How far the end of what was sent is ahead of the viewer."""
        return self._due_in_s(self.n_sent)

    @property
    def ladder_s(self) -> float:
        """Seconds in which the picture was reduced."""
        return sum(step.to_s - step.from_s for step in self._ladder.steps)

    # Ordering: what is drawn next, and when.

    def order_next(self) -> None:
        """As soon as the stretch before it has brought its motion state."""
        if not self.is_all_cut:
            self._is_ordering = True
            self.go_on()

    def go_on(self) -> None:
        """Order the next stretch if its words are there and its viewer is near enough."""
        if not self._is_ordering:
            return
        rules, lengths = self._rules, self._rules.settings.stretch_frames
        n_frames = lengths[min(self._n_stretches, len(lengths) - 1)]
        end_s = (self._n_cut + n_frames) / rules.fps + rules.context_s
        if not self._speech.has(end_s):
            return
        too_far_s = self._due_in_s(self._n_cut) - rules.look_ahead_s
        if too_far_s > 0:
            self._clock.after(too_far_s + _LITTLE_S, self.go_on)
            return
        self._is_ordering = False
        self._begin(self._cut(n_frames, end_s))

    def _cut(self, n_frames: int, end_s: float) -> _Stretch:
        """The last stretch brings the face to rest."""
        if end_s > self._speech.length_s:
            left = self._n_speech - self._n_cut
            n_frames = left + TAIL_FRAMES if left <= n_frames else n_frames
        self.spoken_s = min(self._speech.length_s, ceil(end_s / BLOCK_S) * BLOCK_S)
        self._speech.read(self.spoken_s)
        stretch = _Stretch(self._n_cut, n_frames)
        self._n_cut += n_frames
        self._n_stretches += 1
        return stretch

    def _begin(self, stretch: _Stretch) -> None:
        needed_in_s = max(0.0, self._due_in_s(stretch.begin) - _HANDLING_S)
        if self._now is not None:
            self._next = stretch
            self._draw(stretch, needed_in_s)
        else:
            self._now = stretch
            self._draw(stretch, needed_in_s)
            self._watch(stretch)

    def _draw(self, stretch: _Stretch, needed_in_s: float) -> None:
        """Ask for what is not shown of it."""
        order = Order(
            stretch.n_frames - stretch.n_stood,
            self._clock.now_s + needed_in_s,
            needed_in_s >= self._rules.coarse_after_s,
            partial(self._drawn, stretch),
            self._ladder.frame_step,
        )
        stretch.order = order

        def drawn_by(painter: Painter) -> None:
            if order.is_over:
                self._painters.give_back(painter)
                return
            self._painter[order] = painter
            painter.draw(order)

        self._painters.ask(drawn_by)

    def _due_in_s(self, frame: int) -> float:
        """Before the first fragment has left, nothing is played."""
        due_s = frame / self._rules.fps
        return due_s if self.first_at_s is None else due_s - (self._clock.now_s - self._starts_at_s)

    # Showing: each packet in its order, or what stands in for it.

    def _drawn(self, stretch: _Stretch, order: Order) -> None:
        if order.n_sent == order.n_frames:
            self._painters.give_back(self._painter.pop(order))
        if stretch is self._now:
            self._show(stretch, is_awaited=True)

    def _show(self, stretch: _Stretch, *, is_awaited: bool) -> None:
        """All that is complete of the stretch whose turn it is; then comes the next."""
        n_new = stretch.begin + stretch.n_ready - self.n_sent
        if n_new > 0 and stretch.order is not None:
            self._climb(stretch.order, n_new, is_awaited)
            self._send(n_new)
            if not stretch.has_state:
                stretch.has_state = True
                self.order_next()
        if self.n_sent >= stretch.end:
            self._turn_to_next()
        else:
            self._watch(stretch)

    def _turn_to_next(self) -> None:
        before, self._now, self._next = self._now, self._next, None
        if self._now is not None:
            self._show(self._now, is_awaited=False)
        elif self.is_all_cut:
            self._on_end()
        elif before is not None and not before.has_state:
            self.order_next()  # none of it was drawn: the face goes on from rest

    def _climb(self, order: Order, n_new: int, is_awaited: bool) -> None:
        """Tell the ladder, as of the last packet of those that came together."""
        size = self._rules.frames_per_packet
        last = self.n_sent + (n_new - 1) // size * size
        was_awaited = is_awaited and self._clock.now_s - self._shown_at_s > _MIN_PATIENCE_S
        slack_s = self._due_in_s(last)
        self._ladder.drawn(self.n_sent, n_new, order.frame_step, slack_s, was_awaited)

    def _send(self, n_new: int) -> None:
        """Packets that leave now, and how many of them are late."""
        now_s, size, fps = self._clock.now_s, self._rules.frames_per_packet, self._rules.fps
        if self.first_at_s is None:
            self.first_at_s = self._starts_at_s = now_s
        before, self.n_sent = self.n_sent, self.n_sent + n_new
        self.n_packets += -(-n_new // size)
        late_frame = (now_s - self.first_at_s - LATE_S) * fps  # what is before it comes late
        if before < late_frame:
            self.n_late += -(-(min(ceil(late_frame), self.n_sent) - before) // size)
        self._starts_at_s = max(self._starts_at_s, now_s - self.n_sent / fps)
        self._shown_at_s = now_s

    def _watch(self, stretch: _Stretch) -> None:
        """Something stands in if the next packet is not there in time. Whoever looks earlier will
        look again."""
        if stretch.order is not None and stretch.order.is_coarse:
            return
        ladder = self._rules.settings.ladder
        patience_s = ladder.start_patience_s
        if self.first_at_s is not None:
            patience_s = max(_MIN_PATIENCE_S, self._due_in_s(self.n_sent) + ladder.grace_s)
        look_at_s = self._clock.now_s + patience_s
        if look_at_s < self._look_at_s:
            self._look_at_s = look_at_s
            self._clock.at(look_at_s, partial(self._miss, self.n_sent))

    def _miss(self, frame: int) -> None:
        """The face at rest is shown for a while, and what is left is ordered anew."""
        self._look_at_s, stretch = inf, self._now
        if stretch is None:
            return
        if self.n_sent != frame:  # it came
            self._watch(stretch)
            return
        _, n_frames = self._ladder.missed(frame, stretch.end - frame)
        if stretch.order is not None:
            self._give_up(stretch.order)
        self._send(n_frames)
        stretch.order, stretch.n_stood = None, self.n_sent - stretch.begin
        if self.n_sent < stretch.end:
            self._draw(stretch, self._due_in_s(self.n_sent) - _HANDLING_S)
            self._watch(stretch)
        else:
            self._turn_to_next()

    def _give_up(self, order: Order) -> None:
        order.is_over = True
        if (painter := self._painter.pop(order, None)) is not None:
            painter.drop(order)
            self._painters.give_back(painter)
