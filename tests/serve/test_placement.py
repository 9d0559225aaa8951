"""The graph on logical L4s: what fits on a card, what goes to the next one, and what fits nowhere.

Replicas are told apart by what they hold of a card's memory.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from benchmarks.chaos_faults import STAGES, Site, redeploy
from benchmarks.chaos_striker import Striker, gcs_address_of
from deployments.logical_gpu import cards
from graph.preflight import MODELS, PROFILES
from tests.callers import Callers
from tests.serving import Server, free_port, launch, running

ON_GPUS = ("asr", "tts", "avatar")
ON_A_CARD = ["asr", "avatar", "avatar", "tts", "tts"]
SENTENCE = (
    "The rain came down from the hills, and the street was so quiet that one heard the lamps. "
)
DOWN_S = 3.0
TIMEOUT_S = 150.0


def profile(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """``fake-l4`` with models that load at once."""
    config = yaml.safe_load((PROFILES / "fake-l4.yaml").read_text())
    model = yaml.safe_load((MODELS / "l4-target.yaml").read_text())
    for stage in STAGES:
        model[stage].pop("load_s", None)
    costs = folder / "costs.yaml"
    costs.write_text(yaml.safe_dump(model))
    config["x-realtime-avatar"]["cost_model"] = str(costs)
    change(config)
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def of(config: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    found = config["applications"][0]["deployments"]
    return (one for one in found if one["name"] in names)


def on_cards(server: Server) -> list[list[str]]:
    """The stages that have a replica on each card, fullest card first."""
    found = cards(server.run_folder / "gpus").values()
    held = [sorted(stage for stage, _ in card.claims()) for card in found]
    return sorted(filter(None, held), key=len, reverse=True)


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.25)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Site]]:
    """One card, and all that the profile puts on it."""
    folder = tmp_path_factory.mktemp("card")

    def change(config: dict[str, Any]) -> None:
        for one in of(config, *STAGES):
            one["graceful_shutdown_wait_loop_s"] = 0.5

    with running(profile(folder, change)) as server:
        for stage in ("tts", "avatar"):
            server.dashboard.wait_for_replicas(stage, 2)
        (ingress, *_) = server.dashboard.wait_for_replicas("ingress", 1)
        with Striker(gcs_address_of(ingress.pid), server.dashboard.token, folder) as striker:
            yield server, Site(server.url, server.dashboard, striker)


def test_one_card_holds_the_whole_graph(site: tuple[Server, Site]) -> None:
    assert on_cards(site[0]) == [ON_A_CARD]


def test_a_new_version_takes_the_places_of_the_old_one_and_cuts_no_answer(
    site: tuple[Server, Site],
) -> None:
    """The card is full, so that there is no room beside the old version."""
    server, struck = site
    before = {name: set(server.dashboard.replicas(name)) for name in STAGES}
    callers = Callers(server.url, 2, SENTENCE.strip())
    strike = redeploy(struck)
    assert strike.n_in_flight > 0
    assert strike.back_after_s is not None, strike.note
    callers.check_answers()
    for name, old in before.items():
        assert not old & set(server.dashboard.replicas(name))
    assert on_cards(server) == [ON_A_CARD]


@pytest.fixture(scope="module")
def two_cards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two cards, whose stages come and go sooner than in earnest, and sleep when nobody asks."""

    def change(config: dict[str, Any]) -> None:
        config["x-realtime-avatar"]["sleep_after_s"] = DOWN_S
        for one in of(config, *ON_GPUS):
            one["autoscaling_config"]["downscale_delay_s"] = DOWN_S

    folder = tmp_path_factory.mktemp("cards")
    with running(profile(folder, change), LOGICAL_GPUS="2") as server:
        yield server


def test_more_callers_bring_the_next_card_and_nobody_is_cut_when_it_goes(two_cards: Server) -> None:
    always = Callers(two_cards.url, 1, SENTENCE.strip(), again=True)
    others = Callers(two_cards.url, 2, SENTENCE.strip(), again=True)
    two_cards.dashboard.wait_for_replicas("avatar", 4, timeout_s=TIMEOUT_S)
    assert [stages.count("avatar") for stages in on_cards(two_cards)] == [2, 2]
    others.check_answers()
    wait_until(lambda: len(two_cards.dashboard.replicas("avatar")) <= 2)
    always.check_answers()


def test_a_stage_sleeps_when_nobody_asks_and_wakes_for_who_asks_then(two_cards: Server) -> None:
    wait_until(lambda: on_cards(two_cards) == [])
    assert httpx.get(f"{two_cards.url}/health").json()["status"] == "ready"
    Callers(two_cards.url, 1, SENTENCE.strip()).check_answers()


def test_what_fits_nowhere_is_one_line_within_seconds(tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        for one in of(config, "avatar"):
            one["autoscaling_config"].update(min_replicas=6, max_replicas=6)

    process = launch(
        PROFILE=str(profile(tmp_path, change)),
        PORT=str(free_port()),
        DASHBOARD_PORT=str(free_port()),
        DATA_DIR=str(tmp_path / "data"),
    )
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert output.splitlines() == [
        "Starting Ray ...",
        "error: the profile does not fit here: the replicas want 2.317 GPU together (1 x asr "
        "0.0625, 2 x tts 0.125, 6 x avatar 0.334), and the cluster has 1 GPU. To do: take 3 of "
        "them (simulated ones: LOGICAL_GPUS=3)",
    ]
