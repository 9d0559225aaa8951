"""A deployment in the simulation: its replicas are placed, loaded, and drained when there are too
many, as many as the scaler says."""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from benchmarks.plan_card import Card
from benchmarks.plan_clock import Clock, Event
from benchmarks.plan_fleet import Fleet, Room
from benchmarks.plan_pool import Pool
from benchmarks.plan_profile import StageLayout
from benchmarks.plan_replicas import Replica
from benchmarks.plan_scaler import Scaler, Scaling, Window

ReplicaT = TypeVar("ReplicaT", bound=Replica)


class Deployment(Generic[ReplicaT]):
    """One stage.

    ``make`` builds a replica on a card; ``on_change`` is told when more or fewer of them run.
    """

    def __init__(
        self,
        clock: Clock,
        fleet: Fleet,
        pool: Pool[ReplicaT],
        make: Callable[[str, Card], ReplicaT],
        stage: StageLayout,
        scaling: Scaling,
        news_every_s: float,
        on_change: Event,
    ) -> None:
        self.pool, self.scaling = pool, scaling
        self._clock, self._fleet, self._make, self._on_change = clock, fleet, make, on_change
        self._share, self._load_s = stage.share, stage.cost.load_s
        pool.on_empty = self._gone
        self._scaler = Scaler(scaling)
        self._window = Window(scaling.look_back_period_s, news_every_s)
        self._coming: list[Room] = []
        self._rooms: dict[ReplicaT, Room] = {}
        self._n_made = 0

    @property
    def n_target(self) -> int:
        return len(self.pool) + len(self._coming)

    def start(self, n_replicas: int) -> None:
        """The first ones."""
        self._more(n_replicas)

    def requests(self) -> float:
        """Ongoing ones over the look-back period, as the autoscaler was told."""
        return self._window.mean(self.pool.request_s(), self._clock.now_s)

    def scale(self, needed: float) -> None:
        """Do what the scaler says of so many replicas as are needed."""
        n = self._scaler.decide(len(self.pool), self.n_target, needed, self._clock.now_s)
        if n > self.n_target:
            self._more(n - self.n_target)
        elif n < self.n_target:
            self._fewer(self.n_target - n)

    def _gone(self, replica: ReplicaT) -> None:
        """It has ended its last request."""
        self._give_back(self._rooms.pop(replica))

    def _more(self, n: int) -> None:
        for _ in range(n):
            room = Room(self._share, self._placed)
            self._coming.append(room)  # until its card is up and it is loaded
            if self._share:
                self._fleet.place(room)
            else:
                self._placed(room)

    def _fewer(self, n: int) -> None:
        """Those that are not there yet first, then those whose card is the emptiest."""
        for _ in range(n):
            if self._coming:
                self._give_back(self._coming.pop())
            else:
                self.pool.leave(max(self.pool, key=lambda one: self._rooms[one].free_beside))
                self._on_change()

    def _give_back(self, room: Room) -> None:
        room.is_off = True
        if self._share:
            self._fleet.give_back(room)

    def _placed(self, room: Room) -> None:
        if self._load_s:
            self._clock.after(self._load_s, partial(self._loaded, room))
        else:
            self._loaded(room)

    def _loaded(self, room: Room) -> None:
        if room.is_off:
            return
        self._n_made += 1
        card = Card(self._clock) if room.slot is None else room.slot.card
        replica = self._make(f"{self.pool.stage}{self._n_made}", card)
        self._rooms[replica] = room
        self._coming.remove(room)
        self.pool.join(replica)
        self._on_change()
