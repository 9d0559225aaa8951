"""Whether the replicas of a profile have room in a cluster. Pure: what nodes have is given.

Serve waits for room for ever and says ``DEPLOYING``. Here what can never be placed is known before,
and one line says why and what to do.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

Resources = Mapping[str, float]
"""As Ray names them: CPU, GPU, memory (bytes), accelerator_type:L4, and one's own."""

_TYPE = "accelerator_type:"
_A_TRACE = 0.001  # of its type, which Ray takes of a node for a replica that names one
_ROUNDING = 1e-6


class NoRoomError(Exception):
    """Replicas can never be placed; the message says which, what there is, and what to do."""


@dataclass(frozen=True, slots=True)
class Wish:
    """``n`` replicas of a deployment at the start, each with these resources."""

    deployment: str
    n: int
    each: Resources


def wishes(config: Mapping[str, Any]) -> list[Wish]:
    """What a Serve configuration asks for."""
    (application,) = config["applications"]
    return [Wish(one["name"], _n_at_start(one), _each(one)) for one in application["deployments"]]


def check_room(wanted: Sequence[Wish], nodes: Sequence[Resources]) -> None:
    """Whether all that is wanted may fit.

    Args:
        wanted: of the profile.
        nodes: what each node has, whoever uses it.

    Raises:
        NoRoomError: it never will on these nodes: no node is large enough for one of the replicas,
            or all of them want more of something than all nodes have.
    """
    for wish in wanted:
        if wish.n and not any(_has(node, wish.each) for node in nodes):
            raise NoRoomError(
                f"no node has room for a replica of {wish.deployment}, which wants "
                f"{words(wish.each)}; the largest has {_largest(nodes)}. {_advice(wish.each)}"
            )
    total = _sum(nodes)
    for kind in sorted({kind for wish in wanted for kind in wish.each}):
        _check_sum(kind, [wish for wish in wanted if wish.each.get(kind)], total.get(kind, 0.0))


def words(resources: Resources) -> str:
    """Resources as a person reads them."""
    kinds = [kind for kind, n in resources.items() if n and not kind.startswith(_TYPE)]
    types = [kind.removeprefix(_TYPE) for kind, n in resources.items() if n and _TYPE in kind]
    amounts = " and ".join(_amount(kind, resources[kind]) for kind in kinds) or "nothing"
    return amounts + (f" (of type {', '.join(types)})" if types else "")


def _check_sum(kind: str, asking: Sequence[Wish], total: float) -> None:
    needed = sum(wish.n * wish.each[kind] for wish in asking)
    if needed <= total + _ROUNDING:
        return
    of_whom = ", ".join(f"{wish.n} x {wish.deployment} {wish.each[kind]:g}" for wish in asking)
    few = "start with fewer replicas, or take a larger cluster"
    more = f"take {ceil(needed)} of them (simulated ones: LOGICAL_GPUS={ceil(needed)})"
    raise NoRoomError(
        f"the replicas want {_amount(kind, needed)} together ({of_whom}), and the cluster has "
        f"{_amount(kind, total)}. To do: {more if kind == 'GPU' else few}"
    )


def _n_at_start(deployment: Mapping[str, Any]) -> int:
    scaling = deployment.get("autoscaling_config")
    if scaling is None:
        return int(deployment.get("num_replicas", 1))
    return int(scaling.get("initial_replicas", scaling.get("min_replicas", 1)))


def _each(deployment: Mapping[str, Any]) -> Resources:
    """Serve gives a replica one CPU unless told otherwise."""
    asked = deployment.get("ray_actor_options", {})
    given = {
        "GPU": float(asked.get("num_gpus", 0.0)),
        "CPU": float(asked.get("num_cpus", 1.0)),
        "memory": float(asked.get("memory", 0.0)),
        **{str(kind): float(n) for kind, n in asked.get("resources", {}).items()},
    }
    if "accelerator_type" in asked:
        given[f"{_TYPE}{asked['accelerator_type']}"] = _A_TRACE
    return {kind: n for kind, n in given.items() if n}


def _has(node: Resources, each: Resources) -> bool:
    return all(node.get(kind, 0.0) + _ROUNDING >= n for kind, n in each.items())


def _sum(nodes: Iterable[Resources]) -> Resources:
    total: dict[str, float] = defaultdict(float)
    for node in nodes:
        for kind, n in node.items():
            total[kind] += n
    return total


def _largest(nodes: Sequence[Resources]) -> str:
    best = max(nodes, key=lambda node: (node.get("GPU", 0.0), node.get("CPU", 0.0)), default={})
    return words({k: n for k, n in best.items() if k in ("GPU", "CPU") or k.startswith(_TYPE)})


def _advice(each: Resources) -> str:
    if not each.get("GPU"):
        return "To do: ask for less in the profile, or take a larger machine"
    kinds = [kind.removeprefix(_TYPE) for kind in each if kind.startswith(_TYPE)]
    return f"To do: take a machine with a GPU {' '.join(kinds)}, or simulate it: PROFILE=fake-l4"


def _amount(kind: str, n: float) -> str:
    return f"{n / 1e9:.3g} GB of memory" if kind == "memory" else f"{n:.4g} {kind}"
