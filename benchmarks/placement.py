"""What a profile puts on its cards, and whether that follows from what each stage takes of a card.

``python -m benchmarks.placement [profile]`` prints the table and one line of JSON, and fails where
the profile says something else. Memory, time and the card are those of a cost model.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import yaml

from benchmarks.machine import Machine
from benchmarks.report import finish, show, table
from deployments.cost_model import CostModel, StageCost, read_cost_model
from graph.preflight import MODELS, PROFILES

FPS = 25
QUESTION_EVERY_S = 15.0
"""Of speech, one question: the shortest answers that are planned for."""

UTILISATION = 0.9
"""Of a card's time, when its turns ask for another card."""

FACE_FRACTION = 0.334
"""More than a third: two faces on a card, so that one may be lost; a third would add nothing."""

FACES_PER_CARD = 2
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage's replicas on GPUs, as a profile asks for them."""

    name: str
    fraction: float
    n_min: int
    n_max: int
    cap_gb: float | None
    turns_per_replica: float


@dataclass(frozen=True, slots=True)
class Card:
    """What the replicas on a card leave free."""

    replicas: tuple[str, ...]
    free: float
    free_gb: float


def stages_of(config: Mapping[str, Any]) -> list[Stage]:
    """Those that ask for a GPU, in a profile as it is read from its file."""
    (application,) = config["applications"]
    turns = application["autoscaling_policy"]["policy_kwargs"]["turns_per_replica"]
    return [
        Stage(
            name=(name := one["name"]),
            fraction=one["ray_actor_options"]["num_gpus"],
            n_min=one["autoscaling_config"]["min_replicas"],
            n_max=one["autoscaling_config"]["max_replicas"],
            cap_gb=application["args"][name].get("options", {}).get("memory_gb"),
            turns_per_replica=turns[name],
        )
        for one in application["deployments"]
        if one["ray_actor_options"].get("num_gpus")
    ]


def fraction(name: str, cost: StageCost) -> float:
    """Of a card, for one replica."""
    share = ceil(cost.memory_gb / cost.gpu_memory_gb * 10_000) / 10_000  # Ray counts in these
    return max(share, FACE_FRACTION) if name == "avatar" else share


def card_s(model: CostModel) -> dict[str, float]:
    """Seconds of a card's time that a second of an answer takes, by stage."""
    drawing = FPS / max(model.avatar.frames_per_s.values())
    listening = model.asr.first_output_s / QUESTION_EVERY_S
    return {"asr": listening, "tts": model.tts.per_media_s, "avatar": drawing}


def turns_per_card(model: CostModel) -> float:
    """How many people a card answers at the same moment."""
    return UTILISATION / sum(card_s(model).values())


def cards(replicas: Sequence[tuple[str, float]], model: CostModel) -> list[Card]:
    """Where Ray puts the replicas, largest first: on the fullest card that has room."""
    filled: list[list[tuple[str, float]]] = []
    for one in sorted(replicas, key=lambda replica: -replica[1]):
        fits = [c for c in filled if _sum(c) + one[1] <= 1 + _ROUNDING]
        if fits:
            max(fits, key=_sum).append(one)
        else:
            filled.append([one])
    return [_card(card, model) for card in filled]


def faults(config: Mapping[str, Any], model: CostModel) -> Iterator[str]:
    """What in a profile does not follow from the model, each in one line."""
    for deployment in config["applications"][0]["deployments"]:
        asked = deployment["ray_actor_options"]
        uses_gpu = getattr(model, deployment["name"], StageCost()).uses_gpu
        if uses_gpu != bool(asked.get("num_gpus")):
            yield f"{deployment['name']} {'needs' if uses_gpu else 'does not need'} a GPU"
        if uses_gpu and asked.get("accelerator_type") != model.gpu:
            yield f"{deployment['name']} must ask for accelerator_type {model.gpu}"
    for stage in stages_of(config):
        yield from _stage_faults(stage, getattr(model, stage.name), model)


def _stage_faults(stage: Stage, cost: StageCost, model: CostModel) -> Iterator[str]:
    if stage.fraction != fraction(stage.name, cost):
        yield f"{stage.name}: num_gpus {stage.fraction}, not {fraction(stage.name, cost)}"
    if stage.cap_gb is not None and stage.cap_gb != cost.memory_gb:
        yield f"{stage.name}: memory_gb {stage.cap_gb}, not {cost.memory_gb}"
    carried = turns_per_card(model)
    follows = {"avatar": carried / FACES_PER_CARD, "tts": carried}
    if stage.name in follows and abs(stage.turns_per_replica - follows[stage.name]) > 0.01:
        yield f"{stage.name}: {stage.turns_per_replica} turns, not {follows[stage.name]:.2f}"


def _sum(card: Sequence[tuple[str, float]]) -> float:
    return sum(share for _, share in card)


def _card(card: Sequence[tuple[str, float]], model: CostModel) -> Card:
    taken_gb = sum(getattr(model, name).memory_gb for name, _ in card)
    names = tuple(sorted(name for name, _ in card))
    return Card(names, round(1 - _sum(card), 4), round(model.avatar.gpu_memory_gb - taken_gb, 4))


def replicas_of(stages: Sequence[Stage], *, at_most: bool) -> list[tuple[str, float]]:
    """Every replica and its fraction, of the fewest or the most that the profile allows."""
    return [
        (stage.name, stage.fraction)
        for stage in stages
        for _ in range(stage.n_max if at_most else stage.n_min)
    ]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.placement", description=__doc__)
    parser.add_argument("profile", nargs="?", default="l4", help="in cluster/ (default: l4)")
    parser.add_argument("--cost-model", default="l4-target", help="in cluster/models/")
    options = parser.parse_args()
    config = yaml.safe_load((PROFILES / f"{options.profile}.yaml").read_text())
    model = read_cost_model(MODELS / f"{options.cost_model}.yaml")
    stages, wrong = stages_of(config), list(faults(config, model))
    show(f"Replicas of {options.profile}, on {model.gpu} cards", _stage_table(stages, model))
    filled = {when: cards(replicas_of(stages, at_most=most), model) for when, most in _WHEN}
    show("Cards", _card_table(filled))
    for fault in wrong:
        print(f"error: {fault}", file=sys.stderr)
    result = {
        "profile": options.profile,
        "turns_per_card": round(turns_per_card(model), 3),
        "stages": [asdict(stage) for stage in stages],
        "cards": {when: [asdict(card) for card in found] for when, found in filled.items()},
        "faults": wrong,
    }
    finish("placement", result, Machine().facts())
    return 1 if wrong else 0


_WHEN = (("at least", False), ("at most", True))


def _stage_table(stages: Sequence[Stage], model: CostModel) -> str:
    time_s = card_s(model)
    rows = []
    for stage in stages:
        cost: StageCost = getattr(model, stage.name)
        share = cost.memory_gb / cost.gpu_memory_gb
        rows.append([
            stage.name, f"{cost.memory_gb:g}", f"{share:.4f}", f"{stage.fraction:g}",
            f"{time_s[stage.name]:.3f}", f"{stage.n_min} to {stage.n_max}",
            f"{stage.turns_per_replica:g}",
        ])  # fmt: skip
    header = ["stage", "GB", "share", "num_gpus", "card s per s", "replicas", "turns each"]
    return table(header, rows)


def _card_table(filled: Mapping[str, Sequence[Card]]) -> str:
    rows = []
    for when, found in filled.items():
        for i, card in enumerate(found, start=1):
            rows.append([when, str(i), ", ".join(card.replicas), f"{card.free:g}",
                         f"{card.free_gb:g}"])  # fmt: skip
    return table(["replicas", "card", "which", "free", "GB free"], rows)


if __name__ == "__main__":
    sys.exit(main())
