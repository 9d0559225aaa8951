"""The graph as one Ray Serve application: reads settings, binds deployments, decides nothing.

Resources and scaling of each deployment are in the profile (``cluster/<profile>.yaml``), under the
names given here.
"""

from ray import serve
from ray.serve import Application

from deployments.asr.deployment import Asr
from deployments.avatar.deployment import Avatar
from deployments.llm.deployment import Llm
from deployments.tts.deployment import Tts
from graph.config import AppConfig, check_config
from graph.gatekeeper import Gatekeeper, GatekeeperConfig
from graph.instruments import batch_observer, llm_observer
from graph.router import AVOIDING
from web.ingress import Ingress


def build(config: AppConfig) -> Application:
    """The whole graph behind its HTTP interface.

    Raises:
        ConfigError: an engine, an option or an address that cannot work.
    """
    check_config(config)
    return serve.deployment(name="ingress")(Ingress).bind(
        config.model_dump(mode="json"),
        serve.deployment(name="asr", request_router_config=AVOIDING)(Asr).bind(config.asr),
        serve.deployment(name="llm", request_router_config=AVOIDING)(Llm).bind(
            config.llm, llm_observer
        ),
        serve.deployment(name="tts", request_router_config=AVOIDING)(Tts).bind(config.tts),
        serve.deployment(name="avatar", request_router_config=AVOIDING)(Avatar).bind(
            config.avatar, batch_observer
        ),
        serve.deployment(name="admission")(Gatekeeper).bind(
            GatekeeperConfig(admission=config.admission, look_ahead_s=config.ingress.look_ahead_s)
        ),
    )
