"""Admission against a simulated machine at twice its capacity: is what it says true, and does what
it lets in stay on time?"""

from dataclasses import dataclass
from statistics import median

import pytest

from tests.speech_machine import World

RUN_S = 240.0
MEAN_REPLY_S, MEAN_PAUSE_S = 20.0, 2.5
KNOWN_S = 30.0  # until the first replies have ended nobody can know how long they are
TOLD_TO_S = 1.0  # waits are told in whole seconds


@dataclass(frozen=True)
class Seen:
    """What came of a run. Errors of predictions are shares of the real wait."""

    queued_errors: list[float]
    refused_errors: list[float]
    n_fragments: int
    late_share: float
    utilisation: float
    ttff_p95_s: float


def at_twice_the_capacity(world: World, loop: str) -> Seen:
    if loop == "closed":
        n_people = round(2 * world.capacity * (1 + MEAN_PAUSE_S / MEAN_REPLY_S))
        for i in range(n_people):
            world.after(i * 0.5, lambda: world.converse_forever(MEAN_PAUSE_S))
    else:
        world.arrive_forever(2 * world.capacity / MEAN_REPLY_S)
    world.run(RUN_S)
    return seen(world)


def seen(world: World) -> Seen:
    queued, refused = [], []
    for ask in world.asks:
        if ask.admitted_at_s is None or ask.wished_at_s < KNOWN_S:
            continue
        queued += [error(*said, ask.admitted_at_s) for said in ask.queued]
        refused += [error(*said, ask.admitted_at_s) for said in ask.refused]
    n_fragments = sum(reply.n_packets for reply in world.done)
    return Seen(
        queued,
        refused,
        n_fragments,
        sum(reply.n_late for reply in world.done) / n_fragments,
        sum(reply.sent_s for reply in world.done) / RUN_S / world.capacity,
        sorted(world.ttff_s)[int(0.95 * len(world.ttff_s))],
    )


def error(said_at_s: float, predicted_s: float, admitted_at_s: float) -> float:
    real_s = admitted_at_s - said_at_s
    return abs(predicted_s - real_s) / max(real_s, TOLD_TO_S)


@pytest.mark.parametrize("loop", ["closed", "open"])
def test_predicted_waits_are_near_the_real_ones_and_nobody_is_late(loop: str) -> None:
    runs = [at_twice_the_capacity(World(seed=seed), loop) for seed in (1, 2, 3)]
    assert min(len(run.queued_errors) for run in runs) > 30
    assert min(len(run.refused_errors) for run in runs) > 30
    assert median(error for run in runs for error in run.queued_errors) <= 0.3
    assert median(error for run in runs for error in run.refused_errors) <= 0.3
    assert sum(run.n_fragments for run in runs) > 15_000
    assert max(run.late_share for run in runs) <= 0.01
    assert min(run.utilisation for run in runs) > 0.85
    assert max(run.ttff_p95_s for run in runs) < 1.0


@pytest.mark.parametrize("loop", ["closed", "open"])
def test_a_machine_twice_as_fast_is_driven_as_near_to_its_limit(loop: str) -> None:
    got = at_twice_the_capacity(World(cost=0.125), loop)
    assert median(got.queued_errors) <= 0.3
    assert median(got.refused_errors) <= 0.3
    assert got.late_share <= 0.01
    assert got.utilisation > 0.85


def test_refusals_that_never_come_back_leave_nothing_unused() -> None:
    got = at_twice_the_capacity(World(refusals_return=False), "open")
    assert median(got.queued_errors) <= 0.3
    assert got.late_share <= 0.01
    assert got.utilisation > 0.85


def test_below_the_capacity_nobody_is_refused_and_few_wait() -> None:
    world = World()
    world.arrive_forever(0.7 * world.capacity / MEAN_REPLY_S)
    world.run(RUN_S)
    assert [ask for ask in world.asks if ask.refused] == []
    assert sum(bool(ask.queued) for ask in world.asks) <= 0.2 * len(world.asks)
