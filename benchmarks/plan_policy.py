"""How many replicas each stage needs in the simulation: the graph's own policy, told as Serve tells
it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from graph.scaling import ADMISSION, TURNS, ByTurns


@dataclass(frozen=True, slots=True)
class _Name:
    name: str


@dataclass(frozen=True, slots=True)
class _Point:
    value: float


@dataclass(frozen=True, slots=True)
class _Config:
    target_ongoing_requests: float

    def get_target_ongoing_requests(self) -> float:
        return self.target_ongoing_requests


@dataclass(slots=True)
class _Context:
    config: _Config
    total_num_requests: float
    raw_metrics: Mapping[str, Mapping[Any, Any]] | None


@dataclass(frozen=True, slots=True)
class Demand:
    """A stage's ongoing requests over its look-back period, and how many a replica should have."""

    requests: float
    target_ongoing_requests: float


class Policy:
    """``graph.scaling.ByTurns``, which hears of turns every ``news_every_s``."""

    def __init__(self, turns_per_replica: Mapping[str, float], news_every_s: float) -> None:
        self._by_turns, self._news_every_s = ByTurns(turns_per_replica), news_every_s
        self._n_turns, self._told_at_s = 0.0, -inf

    def needed(
        self, demands: Mapping[str, Demand], n_turns: float, now_s: float
    ) -> Mapping[str, float]:
        """How many replicas each stage needs. ``n_turns``: what admission would say now."""
        if now_s - self._told_at_s >= self._news_every_s:
            self._n_turns, self._told_at_s = n_turns, now_s
        told = {TURNS: {"admission": [_Point(self._n_turns)]}}
        contexts = {_Name(ADMISSION): _Context(_Config(1.0), 0.0, told)}
        for name, demand in demands.items():
            config = _Config(demand.target_ongoing_requests)
            contexts[_Name(name)] = _Context(config, demand.requests, None)
        found, _ = self._by_turns(contexts)
        return {one.name: n for one, n in found.items() if one.name in demands}
