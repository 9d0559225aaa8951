"""What a second of speech costs each stage, learnt from what outputs took. Pure: time is given."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.types import Effort

FACE = "avatar"
"""The stage without whose cost nothing is known: it does nine tenths of the work."""


def falls_behind(capacity: float | None) -> str:
    """What is said of a machine that makes video more slowly than one person watches it, to follow
    its name; empty where it keeps up, or nobody knows yet. ``capacity`` as ``CostBook`` gives it.
    """
    if capacity is None or capacity >= 1.0:
        return ""
    return (
        f"makes {capacity:.2f} s of video per second, less than one person watches, so the picture "
        "gives way"
    )


@dataclass(slots=True)
class _Average:
    """Busy seconds and seconds of speech, both fading as more speech comes."""

    half_life_s: float
    heard_at_s: float = 0.0
    busy_s: float = 0.0
    media_s: float = 0.0

    def add(self, effort: Effort, now_s: float) -> None:
        kept = 0.5 ** (effort.media_s / self.half_life_s)
        self.busy_s = self.busy_s * kept + effort.busy_s
        self.media_s = self.media_s * kept + effort.media_s
        self.heard_at_s = now_s


class CostBook:
    """A moving estimate of each stage's cost: busy seconds of one replica per second of speech.

    Weighted by seconds of speech, so that half of an estimate is ``half_life_s`` of speech old at
    most. A replica not heard of for ``memory_s`` no longer counts; the stage's mean then stays what
    it was, because a machine that nobody used for a while has not become faster or slower.
    """

    def __init__(self, half_life_s: float, memory_s: float) -> None:
        self._half_life_s, self._memory_s = half_life_s, memory_s
        self._stages: dict[str, dict[str, _Average]] = {}
        self._means: dict[str, float] = {}
        # Asked at every turn, with hundreds of replicas: reckoned anew only when there is news.
        self._has_news: set[str] = set()
        self._gone_after_s: dict[str, float] = {}  # before that no replica can be

    def note(self, stage: str, effort: Effort, now_s: float) -> None:
        """An output's effort."""
        replicas = self._stages.setdefault(stage, {})
        replicas.setdefault(effort.replica, _Average(self._half_life_s)).add(effort, now_s)
        self._has_news.add(stage)

    def known(self, now_s: float) -> list[tuple[str, Effort]]:
        """All that the estimates rest on, for a book that is to begin with them."""
        return [
            (stage, Effort(replica, average.busy_s, average.media_s))
            for stage in self._stages
            for replica, average in self._fresh(stage, now_s).items()
        ]

    def mean(self, stage: str, now_s: float) -> float | None:
        """The mean of the stage's replicas; ``None`` while nothing is known."""
        replicas = self._fresh(stage, now_s)
        if stage in self._has_news:
            self._has_news.discard(stage)
            costs = [a.busy_s / a.media_s for a in replicas.values() if a.media_s > 0]
            if costs:
                self._means[stage] = sum(costs) / len(costs)
        return self._means.get(stage)

    def capacity(self, n_replicas: Mapping[str, int], now_s: float) -> float | None:
        """Seconds of speech per second that the tightest stage can make, if all its replicas work.

        A stage without a known cost limits nothing; while the face's is unknown, ``None``. A stage
        that has lost its last replica counts as one: a new one is on its way.
        """
        if self.mean(FACE, now_s) is None:
            return None
        return min(
            self._n(stage, n_replicas, now_s) / mean
            for stage in self._stages
            if (mean := self.mean(stage, now_s))
        )

    def _n(self, stage: str, n_replicas: Mapping[str, int], now_s: float) -> int:
        return max(1, n_replicas.get(stage, len(self._fresh(stage, now_s))))

    def _fresh(self, stage: str, now_s: float) -> dict[str, _Average]:
        replicas = self._stages.get(stage, {})
        if now_s < self._gone_after_s.get(stage, 0.0):
            return replicas
        gone = [r for r, a in replicas.items() if now_s - a.heard_at_s > self._memory_s]
        for replica in gone:
            del replicas[replica]
            self._has_news.add(stage)
        heard_at_s = min((a.heard_at_s for a in replicas.values()), default=now_s)
        self._gone_after_s[stage] = heard_at_s + self._memory_s
        return replicas
