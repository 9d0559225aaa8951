"""The graph as one Ray Serve application: reads settings, binds deployments, decides nothing.

Resources and scaling of each deployment are in the profile (``cluster/<profile>.yaml``), under the
names given here.
"""

from ray import serve
from ray.serve import Application
from web.ingress import Ingress

from deployments.asr.deployment import Asr
from deployments.avatar.deployment import Avatar
from deployments.config import (
    AsrConfig,
    AvatarConfig,
    LlmConfig,
    Settings,
    TtsConfig,
    VadConfig,
)
from deployments.llm.deployment import Llm
from deployments.registry import check_options
from deployments.tts.deployment import Tts
from graph.turn import TurnSettings
from web.settings import IngressSettings, check_exposure


class AppConfig(Settings):
    """What a profile may set; a misspelt key fails when the graph is built."""

    vad: VadConfig = VadConfig()
    asr: AsrConfig = AsrConfig()
    llm: LlmConfig = LlmConfig()
    tts: TtsConfig = TtsConfig()
    avatar: AvatarConfig = AvatarConfig()
    turn: TurnSettings = TurnSettings()
    ingress: IngressSettings = IngressSettings()


def build(config: AppConfig) -> Application:
    """The whole graph behind its HTTP interface.

    Raises:
        ConfigError: an engine, an option or an address that cannot work.
    """
    for stage in ("vad", "asr", "llm", "tts", "avatar"):
        chosen = getattr(config, stage)
        check_options(stage, chosen.engine, chosen.options)
    check_exposure(config.ingress.host, config.ingress.api_keys_file)
    return serve.deployment(Ingress, name="ingress").bind(
        config.model_dump(mode="json"),
        serve.deployment(Asr, name="asr").bind(config.asr),
        serve.deployment(Llm, name="llm").bind(config.llm),
        serve.deployment(Tts, name="tts").bind(config.tts),
        serve.deployment(Avatar, name="avatar").bind(config.avatar),
    )
