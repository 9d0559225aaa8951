"""How many replicas each stage gets: as many as the turns there are need, with those that wait.

Serve's own rule counts requests in flight. Admission lets in no more turns than the replicas carry,
so by that rule those who wait outside would never bring a replica. And a turn is there for its
whole answer, while a stage that is ahead of the viewer has no request of it at all. So admission
tells how many turns want to be answered, and every stage is scaled by them; Serve's rule holds
where it asks for more, and while admission is away.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

ADMISSION = "admission"
TURNS = "turns"
"""What the deployment ``admission`` tells the autoscaler: turns that run, wait or will be back."""

_DIGITS = 6  # a replica more only because 2.0000000001 is above 2 would be one too many


class _Config(Protocol):
    def get_target_ongoing_requests(self) -> float: ...


class Context(Protocol):
    """What is used of Serve's ``AutoscalingContext``."""

    @property
    def config(self) -> _Config: ...

    @property
    def total_num_requests(self) -> float: ...

    @property
    def raw_metrics(self) -> Mapping[str, Mapping[Any, Any]] | None: ...


class _Deployment(Protocol):
    """What is used of Serve's ``DeploymentID``."""

    @property
    def name(self) -> str: ...


DeploymentT = TypeVar("DeploymentT", bound=_Deployment)


class ByTurns:
    """A policy for a whole application, named in a profile as its ``autoscaling_policy``.

    Bounds and delays are those of each deployment's ``autoscaling_config``; Serve applies them.

    Args:
        turns_per_replica: by deployment, how many turns one replica carries; those not named are
            scaled by their requests alone.
    """

    def __init__(self, turns_per_replica: Mapping[str, float]) -> None:
        self._turns_per_replica = turns_per_replica

    def __call__(
        self, contexts: Mapping[DeploymentT, Context]
    ) -> tuple[dict[DeploymentT, float], dict[DeploymentT, dict[str, Any]]]:
        """How many replicas each deployment should have, and nothing to be remembered."""
        n_turns = _n_turns(contexts)
        return {d: self._wanted(d.name, c, n_turns) for d, c in contexts.items()}, {}

    def _wanted(self, name: str, context: Context, n_turns: float) -> float:
        by_requests = context.total_num_requests / context.config.get_target_ongoing_requests()
        by_turns = n_turns / self._turns_per_replica[name] if name in self._turns_per_replica else 0
        return round(max(by_requests, by_turns), _DIGITS)


def _n_turns(contexts: Mapping[DeploymentT, Context]) -> float:
    """As last told; 0 while nobody tells."""
    for deployment, context in contexts.items():
        if deployment.name == ADMISSION:
            told = (context.raw_metrics or {}).get(TURNS, {})
            return sum(float(points[-1].value) for points in told.values() if points)
    return 0.0
