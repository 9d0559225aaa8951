"""The planner's parts, each against what can be reckoned by hand."""

import random
from collections.abc import Callable
from functools import partial
from statistics import mean

import pytest

from benchmarks.plan_card import Card, Work
from benchmarks.plan_clock import Clock
from benchmarks.plan_deployment import Deployment
from benchmarks.plan_fleet import Fleet, Rent, Room
from benchmarks.plan_painter import Brush, Order, Painter
from benchmarks.plan_policy import Demand, Policy
from benchmarks.plan_pool import Pool
from benchmarks.plan_profile import StageLayout
from benchmarks.plan_replicas import BLOCK_S, Ears, Utterance, Voice
from benchmarks.plan_scaler import Scaler, Scaling, Window
from benchmarks.plan_speech import Speech
from deployments.cost_model import StageCost
from deployments.logical_gpu import Sharing

FOREVER_S = 1e6


class Ended:
    """Notes when steps end, by name, on the clock of the simulation."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.at_s: dict[str, float] = {}

    def __call__(self, name: str) -> Callable[[float], None]:
        return lambda took_s: self.note(name)

    def note(self, name: str) -> None:
        self.at_s[name] = self.clock.now_s


# The card.


def test_two_who_work_on_a_card_at_once_share_its_time() -> None:
    clock = Clock()
    card, ended = Card(clock), Ended(clock)
    card.begin(1.0, ended("first"))
    clock.at(0.5, lambda: begun(card, 0.5, ended("second")))
    clock.run(FOREVER_S)
    # From 0.5 s on both have half a second to do and each gets half of the card.
    assert ended.at_s == pytest.approx({"first": 1.5, "second": 1.5})
    assert card.busy_s() == pytest.approx(1.5)


def begun(card: Card, work_s: float, on_end: Callable[[float], None]) -> None:
    card.begin(work_s, on_end)


@pytest.mark.parametrize("seed", range(5))
def test_a_card_shares_its_time_as_the_fakes_on_a_logical_gpu_do(seed: int) -> None:
    rng, clock = random.Random(seed), Clock()
    card, ended = Card(clock), Ended(clock)
    works = [(rng.uniform(0, 5), rng.uniform(0.01, 1)) for _ in range(20)]
    for i, (at_s, work_s) in enumerate(works):
        clock.at(at_s, partial(begun, card, work_s, ended(str(i))))
    clock.run(FOREVER_S)
    for i in range(len(works)):
        assert left_s(works, i, ended.at_s[str(i)] - 1e-6) > 0
        assert left_s(works, i, ended.at_s[str(i)] + 1e-6) == 0


def left_s(works: list[tuple[float, float]], i: int, at_s: float) -> float:
    """What the fakes' own arithmetic says is left of the i-th at a time."""
    sharing, ends = Sharing(), dict[int, float]()
    for k in sorted(range(len(works)), key=lambda k: works[k][0]):
        begins_at_s, work_s = works[k]
        if begins_at_s <= at_s:
            sharing.advance(begins_at_s)
            ends[k] = sharing.begin(work_s)
    sharing.advance(at_s)
    return sharing.left_s(ends[i])


def test_a_step_made_shorter_ends_sooner_and_nothing_else_does() -> None:
    clock = Clock()
    card, ended = Card(clock), Ended(clock)
    work = card.begin(4.0, ended("long"))
    card.begin(1.0, ended("other"))

    def shorten() -> None:
        assert card.done_s(work, 4.0) == pytest.approx(0.5)
        assert isinstance(card.shorten(work, 3.0), Work)

    clock.at(1.0, shorten)
    clock.run(FOREVER_S)
    assert ended.at_s == pytest.approx({"other": 2.0, "long": 2.0})


# Ears and voices.


def test_an_ear_hears_one_after_the_other() -> None:
    clock = Clock()
    ended = Ended(clock)
    ears = Ears("e", Card(clock), StageCost(first_output_s=0.15, per_media_s=0.1))
    ears.hear(1.0, partial(ended.note, "short"))
    ears.hear(3.0, partial(ended.note, "long"))
    clock.run(FOREVER_S)
    assert ended.at_s == pytest.approx({"short": 0.25, "long": 0.7})
    effort = ears.effort()
    assert effort is not None
    assert (effort.busy_s, effort.media_s) == pytest.approx((0.7, 4.0))
    assert ears.effort() is None


def test_people_who_come_at_random_wait_as_pollaczek_and_khinchine_reckoned() -> None:
    """M/D/1: with a load of 0.6 and steps of D the mean wait is 0.6 D / (2 (1 - 0.6)) = 0.75 D."""
    clock, rng, waits = Clock(), random.Random(7), list[float]()
    ears = Ears("e", Card(clock), StageCost(first_output_s=1.0))
    at_s = 0.0
    for _ in range(12_000):
        at_s += rng.expovariate(0.6)
        clock.at(at_s, partial(asked, clock, ears, at_s, waits))
    clock.run(FOREVER_S)
    assert mean(waits) == pytest.approx(0.75, rel=0.08)


def asked(clock: Clock, ears: Ears, at_s: float, waits: list[float]) -> None:
    ears.hear(1.0, lambda: waits.append(clock.now_s - at_s - 1.0))


def test_a_sentence_alone_tells_what_is_wanted_and_its_end() -> None:
    clock, told = Clock(), list[tuple[float, float]]()
    voice = Voice("v", Card(clock), StageCost(first_output_s=0.15, per_media_s=0.2))

    def more() -> None:
        told.append((clock.now_s, utterance.done_s))

    utterance = Utterance(3.0, 0.4, more)
    voice.speak(utterance)
    clock.run(FOREVER_S)
    # Three blocks hold what is wanted.
    assert told == [pytest.approx((0.24, 3 * BLOCK_S)), pytest.approx((0.75, 3.0))]


def test_a_reader_who_wants_more_is_told_in_the_middle_of_a_step() -> None:
    clock, told = Clock(), list[tuple[float, float]]()
    voice = Voice("v", Card(clock), StageCost(per_media_s=0.2))
    utterance = Utterance(6.0, 6.0, lambda: told.append((clock.now_s, utterance.done_s)))
    voice.speak(utterance)

    def want() -> None:
        assert voice.look(utterance) == pytest.approx(2.4)  # 2.5 s, in whole blocks
        voice.tell_at(utterance, 2.9)

    clock.at(0.5, want)
    clock.run(FOREVER_S)
    assert told == [pytest.approx((0.6, 3.0)), pytest.approx((1.2, 6.0))]


def test_two_sentences_at_one_voice_take_turns_block_by_block() -> None:
    clock = Clock()
    ended = Ended(clock)
    voice = Voice("v", Card(clock), StageCost(per_media_s=0.2))
    voice.speak(Utterance(3.0, 3.0, partial(ended.note, "long")))
    voice.speak(Utterance(0.3, 0.3, partial(ended.note, "short")))
    clock.run(FOREVER_S)
    # A block of each, then the second one of each; and then the long one is alone.
    assert ended.at_s == pytest.approx({"short": 4 * 0.03, "long": 0.66})


def test_the_next_sentence_is_asked_for_when_the_last_one_is_mostly_read() -> None:
    clock, rng = Clock(), random.Random(1)
    ended = Ended(clock)
    pool: Pool[Voice] = Pool("tts", clock, rng)
    pool.join(Voice("v", Card(clock), StageCost(per_media_s=0.1)))
    speech = Speech(clock, pool, (4.0, 4.0), 16, partial(ended.note, "all"))
    speech.begin(StageCost(first_output_s=0.3))
    clock.run(2.0)
    assert speech.done_s == 4.0  # 2.4 s may be unread; nobody has read
    assert not speech.has(4.1)
    speech.read(1.7)
    clock.run(FOREVER_S)
    assert speech.is_over
    assert ended.at_s == pytest.approx({"all": 2.4})


# The painter.


BRUSH = Brush.of(StageCost(frames_per_s={8: 40}), fps=25, frames_per_packet=5)


Told = dict[str, list[tuple[float, int]]]
"""When so many frames of a stretch had come in packets, by its name."""


def drawn(
    clock: Clock,
    painter: Painter,
    n_frames: int,
    playout_s: float,
    name: str,
    told: Told,
    *,
    is_coarse: bool = False,
) -> None:
    def packets(order: Order) -> None:
        told.setdefault(name, []).append((round(clock.now_s, 3), order.n_sent))

    painter.draw(Order(n_frames, playout_s, is_coarse, packets))


def test_a_stretch_alone_comes_in_packets_batch_by_batch() -> None:
    clock, told = Clock(), Told()
    drawn(clock, Painter("p", Card(clock), BRUSH), 18, 0.0, "a", told)
    clock.run(FOREVER_S)
    assert told == {"a": [(0.2, 5), (0.4, 15), (0.6, 18)]}


def test_what_is_urgent_comes_after_two_batches_at_most() -> None:
    clock, told = Clock(), Told()
    painter = Painter("p", Card(clock), BRUSH)
    drawn(clock, painter, 40, 5.0, "patient", told)
    clock.at(0.1, partial(drawn, clock, painter, 5, 0.1, "urgent", told))
    clock.run(FOREVER_S)
    assert told["urgent"] == [(0.6, 5)]


@pytest.mark.parametrize("is_coarse", [False, True])
def test_a_patient_stretch_gives_way_however_coarse_it_is(is_coarse: bool) -> None:
    clock, told = Clock(), Told()
    painter = Painter("p", Card(clock), BRUSH)
    drawn(clock, painter, 64, 5.0, "patient", told, is_coarse=is_coarse)
    clock.at(0.5, partial(drawn, clock, painter, 8, 0.5, "urgent", told))
    clock.run(FOREVER_S)
    # The third batch is being drawn and the fourth is taken; the urgent one is the fifth.
    assert told["urgent"] == [(1.0, 8)]
    assert told["patient"][-1] == (1.8, 64)


def test_frames_of_several_stretches_fill_a_batch() -> None:
    clock, told = Clock(), Told()
    painter = Painter("p", Card(clock), BRUSH)
    drawn(clock, painter, 10, 1.0, "a", told)  # its two frames left over wait at the thread
    drawn(clock, painter, 10, 1.0, "b", told)
    drawn(clock, painter, 6, 1.1, "c", told)
    clock.run(FOREVER_S)
    assert told["b"][-1] == (0.8, 10)
    assert told["c"][-1] == (0.8, 6)


def test_packets_that_do_not_fit_into_a_second_are_refused() -> None:
    with pytest.raises(ValueError, match="no whole packets"):
        Brush.of(StageCost(frames_per_s={8: 40}), fps=25, frames_per_packet=4)


# Replicas that come and go.


def test_a_request_goes_to_a_replica_with_the_fewest() -> None:
    clock = Clock()
    pool: Pool[Ears] = Pool("asr", clock, random.Random(3))
    taken: list[str] = []
    pool.ask(lambda ears: taken.append(ears.name))
    first, second = (Ears(name, Card(clock), StageCost()) for name in "ab")
    pool.join(first)  # who waited gets the first one
    pool.join(second)
    pool.ask(lambda ears: taken.append(ears.name))
    pool.give_back(first)
    pool.ask(lambda ears: taken.append(ears.name))
    assert taken == ["a", "b", "a"]


def test_a_replica_that_leaves_ends_what_it_has() -> None:
    clock, gone = Clock(), list[str]()
    pool: Pool[Ears] = Pool("asr", clock, random.Random(3))
    pool.on_empty = lambda ears: gone.append(ears.name)
    ears = Ears("a", Card(clock), StageCost())
    pool.join(ears)
    pool.ask(lambda ears: None)
    pool.leave(ears)
    assert (len(pool), gone) == (0, [])
    pool.give_back(ears)
    assert gone == ["a"]


def test_requests_are_summed_over_time() -> None:
    clock = Clock()
    pool: Pool[Ears] = Pool("asr", clock, random.Random(3))
    ears = Ears("a", Card(clock), StageCost())
    pool.join(ears)
    clock.at(1.0, lambda: pool.ask(lambda ears: None))
    clock.at(2.0, lambda: pool.ask(lambda ears: None))
    clock.at(4.0, lambda: pool.give_back(ears))
    clock.run(4.0)
    assert pool.request_s() == pytest.approx(1 + 2 * 2)


def test_cards_are_rented_for_replicas_and_given_back_when_empty() -> None:
    clock = Clock()
    fleet = Fleet(clock, most_cards=2, rent=Rent(start_s=100.0, idle_s=50.0))
    up: list[float] = []
    rooms = [Room(0.6, lambda room: up.append(clock.now_s)) for _ in range(3)]
    for room in rooms:
        fleet.place(room)
    clock.run(150.0)
    assert (up, fleet.n_rented) == ([100.0, 100.0], 2)  # the third has no room
    fleet.give_back(rooms[0])
    assert up == [100.0, 100.0, 150.0]
    fleet.give_back(rooms[1])
    clock.run(300.0)
    assert fleet.n_rented == 1
    assert fleet.card_s() == pytest.approx(200.0 + 300.0)


def test_a_replica_is_there_once_its_card_is_up_and_it_is_loaded() -> None:
    clock = Clock()
    deployment = ears_of(clock, Scaling(1, 4, upscale_delay_s=1.0, downscale_delay_s=60.0))
    deployment.start(1)
    clock.run(102.9)
    assert len(deployment.pool) == 0
    clock.run(103.0)
    assert len(deployment.pool) == 1
    deployment.scale(3.0)
    clock.run(104.0)
    deployment.scale(3.0)
    assert (len(deployment.pool), deployment.n_target) == (1, 3)
    clock.run(104.0 + 3.0)  # both fit on the card that is there
    assert len(deployment.pool) == 3


def test_fewer_replicas_give_their_room_back() -> None:
    clock = Clock()
    deployment = ears_of(clock, Scaling(1, 4, downscale_delay_s=60.0))
    deployment.start(3)
    clock.run(200.0)
    deployment.scale(0.5)
    assert len(deployment.pool) == 3
    clock.run(260.0)
    deployment.scale(0.5)
    assert (len(deployment.pool), deployment.n_target) == (1, 1)


def ears_of(clock: Clock, scaling: Scaling) -> Deployment[Ears]:
    fleet = Fleet(clock, most_cards=2, rent=Rent(start_s=100.0))
    cost = StageCost(load_s=3.0)
    pool: Pool[Ears] = Pool("asr", clock, random.Random(3))
    stage = StageLayout(cost, 0.3, 1.0, scaling)
    return Deployment(
        clock, fleet, pool, lambda name, card: Ears(name, card, cost), stage, scaling, 1.0,
        lambda: None,
    )  # fmt: skip


# How many there should be.


def test_more_are_wanted_only_after_the_delay_and_fewer_after_theirs() -> None:
    scaler = Scaler(Scaling(1, 8, upscale_delay_s=5.0, downscale_delay_s=60.0))
    assert scaler.decide(1, 1, 2.5, now_s=0.0) == 1
    assert scaler.decide(1, 1, 2.5, now_s=4.0) == 1
    assert scaler.decide(1, 1, 2.5, now_s=5.0) == 3
    assert scaler.decide(3, 3, 0.2, now_s=6.0) == 3
    assert scaler.decide(3, 3, 3.0, now_s=50.0) == 3  # needed again: the delay begins anew
    assert scaler.decide(3, 3, 0.2, now_s=60.0) == 3
    assert scaler.decide(3, 3, 0.2, now_s=120.0) == 1


def test_nobody_waits_for_a_delay_where_nobody_works() -> None:
    scaler = Scaler(Scaling(0, 8, downscale_delay_s=60.0, downscale_to_zero_delay_s=10.0))
    assert scaler.decide(0, 0, 0.0, now_s=0.0) == 0
    assert scaler.decide(0, 0, 0.3, now_s=1.0) == 1
    assert scaler.decide(1, 1, 0.0, now_s=20.0) == 1
    assert scaler.decide(1, 1, 0.0, now_s=30.0) == 0


def test_bounds_hold_whatever_is_needed() -> None:
    scaler = Scaler(Scaling(2, 4, upscale_delay_s=0.0, downscale_delay_s=0.0))
    assert scaler.decide(2, 2, 100.0, now_s=0.0) == 4
    assert scaler.decide(4, 4, 0.0, now_s=1.0) == 2


def test_requests_are_looked_at_over_the_look_back_period_and_told_now_and_then() -> None:
    window = Window(look_back_s=10.0, told_every_s=5.0)
    seen = [window.mean(2.0 * at_s, float(at_s)) for at_s in range(1, 31)]
    assert seen == pytest.approx([2.0] * 30)
    later = [window.mean(60.0, float(at_s)) for at_s in range(31, 47)]  # nothing new any more
    # Told at 31, 36, 41 and 46; of ten seconds nine are full at first, then four, then none.
    assert later == pytest.approx([1.8] * 5 + [0.8] * 5 + [0.0] * 6)


def test_stages_are_scaled_by_turns_as_the_graph_does_it() -> None:
    policy = Policy({"avatar": 0.5}, news_every_s=1.0)
    demands = {"avatar": Demand(4.0, 16.0), "asr": Demand(6.0, 4.0)}
    assert policy.needed(demands, n_turns=3.0, now_s=0.0) == {"avatar": 6.0, "asr": 1.5}
    assert policy.needed(demands, n_turns=9.0, now_s=0.5) == {"avatar": 6.0, "asr": 1.5}
    assert policy.needed(demands, n_turns=9.0, now_s=1.0) == {"avatar": 18.0, "asr": 1.5}
