"""The one place that decides who may start a turn, for all ingress processes.

What it knows is soft: every ingress tells all of its turns in each report, so a new replica of it
knows them after one round.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from contextvars import Context
from typing import Any

from ray import serve

from deployments.caller import logger_of
from deployments.config import Settings
from deployments.errors import TurnRefusedError
from graph.admission import AdmissionSettings
from graph.cluster_gate import GateNews, GateReport, Refused
from graph.costs import falls_behind
from graph.door import Door
from graph.events import QueueUpdated
from graph.instruments import RAY
from graph.metrics import AdmissionMetrics
from graph.scaling import TURNS

logger = logger_of("avatar.admission")


class GatekeeperConfig(Settings):
    """What the deployment needs of the profile."""

    admission: AdmissionSettings = AdmissionSettings()
    look_ahead_s: float = 20.0


class Gatekeeper:
    """The deployment ``admission``; one replica."""

    def __init__(self, config: GatekeeperConfig) -> None:
        logging.getLogger("avatar").parent = logging.getLogger("ray.serve")
        self._settings = config.admission
        self._door = Door(config.admission, config.look_ahead_s, time.monotonic)
        self._metrics = AdmissionMetrics(RAY)
        self._application = serve.get_replica_context().app_name
        self._has_warned = False
        self._counted_at_s = 0.0
        self._counting: asyncio.Task[None] | None = None

    async def enter(
        self, turn_id: str, ingress_id: str, waited_s: float
    ) -> AsyncGenerator[QueueUpdated | Refused, None]:
        """Its places in the queue; ends when the turn may start, or with the refusal."""
        self._count_replicas()
        try:
            async with aclosing(self._door.enter(turn_id, ingress_id, waited_s)) as places:
                async for place in places:
                    yield place
        except TurnRefusedError as error:
            yield Refused(error.message, error.predicted_wait_s)

    async def report(self, report: GateReport) -> GateNews:
        """How the turns of an ingress come on; answered with what it would need alone."""
        if report.turns:
            self._count_replicas()
        admission, now_s = self._door.admission, time.monotonic()
        for stage, effort in report.efforts:
            admission.note(stage, effort, now_s)
        self._door.report(report.ingress_id, report.turns, report.left)
        capacity = admission.capacity(now_s)
        self._metrics.show(
            capacity, admission.n_running, admission.n_waiting, admission.predicted_wait_s(now_s)
        )
        self._warn_if_slow(capacity)
        return GateNews(admission.n_replicas, admission.n_ingresses(now_s), capacity)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked by Serve now and then, for its autoscaler."""
        return {TURNS: self._door.n_wanted()}

    def _warn_if_slow(self, capacity: float | None) -> None:
        """Once: whoever runs the machine should know, and it does not change by itself."""
        if not self._has_warned and (words := falls_behind(capacity)):
            self._has_warned = True
            logger.warning("this machine %s", words)

    def _count_replicas(self) -> None:
        """Beside the answer, now and then: it asks Serve's controller."""
        now_s = time.monotonic()
        is_due = now_s - self._counted_at_s >= self._settings.count_replicas_every_s
        if is_due and (self._counting is None or self._counting.done()):
            self._counted_at_s = now_s
            # In a context of its own: what a call asks of others is cancelled when the call is, and
            # callers cancel all their streams.
            self._counting = asyncio.create_task(self._count(), context=Context())

    async def _count(self) -> None:
        try:
            found = await asyncio.to_thread(_running_replicas, self._application)
        except Exception as error:  # the controller is away: what was known goes on to hold
            logger.warning("replicas not counted: %s", type(error).__name__)
            return
        self._door.admission.n_replicas = found


def _running_replicas(application: str) -> Mapping[str, int]:
    """Blocks. How many replicas of each deployment run."""
    overview = serve.status().applications.get(application)
    if overview is None:
        return {}
    return {name: _n_running(d.replica_states) for name, d in overview.deployments.items()}


def _n_running(states: Mapping[Any, int]) -> int:
    return sum(n for state, n in states.items() if getattr(state, "value", state) == "RUNNING")
