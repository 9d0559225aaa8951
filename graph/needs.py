"""Which weights the engines of a profile need."""

from typing import Any

from deployments.errors import AvatarError, ConfigError
from deployments.registry import check_options, engine_class
from deployments.weights import ModelNeed, NeedsModels
from graph.config import AppConfig

_STAGES = ("vad", "asr", "llm", "tts", "avatar")


def profile_needs(config: AppConfig) -> list[ModelNeed]:
    """Each model once, in the order of the stages.

    Raises:
        ConfigError: an engine cannot say, in its words.
    """
    needs: dict[str, ModelNeed] = {}
    for stage in _STAGES:
        chosen = getattr(config, stage)
        for need in _engine_needs(stage, chosen.engine, chosen.options):
            if needs.setdefault(need.name, need) != need:
                raise ConfigError(f"two engines of the profile need different models {need.name}")
    return list(needs.values())


def _engine_needs(stage: str, name: str, options: dict[str, Any]) -> tuple[ModelNeed, ...]:
    check_options(stage, name, options)
    cls = engine_class(stage, name)
    settings = cls.Settings.model_validate(options)
    if not isinstance(cls, NeedsModels):
        return ()
    try:
        return cls.models(settings)
    except AvatarError as error:
        raise ConfigError(error.message) from None
