"""What this process knows of the replicas that it calls: how busy each is, and which ones hang.

A replica that hangs raises nothing and keeps its place in Serve's routing. So whoever waits in
vain says so, and ``graph.router`` sends nothing more there until the replica shows signs of life.

How a caller says it: ``AvatarHandle.stalled(stream)`` (any handle of ``graph.handles`` that
streams), with the very generator that the handle returned, while it is still open and *before* the
second request begins. It returns at once whether the replica gives nobody anything, may be called
twice, and does nothing for a stream that no replica has taken yet or that has ended.

Free of Serve: replicas are any hashable names. Used from two threads, the caller's and the
router's.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Set
from math import inf
from typing import TypeVar

ReplicaT = TypeVar("ReplicaT", bound=Hashable)

FIRST_QUARANTINE_S = 0.5
LONGEST_QUARANTINE_S = 10.0

SILENCE_S = 0.2
"""A replica at work gives one of its streams an output far more often; a wrong suspicion ends with
the next one."""


class Replicas:
    """Who was sent which request, and whom to leave alone.

    A reported replica stays a suspect until it gives an output, or answers a probe: the first
    after ``FIRST_QUARANTINE_S``, because a process that only paused is missed at once where all
    are needed. One that answers probes and still gives nothing is left alone for twice as long
    each time, up to ``LONGEST_QUARANTINE_S``.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        # Requests that Serve still asks room for: where, and since when.
        self._meant_for: dict[str, tuple[Hashable, float]] = {}
        self._sent_at_s = -inf  # the last of any
        self._replica_of: dict[str, Hashable] = {}  # requests in flight
        self._probe_at_s: dict[Hashable, float] = {}  # suspects
        self._quarantine_s: dict[Hashable, float] = {}  # of those without output since
        self._output_at_s: dict[Hashable, float] = {}  # the last one of each

    def meant(self, request_id: str, replica: Hashable) -> None:
        """The request goes to the replica if that has room; it counts as if it had gone."""
        with self._lock:
            _, since_s = self._meant_for.get(request_id, (None, self._now()))
            self._meant_for[request_id] = replica, since_s

    def sent(self, request_id: str, replica: Hashable) -> None:
        """The request goes to the replica."""
        with self._lock:
            self._meant_for.pop(request_id, None)
            self._replica_of[request_id] = replica
            self._sent_at_s = self._now()

    def dropped(self, request_id: str) -> None:
        """The request goes nowhere."""
        with self._lock:
            self._meant_for.pop(request_id, None)
            self._replica_of.pop(request_id, None)

    def ended(self, request_id: str, replica: Hashable) -> None:
        """The replica has no more to do with the request."""
        with self._lock:
            if self._replica_of.get(request_id) == replica:  # not sent elsewhere meanwhile
                del self._replica_of[request_id]

    @property
    def n_requests(self) -> int:
        """How many are on their way or in flight."""
        with self._lock:
            return len(self._meant_for.keys() | self._replica_of.keys())

    @property
    def n_suspects(self) -> int:
        """How many replicas are left alone."""
        with self._lock:
            return len(self._probe_at_s)

    def stalled(self, request_id: str) -> bool:
        """Whether who has this request gives nobody any output: then it is a suspect from now on.

        One that gives others theirs is slow, or has more urgent work: asking another would only
        make more of it. Unknown requests have no replica that could hang. One that Serve still asks
        room for, while others were sent, is stuck (seen for seconds after a replica's death): it
        accuses nobody, but asking again helps.
        """
        with self._lock:
            if request_id in self._meant_for:
                _, since_s = self._meant_for[request_id]
                return self._sent_at_s > since_s and self._now() - since_s >= SILENCE_S
            if request_id not in self._replica_of:
                return False
            replica, now_s = self._replica_of[request_id], self._now()
            if now_s - self._output_at_s.get(replica, -inf) < SILENCE_S:
                return False
            if replica not in self._probe_at_s:
                last_s = self._quarantine_s.get(replica, FIRST_QUARANTINE_S / 2)
                self._quarantine_s[replica] = min(2 * last_s, LONGEST_QUARANTINE_S)
                self._probe_at_s[replica] = now_s + self._quarantine_s[replica]
            return True

    def delivered(self, request_id: str) -> None:
        """Whoever has this request gave an output, so it does not hang."""
        with self._lock:
            replica = self._replica_of.get(request_id)
            if replica is not None:
                self._output_at_s[replica] = self._now()
                self._probe_at_s.pop(replica, None)
                self._quarantine_s.pop(replica, None)

    def best(self, near: Set[ReplicaT], all_replicas: Set[ReplicaT]) -> list[ReplicaT]:
        """Where a request may go, the one with the fewest requests of this process first.

        These are the near replicas, else any, that are no suspects; where all are suspects,
        suspicion says nothing, and the near ones are as good as any.
        """
        with self._lock:
            suspects = self._probe_at_s.keys()
            allowed = list(near - suspects or all_replicas - suspects or near)
            meant = [replica for replica, _ in self._meant_for.values()]
            n_in_flight = Counter((*meant, *self._replica_of.values()))
        random.shuffle(allowed)  # among equals, any
        return sorted(allowed, key=lambda replica: n_in_flight[replica])

    def due(self, replicas: Set[ReplicaT]) -> set[ReplicaT]:
        """Those of the replicas that are to be probed now, and again if they do not answer."""
        now_s = self._now()
        with self._lock:
            found = {r for r in replicas if self._probe_at_s.get(r, now_s + 1) <= now_s}
            for replica in found:
                self._probe_at_s[replica] = now_s + self._quarantine_s[replica]
        return found

    def answered(self, replica: Hashable) -> None:
        """The replica answered a probe: no suspect any more."""
        with self._lock:
            self._probe_at_s.pop(replica, None)

    def gone(self, replicas: Iterable[Hashable]) -> None:
        """The replicas are no more."""
        dead = set(replicas)
        with self._lock:
            for request_id, (replica, since_s) in self._meant_for.items():
                if replica in dead:
                    self._meant_for[request_id] = None, since_s
            self._probe_at_s = {r: s for r, s in self._probe_at_s.items() if r not in dead}
            self._quarantine_s = {r: s for r, s in self._quarantine_s.items() if r not in dead}
            self._output_at_s = {r: s for r, s in self._output_at_s.items() if r not in dead}
            self._replica_of = {i: r for i, r in self._replica_of.items() if r not in dead}


HERE = Replicas()
"""Of this process: shared by its handles and their routers."""
