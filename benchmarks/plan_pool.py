"""A stage's replicas in the simulation: who gets the next request, as ``graph.router`` chooses."""

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from benchmarks.plan_clock import Clock
from benchmarks.plan_replicas import Replica

ReplicaT = TypeVar("ReplicaT", bound=Replica)


def _ignore(replica: Replica) -> None:
    """Nobody waits for it to go."""


class Pool(Generic[ReplicaT]):
    """The running replicas, by how many requests each has; a request goes to one with the fewest.

    Without a replica, requests wait for the first one. ``on_empty`` is told of a replica that was
    taken out and has ended its last request.
    """

    def __init__(self, stage: str, clock: Clock, rng: random.Random) -> None:
        self.stage = stage
        self.on_empty: Callable[[ReplicaT], None] = _ignore
        self._clock, self._rng = clock, rng
        self._by_load: list[list[ReplicaT]] = [[]]
        self._least = 0
        self._waiting: deque[Callable[[ReplicaT], None]] = deque()
        self._n_running = self._n_ongoing = 0
        self._request_s = self._since_s = 0.0

    def __len__(self) -> int:
        return self._n_running

    def __iter__(self) -> Iterator[ReplicaT]:
        return (replica for bucket in self._by_load for replica in bucket)

    def request_s(self) -> float:
        """Ongoing requests, those that wait included, summed over all time until now."""
        self._count(0)
        return self._request_s

    def ask(self, begin: Callable[[ReplicaT], None]) -> None:
        """``begin`` is told who takes the request: at once if anybody runs."""
        self._count(1)
        if self._n_running:
            begin(self._take())
        else:
            self._waiting.append(begin)

    def give_back(self, replica: ReplicaT) -> None:
        """The request has ended."""
        self._count(-1)
        if replica.is_leaving:
            replica.n_ongoing -= 1
            if not replica.n_ongoing:
                self.on_empty(replica)
        else:
            self._remove(replica)
            self._put(replica, replica.n_ongoing - 1)

    def join(self, replica: ReplicaT) -> None:
        """It is loaded."""
        self._n_running += 1
        self._put(replica, 0)
        while self._waiting:
            self._waiting.popleft()(self._take())

    def leave(self, replica: ReplicaT) -> None:
        """It gets no more requests and goes once it has ended those that it has."""
        self._n_running -= 1
        self._remove(replica)
        replica.is_leaving = True
        if not replica.n_ongoing:
            self.on_empty(replica)

    def _count(self, change: int) -> None:
        now_s = self._clock.now_s
        self._request_s += self._n_ongoing * (now_s - self._since_s)
        self._since_s = now_s
        self._n_ongoing += change

    def _take(self) -> ReplicaT:
        by_load = self._by_load
        while not (bucket := by_load[self._least]):
            self._least += 1
        replica = bucket[int(self._rng.random() * len(bucket))]  # among equals, any
        self._remove(replica)
        self._put(replica, replica.n_ongoing + 1)
        return replica

    def _put(self, replica: ReplicaT, n_ongoing: int) -> None:
        if n_ongoing >= len(self._by_load):  # by one at most
            self._by_load.append([])
        bucket = self._by_load[n_ongoing]
        replica.n_ongoing, replica.place = n_ongoing, len(bucket)
        bucket.append(replica)
        if n_ongoing < self._least:
            self._least = n_ongoing

    def _remove(self, replica: ReplicaT) -> None:
        bucket = self._by_load[replica.n_ongoing]
        last = bucket.pop()
        if last is not replica:
            bucket[replica.place], last.place = last, replica.place
