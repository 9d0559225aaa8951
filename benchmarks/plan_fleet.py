"""The cards in the simulation: rented when a replica needs room, given back when they are empty."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.plan_card import Card
from benchmarks.plan_clock import Clock

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Rent:
    """``start_s``: from the wish for a card until replicas can be placed on it. ``idle_s``: so long
    an empty one is kept. Both assumed: a machine that boots and pulls images takes minutes; the
    other is the default of Ray's cluster autoscaler."""

    start_s: float = 180.0
    idle_s: float = 60.0


class Slot:
    """One rented card and what of it is free."""

    __slots__ = ("card", "free", "idle_since_s", "is_up", "rented_at_s")

    def __init__(self, clock: Clock) -> None:
        self.card = Card(clock)
        self.free = 1.0
        self.is_up = False
        self.rented_at_s = self.idle_since_s = clock.now_s


@dataclass(eq=False, slots=True)
class Room:
    """A fraction of a card for a replica that is to come; ``slot`` once there is one. ``is_off``:
    nobody wants it any more."""

    share: float
    on_card: Callable[["Room"], None]
    slot: Slot | None = None
    is_off: bool = False

    @property
    def free_beside(self) -> float:
        """What is free on the same card."""
        return 0.0 if self.slot is None else self.slot.free


class Fleet:
    """Places fractions as Serve spreads replicas: on the card that has most room."""

    def __init__(self, clock: Clock, most_cards: int, rent: Rent) -> None:
        self._clock, self._most_cards, self._rent = clock, most_cards, rent
        self._slots: list[Slot] = []
        self._waiting: list[Room] = []
        self._past_card_s = self._past_busy_s = 0.0
        self.most_rented = 0

    @property
    def n_rented(self) -> int:
        return len(self._slots)

    def rent_now(self, n_cards: int) -> None:
        """So many that are up at once and stay."""
        for _ in range(n_cards):
            slot = self._rented()
            slot.is_up = True

    def place(self, room: Room) -> None:
        """``room.on_card`` is told when its card is up: at once, if there is one."""
        self._waiting.append(room)
        self._place_waiting()

    def give_back(self, room: Room) -> None:
        """Its replica is gone, or not wanted any more."""
        if room.slot is None:
            self._waiting.remove(room)
            return
        room.slot.free += room.share
        self._place_waiting()
        if self._is_empty(room.slot):
            room.slot.idle_since_s = self._clock.now_s
            self._clock.after(self._rent.idle_s, partial(self._drop_idle, room.slot))

    def card_s(self) -> float:
        """Seconds for which cards were rented, together."""
        now_s = self._clock.now_s
        return self._past_card_s + sum(now_s - slot.rented_at_s for slot in self._slots)

    def busy_s(self) -> float:
        """Seconds in which cards were at work, together."""
        return self._past_busy_s + sum(slot.card.busy_s() for slot in self._slots)

    def _place_waiting(self) -> None:
        for room in list(self._waiting):
            slot = self._best(room.share)
            if slot is None and len(self._slots) < self._most_cards:
                slot = self._rented()
                self._clock.after(self._rent.start_s, partial(self._up, slot))
            if slot is not None:
                self._waiting.remove(room)
                self._put(room, slot)

    def _put(self, room: Room, slot: Slot) -> None:
        slot.free -= room.share
        room.slot = slot
        if slot.is_up:
            room.on_card(room)
        else:
            ready_in_s = slot.rented_at_s + self._rent.start_s - self._clock.now_s
            self._clock.after(ready_in_s, partial(self._tell, room))

    def _tell(self, room: Room) -> None:
        if not room.is_off:
            room.on_card(room)

    def _best(self, share: float) -> Slot | None:
        able = [slot for slot in self._slots if slot.free + _ROUNDING >= share]
        return max(able, key=lambda slot: (slot.is_up, slot.free), default=None)

    def _rented(self) -> Slot:
        slot = Slot(self._clock)
        self._slots.append(slot)
        self.most_rented = max(self.most_rented, len(self._slots))
        return slot

    def _up(self, slot: Slot) -> None:
        slot.is_up = True

    def _drop_idle(self, slot: Slot) -> None:
        idle_s = self._clock.now_s - slot.idle_since_s
        if slot in self._slots and self._is_empty(slot) and idle_s >= self._rent.idle_s - _ROUNDING:
            self._slots.remove(slot)
            self._past_card_s += self._clock.now_s - slot.rented_at_s
            self._past_busy_s += slot.card.busy_s()

    def _is_empty(self, slot: Slot) -> bool:
        return slot.free >= 1.0 - _ROUNDING
