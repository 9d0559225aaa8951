"""The planner's autoscaler against the one that is installed. Nothing is started."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve import autoscaling_policy
from ray.serve.config import AutoscalingConfig

from benchmarks.plan_scaler import Scaler, Scaling

BOUNDS: dict[str, Any] = {"min_replicas": 0, "max_replicas": 12}
DELAYS: dict[str, Any] = {
    "upscale_delay_s": 3.0, "downscale_delay_s": 20.0, "downscale_to_zero_delay_s": 7.0,
}  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("factors", [{}, {"upscaling_factor": 1.7, "downscaling_factor": 0.3}])
def test_it_decides_as_serve_does(
    seed: int, factors: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, now = random.Random(seed), SimpleNamespace(s=1000.0)
    monkeypatch.setattr(autoscaling_policy, "time", SimpleNamespace(time=lambda: now.s))
    config = AutoscalingConfig(**BOUNDS, **DELAYS, **factors)
    ours = Scaler(Scaling(**BOUNDS, **DELAYS, **factors))
    state: dict[str, Any] = {}
    needed, n, decided = 0.0, 0, list[tuple[int, int]]()
    for _ in range(2000):
        now.s += rng.choice((0.5, 1.0, 1.0, 4.0))
        if rng.random() < 0.1:
            needed = rng.choice((0.0, rng.uniform(0, 14)))
        context: Any = SimpleNamespace(config=config, current_num_replicas=n, target_num_replicas=n)
        serves, state = autoscaling_policy._apply_default_params(needed, context, state)
        decided.append((max(0, min(12, serves)), ours.decide(n, n, needed, now.s)))
        n = decided[-1][0]
    assert [mine for _, mine in decided] == [serves for serves, _ in decided]
    assert {serves for serves, _ in decided} >= {0, 1, 2, 12}
