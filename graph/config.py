"""The settings of the whole graph, as a profile's ``args`` write them."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from deployments.config import (
    AsrConfig,
    AvatarConfig,
    LlmConfig,
    Settings,
    TtsConfig,
    VadConfig,
)
from deployments.errors import ConfigError
from deployments.registry import check_options, engine_class
from graph.admission import AdmissionSettings
from graph.face import TurnSettings
from web.keys import read_hashes
from web.settings import IngressSettings, check_exposure


class AppConfig(Settings):
    """What a profile may set; a misspelt key fails before anything starts."""

    vad: VadConfig = VadConfig()
    asr: AsrConfig = AsrConfig()
    llm: LlmConfig = LlmConfig()
    tts: TtsConfig = TtsConfig()
    avatar: AvatarConfig = AvatarConfig()
    turn: TurnSettings = TurnSettings()
    admission: AdmissionSettings = AdmissionSettings()
    ingress: IngressSettings = IngressSettings()


def read_config(args: Mapping[str, Any]) -> AppConfig:
    """The profile's ``args``, checked.

    Raises:
        ConfigError: the first thing that cannot work, in one line.
    """
    try:
        config = AppConfig.model_validate(args)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"the profile's {where}: {first['msg']}") from None
    check_config(config)
    return config


def check_config(config: AppConfig) -> None:
    """What the types alone cannot tell.

    Raises:
        ConfigError: an engine, an option or an address that cannot work.
    """
    for stage in ("vad", "asr", "llm", "tts", "avatar"):
        chosen = getattr(config, stage)
        check_options(stage, chosen.engine, chosen.options)
    _check_patience(config.llm)
    check_exposure(config.ingress.host, config.ingress.api_keys_file)
    if config.ingress.api_keys_file is not None:
        read_hashes(config.ingress.api_keys_file)


def _check_patience(llm: LlmConfig) -> None:
    """A chain's last engine has its time before the graph gives all of them up.

    Raises:
        ConfigError: it has not.
    """
    if llm.engine != "chain":
        return
    patience_s = engine_class("llm", "chain").Settings.model_validate(llm.options).patience_s
    if patience_s >= llm.first_output_timeout_s:
        raise ConfigError(
            f"the engines of the chain may take {patience_s:g} s together to begin, and "
            f"llm.first_output_timeout_s is {llm.first_output_timeout_s:g}: raise that",
            stage="llm",
        )
