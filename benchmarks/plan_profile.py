"""What a profile and a cost model say, as the planner needs it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import ceil, floor
from pathlib import Path
from typing import Any

from benchmarks.plan_scaler import Scaling
from deployments.avatar.fake import FakeAvatar
from deployments.config import EncoderConfig
from deployments.cost_model import CostModel, StageCost, read_cost_model
from graph.admission import AdmissionSettings
from graph.face import TurnSettings
from graph.preflight import MODELS, LaunchOptions, filled_profile, launch_settings
from web.settings import IngressSettings

ON_CARDS = ("asr", "tts", "avatar")
"""The stages whose replicas the planner places; a language model is taken to be elsewhere."""

_ROUNDING = 1e-6

NEWS_EVERY_S = 10.0
"""How often Serve's autoscaler hears of requests. Source: Ray Serve 2.60, its default."""


@dataclass(frozen=True, slots=True)
class StageLayout:
    """``share``: of a card, for each replica; 0 where the stage needs none. ``per_card``: how many
    replicas there are for each card of the profile when it has grown to its limits."""

    cost: StageCost
    share: float
    per_card: float
    scaling: Scaling

    def most(self, n_cards: int) -> int:
        """How many replicas there may be on so many cards."""
        return max(1, ceil(self.per_card * n_cards - _ROUNDING))

    def scaling_on(self, n_cards: int) -> Scaling:
        """The profile's bounds, moved with the number of cards."""
        most = self.most(n_cards)
        return replace(
            self.scaling, min_replicas=min(self.scaling.min_replicas, most), max_replicas=most
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """A profile on the machines of a cost model."""

    profile: str
    model_name: str
    model: CostModel
    stages: Mapping[str, StageLayout]
    turn: TurnSettings
    admission: AdmissionSettings
    look_ahead_s: float
    fps: int
    frames_per_packet: int
    context_s: float
    turns_per_replica: Mapping[str, float]
    news_every_s: float

    def json(self) -> dict[str, Any]:
        return {
            "profile": self.profile,
            "cost_model": self.model_name,
            "cost_source": self.model.source,
            "replicas_per_card": {name: stage.per_card for name, stage in self.stages.items()},
            "work_s_per_speech_s": round(self.work_s_per_speech_s, 3),
        }

    def cards_at_start(self, n_cards: int) -> int:
        """How many cards the fewest replicas fill, of so many that there may be."""
        fewest = {n: (s.share, s.scaling_on(n_cards).min_replicas) for n, s in self.stages.items()}
        return min(n_cards, cards_for(fewest))

    @property
    def work_s_per_speech_s(self) -> float:
        """Of a card's time, in full batches, what is heard left out."""
        avatar, tts = self.model.avatar, self.model.tts
        batch = avatar.batch or 1
        drawn_s = avatar.draw_s(batch) * self.fps / batch if avatar.uses_gpu else 0.0
        return drawn_s + (tts.per_media_s if tts.uses_gpu else 0.0)


def read_layout(profile: str, model_name: str | None) -> Layout:
    """``profile``: a name in ``cluster/`` or a file; ``model_name``: the same in
    ``cluster/models/``, or ``None`` for the one that the profile names.

    Raises:
        ConfigError: no such profile or cost model, or a setting that cannot work.
        ValueError: a profile without a cost model, or whose replicas fit on no card.
    """
    options = LaunchOptions(profile, "127.0.0.1", 8000, 8265, Path("data"), cost_model=model_name)
    settings = launch_settings(options)
    if settings.cost_model is None:
        raise ValueError(f"the profile {profile} names no cost model; give one by --model")
    application = filled_profile(options)["applications"][0]
    args = application["args"]
    model = read_cost_model(_model_file(settings.cost_model))
    avatar = args.get("avatar", {})
    fake = FakeAvatar.Settings.model_validate(
        {k: v for k, v in (avatar.get("options") or {}).items() if k in ("fps", "context_s")}
    )
    policy = application.get("autoscaling_policy") or {}
    return Layout(
        profile=profile,
        model_name=settings.cost_model,
        model=model,
        stages=_stages(application["deployments"], model),
        turn=TurnSettings.model_validate(args.get("turn", {})),
        admission=AdmissionSettings.model_validate(args.get("admission", {})),
        look_ahead_s=IngressSettings.model_validate(args.get("ingress", {})).look_ahead_s,
        fps=fake.fps,
        frames_per_packet=EncoderConfig.model_validate(avatar.get("encoder", {})).frames_per_packet,
        context_s=fake.context_s,
        turns_per_replica=policy.get("policy_kwargs", {}).get("turns_per_replica", {}),
        news_every_s=settings.scaling_news_every_s or NEWS_EVERY_S,
    )


def _model_file(name: str) -> Path:
    return MODELS / f"{name}.yaml" if (MODELS / f"{name}.yaml").exists() else Path(name)


def _stages(deployments: list[Mapping[str, Any]], model: CostModel) -> dict[str, StageLayout]:
    """Raises:
    ValueError: the profile lacks one of the stages.
    """
    given = {one["name"]: one for one in deployments}
    if missing := [name for name in ON_CARDS if name not in given]:
        raise ValueError(f"the profile has no deployment {', '.join(missing)}")
    costs: dict[str, StageCost] = {name: getattr(model, name) for name in ON_CARDS}
    shares = {name: _share(given[name], costs[name]) for name in ON_CARDS}
    scalings = {name: _scaling(given[name]) for name in ON_CARDS}
    n_cards = cards_for({name: (shares[name], scalings[name].max_replicas) for name in ON_CARDS})
    return {
        name: StageLayout(
            costs[name], shares[name], scalings[name].max_replicas / n_cards, scalings[name]
        )
        for name in ON_CARDS
    }


def cards_for(wanted: Mapping[str, tuple[float, int]]) -> int:
    """How many cards so many replicas of such fractions fill (by stage), none on two cards."""
    together = sum(share * n for share, n in wanted.values())
    alone = [ceil(n / floor(1 / share + _ROUNDING)) for share, n in wanted.values() if share]
    return max(1, ceil(together - _ROUNDING), *alone)


def _share(deployment: Mapping[str, Any], cost: StageCost) -> float:
    """Raises:
    ValueError: a stage that uses a card and is given none.
    """
    share = float((deployment.get("ray_actor_options") or {}).get("num_gpus", 0.0))
    if cost.uses_gpu and not 0 < share <= 1:
        raise ValueError(f"{deployment['name']} uses a card: give it a fraction as num_gpus")
    return share if cost.uses_gpu else 0.0


def _scaling(deployment: Mapping[str, Any]) -> Scaling:
    given = deployment.get("autoscaling_config")
    if given is None:
        n = int(deployment.get("num_replicas", 1))
        return Scaling(min_replicas=n, max_replicas=n)
    return Scaling(**{f.name: given[f.name] for f in fields(Scaling) if f.name in given})
