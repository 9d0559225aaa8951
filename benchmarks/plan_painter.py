"""An avatar replica in the simulation. Whose frame is drawn next the real schedule says.

Batches are handed over as ``deployments.avatar.deployment.DrawingLoop`` does it: one is drawn, the
next is taken already, so what comes new waits for two at most. Two things are coarser than there,
because a day has millions of frames. The schedule is given packets instead of frames, which have
the same deadlines and so the same order. And a stretch whose viewer can wait is one item, whose
batches after the first packet are one event; they are parted again when something more urgent
comes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.plan_card import Card, Work
from benchmarks.plan_replicas import Replica
from deployments.avatar.schedule import Schedule
from deployments.cost_model import StageCost
from deployments.types import AudioChunk, Stretch


@dataclass(frozen=True, slots=True)
class Brush:
    """What all avatar replicas have in common. ``draw_s``: seconds of a call, by its frames."""

    fps: int
    frames_per_packet: int
    batch: int
    begin_s: float
    draw_s: tuple[float, ...]

    @classmethod
    def of(cls, cost: StageCost, fps: int, frames_per_packet: int) -> "Brush":
        """Raises:
        ValueError: packets that are no whole part of a second, which no schedule here can order.
        """
        if fps % frames_per_packet:
            raise ValueError(f"{fps} frames a second are no whole packets of {frames_per_packet}")
        batch = cost.batch or 1
        draw_s = tuple(cost.draw_s(n) for n in range(batch + 1))
        return cls(fps, frames_per_packet, batch, cost.work_s(0.0), draw_s)

    def schedule(self) -> Schedule["_Piece"]:
        """An empty one, of packets."""
        return Schedule(self.fps // self.frames_per_packet, frames_per_packet=1)


class Order:
    """A stretch to be drawn; ``playout_s``: when its first frame is needed.

    Every ``frame_step``-th of its ``n_frames`` is drawn, which are ``n_to_draw``. ``n_sent`` have
    left in packets. ``is_over``: nobody wants the rest.
    """

    __slots__ = (
        "frame_step", "is_begun", "is_coarse", "is_over", "n_drawn", "n_frames", "n_sent",
        "n_to_draw", "on_packets", "pieces", "playout_s",
    )  # fmt: skip

    def __init__(
        self,
        n_frames: int,
        playout_s: float,
        is_coarse: bool,
        on_packets: Callable[["Order"], None],
        frame_step: int = 1,
    ) -> None:
        self.n_frames, self.playout_s, self.is_coarse = n_frames, playout_s, is_coarse
        self.on_packets, self.frame_step = on_packets, frame_step
        self.n_to_draw = -(-n_frames // frame_step)
        self.is_begun = self.is_over = False
        self.pieces: list[_Piece] = []  # that the schedule was given
        self.n_drawn = self.n_sent = 0


class _Piece:
    """Frames of one order that were not handed over, ``per_item`` of them in each of its items."""

    __slots__ = ("deadline_s", "n_left", "order", "per_item")

    def __init__(self, order: Order, n_left: int, per_item: int, deadline_s: float) -> None:
        self.order, self.n_left, self.per_item = order, n_left, per_item
        self.deadline_s = deadline_s


class _Batch:
    """``n_calls`` calls of the engine, one after the other: several only of one order alone, all of
    them full but the last, which has ``n_rest`` frames if it is not."""

    __slots__ = ("call_s", "n_calls", "n_rest", "parts", "work_s")

    def __init__(self, parts: list[tuple[Order, int]], work_s: float) -> None:
        self.parts, self.n_calls, self.n_rest = parts, 1, 0
        self.call_s = self.work_s = work_s


class Painter(Replica):
    """One drawing loop over all stretches that it was given."""

    __slots__ = (
        "_brush", "_has_dropped", "_held", "_n_items", "_next", "_running", "_schedule", "_work",
    )  # fmt: skip

    def __init__(self, name: str, card: Card, brush: Brush) -> None:
        super().__init__(name, card)
        self._brush = brush
        self._schedule, self._n_items = brush.schedule(), 0
        self._has_dropped = False  # since the last batch began
        self._held: _Piece | None = None  # taken from the schedule, not all handed over
        self._running: _Batch | None = None
        self._next: _Batch | None = None
        self._work: Work | None = None

    def draw(self, order: Order) -> None:
        """``order.on_packets`` is told whenever packets of it are complete."""
        if self._running is not None and self._running.n_calls > 1:
            last = self._running.parts[0][0]
            if order.playout_s < last.playout_s + last.n_frames / self._brush.fps:
                self._part(self._running)
        held = self._held
        if held is not None and order.playout_s < held.deadline_s:
            self._add(_Piece(held.order, held.n_left, held.n_left, held.deadline_s))
            self._held = None
        size = -(-self._brush.frames_per_packet // order.frame_step)
        per_item = order.n_to_draw if order.is_coarse else size
        piece = _Piece(order, order.n_to_draw, per_item, order.playout_s)
        if order.is_coarse and self._held is None and not self._n_items:
            self._held = piece  # there is nothing to choose from
        else:
            self._add(piece)
        if self._running is None:
            self._go_on()

    def drop(self, order: Order) -> None:
        """No more of it is drawn than the call in progress; it is over already."""
        self._has_dropped = True
        if self._held is not None and self._held.order is order:
            self._held = None
        for piece in order.pieces:
            self._schedule.drop(piece)
        self._n_items = len(self._schedule)

    def _add(self, piece: _Piece) -> None:
        n_items = -(-piece.n_left // piece.per_item)
        piece.order.pieces.append(piece)
        self._n_items += n_items
        self._schedule.add(piece, _items(n_items), piece.deadline_s)

    def _go_on(self) -> None:
        """Begin the batch that waits, and take the one after it."""
        batch, self._next = self._next, None
        if self._has_dropped:
            batch, self._has_dropped = self._wanted(batch), False
        batch = self._running = batch or self._take()
        if batch is None:
            self._work = None
            return
        self._lengthen(batch)
        if batch.n_calls == 1:
            self._next = self._take()
        self._work = self.card.begin(batch.work_s, self._drawn)

    def _wanted(self, batch: _Batch | None) -> _Batch | None:
        """What of it still has to be drawn."""
        if batch is None or not any(order.is_over for order, _ in batch.parts):
            return batch
        parts = [(order, n) for order, n in batch.parts if not order.is_over]
        n_frames = sum(n for _, n in parts)
        return _Batch(parts, self._brush.draw_s[n_frames]) if parts else None

    def _take(self) -> _Batch | None:
        """The most urgent frames."""
        if self._held is None and not self._n_items:
            return None
        brush, parts, begin_s = self._brush, list[tuple[Order, int]](), 0.0
        room = brush.batch
        while room and (piece := self._held or self._from_schedule()) is not None:
            order, n = piece.order, min(room, piece.n_left)
            if parts and parts[-1][0] is order:
                parts[-1] = (order, parts[-1][1] + n)
            else:
                parts.append((order, n))
            room -= n
            piece.n_left -= n
            self._held = piece if piece.n_left else None
            if not order.is_begun:
                order.is_begun = True
                begin_s += brush.begin_s
        return _Batch(parts, begin_s + brush.draw_s[brush.batch - room])

    def _from_schedule(self) -> _Piece | None:
        if not self._n_items:
            return None
        self._n_items -= 1
        (due,) = self._schedule.take(1)
        piece = due.job
        n = min(piece.per_item, piece.n_left - due.frame_no * piece.per_item)
        return _Piece(piece.order, n, n, due.deadline_s)

    def _lengthen(self, batch: _Batch) -> None:
        """What follows of the same stretch is one event with it: the batches that it fills, and
        the rest if nothing else waits to fill the last one."""
        order, held, n_batch = batch.parts[0][0], self._held, self._brush.batch
        if held is None or held.order is not order or not (order.is_coarse and order.n_sent):
            return
        if len(batch.parts) > 1 or batch.parts[0][1] < n_batch:
            return
        n_more, rest = divmod(held.n_left, n_batch)
        batch.n_calls += n_more
        batch.work_s = batch.n_calls * batch.call_s
        if rest and not self._n_items:
            batch.n_calls, batch.n_rest, rest = batch.n_calls + 1, rest, 0
            batch.work_s += self._brush.draw_s[batch.n_rest]
        batch.parts = [(order, batch.parts[0][1] + held.n_left - rest)]
        held.n_left = rest
        self._held = held if rest else None

    def _part(self, batch: _Batch) -> None:
        """Leave the call in progress and the one after it; the others are held again."""
        if self._work is None:
            return
        (order, n_frames), n_batch = batch.parts[0], self._brush.batch
        done_s = self.card.done_s(self._work, batch.work_s)
        n_kept = int(done_s / batch.call_s) + 1
        n_back = n_frames - n_kept * n_batch
        if n_back > 0:
            work_s = n_kept * batch.call_s
            self._work = self.card.shorten(self._work, batch.work_s - work_s)
            batch.n_calls, batch.n_rest, batch.work_s = n_kept, 0, work_s
            batch.parts = [(order, n_frames - n_back)]
            self._hold_again(order, n_back)
        self._next = self._take()

    def _hold_again(self, order: Order, n_frames: int) -> None:
        n_left = n_frames + (self._held.n_left if self._held is not None else 0)
        late_s = (order.n_to_draw - n_left) * order.frame_step / self._brush.fps
        self._held = _Piece(order, n_left, n_left, order.playout_s + late_s)

    def _drawn(self, took_s: float) -> None:
        self.busy_s += took_s
        sent = [] if self._running is None else self._count(self._running)
        self._go_on()
        for order in sent:
            order.on_packets(order)

    def _count(self, batch: _Batch) -> list[Order]:
        """What is drawn; the orders of which packets are complete now."""
        size, sent = self._brush.frames_per_packet, []
        for order, n in batch.parts:
            self.media_s += n / self._brush.fps
            order.n_drawn += n
            is_whole = order.n_drawn == order.n_to_draw
            n_ready = order.n_drawn * order.frame_step
            n_sent = order.n_frames if is_whole else n_ready // size * size
            if n_sent > order.n_sent and not order.is_over:
                order.n_sent = n_sent
                if order not in sent:
                    sent.append(order)
        return sent


@cache
def _items(n: int) -> Stretch:
    """As the schedule wants it: so many items, the first of them needed at once."""
    silence = AudioChunk(np.zeros(0, np.float32), 16_000)
    return Stretch("", silence, (), first_frame=0, n_frames=n)
