"""Serve's router of requests to replicas, for a few replicas with streams as long as a second.

It differs from Serve's own in two ways, both measured on 2.60 with two replicas (2026-11). It
leaves alone replicas that were reported as stalled: with eight speakers and one replica stopped,
Serve's lost eight requests in 2.6 s, until their count made that one seem the busier; this one
loses the four that were in flight. And it counts a request from the moment of its choice, for
Serve's counts are late: of eight requests at once up to seven went to one replica.

Given to a deployment as ``request_router_config``. Serve copies the class into each process that
holds a handle by value, with the globals that it uses; so it must reach what it shares with the
handles through the module ``replicas``, which is copied by name.

Source: Ray Serve 2.60, ``RequestRouter`` (alpha).
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from ray.serve._private.common import RequestMetadata
from ray.serve.request_router import (
    LocalityMixin,
    PendingRequest,
    ReplicaID,
    RequestRouter,
    RunningReplica,
)

from graph import replicas as known

_PROBE_PATIENCE = 3  # doublings of Serve's 0.1 s


class AvoidingRouter(LocalityMixin, RequestRouter):
    """The replica with the fewest requests of this process that is no suspect.

    Serve still asks a replica whether it has room (``max_ongoing_requests``) and tries the next.
    """

    def initialize_state(self, **_: Any) -> None:
        """Called by Serve after the constructor."""
        self._rechecks: set[asyncio.Task[None]] = set()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """One replica per rank, the best first."""
        due = known.HERE.due(self._replica_id_set)
        if due:
            task = self._event_loop.create_task(self._recheck(due))
            self._rechecks.add(task)  # an unreferenced task may vanish before it is done
            task.add_done_callback(self._rechecks.discard)
        near = self.apply_locality_routing(pending_request)
        best = known.HERE.best(near, self._replica_id_set)
        if best and pending_request is not None and not pending_request.future.done():
            known.HERE.meant(pending_request.metadata.internal_request_id, best[0])
        return [[self._replicas[replica]] for replica in best]

    def _fulfill_next_pending_request(
        self, replica: RunningReplica, request_metadata: RequestMetadata | None = None
    ) -> None:
        """Here the choice is made; whoever waits for it runs after others have made theirs."""
        request = self._get_pending_request_matching_internal_request_id(request_metadata)
        if request is not None:  # else cancelled meanwhile
            known.HERE.sent(request.metadata.internal_request_id, replica.replica_id)
        super()._fulfill_next_pending_request(replica, request_metadata)

    async def _choose_replica_for_request(
        self, pending_request: PendingRequest, *, is_retry: bool = False
    ) -> RunningReplica:
        try:
            return await super()._choose_replica_for_request(pending_request, is_retry=is_retry)
        except BaseException:  # cancelled before it was sent
            known.HERE.dropped(pending_request.metadata.internal_request_id)
            raise

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Told by Serve, also of requests that failed or were cancelled or rejected."""
        known.HERE.ended(internal_request_id, replica_id)
        super().on_request_completed(replica_id, internal_request_id)

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        """Told by Serve."""
        known.HERE.gone([replica_id])
        super().on_replica_actor_died(replica_id)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Told by Serve: these are all that there are now."""
        known.HERE.gone(self._replica_id_set - {r.replica_id for r in replicas})
        super().update_replicas(replicas)

    async def _recheck(self, due: Iterable[ReplicaID]) -> None:
        asked = [self._replicas[replica] for replica in due if replica in self._replicas]
        for replica, queue_len in await self._probe_queue_lens(asked, _PROBE_PATIENCE):
            if queue_len is not None:
                known.HERE.answered(replica.replica_id)


AVOIDING: dict[str, Any] = {"request_router_class": "graph.router.AvoidingRouter"}
"""What to give a deployment as its ``request_router_config``."""
