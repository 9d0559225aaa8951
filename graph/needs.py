"""What the engines of a profile cannot do without: weights, keys, an accepted licence."""

from collections.abc import Iterator
from typing import Any

from deployments.errors import AvatarError, ConfigError
from deployments.llm.chain import ChainLlm
from deployments.registry import ForeseesRefusal, check_options, engine_class
from deployments.weights import ModelNeed, NeedsModels, model_problem
from graph.config import AppConfig

_STAGES = ("vad", "asr", "llm", "tts", "avatar")


def profile_needs(config: AppConfig) -> list[ModelNeed]:
    """The weights that a profile needs, each once, in the order of the stages.

    Raises:
        ConfigError: an engine cannot say, in its words.
    """
    needs: dict[str, ModelNeed] = {}
    for stage in _STAGES:
        for cls, settings in stage_engines(stage, config):
            for need in _needs(cls, settings):
                if needs.setdefault(need.name, need) != need:
                    raise ConfigError(f"two engines of the profile need models named {need.name}")
    return list(needs.values())


def check_needs(config: AppConfig, profile: str) -> list[str]:
    """What is missing that somebody else stands in for, each in one line: of a chain, what its
    engines lack that come before the first that lacks nothing.

    Args:
        config: of the whole graph.
        profile: as `make models` would be told it.

    Raises:
        ConfigError: what nobody stands in for, each in one line.
    """
    missing = [problem for need in profile_needs(config) if (problem := model_problem(need))]
    problems = [f"{problem}; run: make models PROFILE={profile}" for problem in missing]
    warnings: list[str] = []
    for stage in _STAGES:
        lacking, is_answered = _lacking(stage, config)
        (warnings if is_answered else problems).extend(lacking)
    if problems:
        raise ConfigError("\n".join(problems))
    return warnings


def _lacking(stage: str, config: AppConfig) -> tuple[list[str], bool]:
    """What its engines lack in their order, and whether one comes that lacks nothing."""
    lacking: list[str] = []
    for cls, settings in stage_engines(stage, config):
        lack = cls.lacks(settings) if isinstance(cls, ForeseesRefusal) else ""
        if not lack:
            return lacking, True
        lacking.append(lack)
    return lacking, False


def stage_engines(stage: str, config: AppConfig) -> Iterator[tuple[Any, Any]]:
    """The classes and settings of a stage's engines; of a chain those in it, the best one first."""
    chosen = getattr(config, stage)
    cls, settings = _read(stage, chosen.engine, chosen.options)
    if isinstance(settings, ChainLlm.Settings):
        for link in settings.engines:
            yield _read(stage, link.engine, link.options)
    else:
        yield cls, settings


def _read(stage: str, name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    check_options(stage, name, options)
    cls = engine_class(stage, name)
    return cls, cls.Settings.model_validate(options)


def _needs(cls: Any, settings: Any) -> tuple[ModelNeed, ...]:
    if not isinstance(cls, NeedsModels):
        return ()
    try:
        return cls.models(settings)
    except AvatarError as error:
        raise ConfigError(error.message) from None
