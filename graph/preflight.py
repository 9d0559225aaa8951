"""A profile as the launcher fills it in; what cannot work is one line that says what to do."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from deployments.config import Settings
from deployments.cost_model import STAGES, read_cost_model
from deployments.errors import ConfigError
from deployments.registry import ENGINES
from graph.cards import check_logical, let_grow, let_sleep
from graph.config import AppConfig, read_config
from graph.transport import Transport, has_haproxy
from graph.variables import resolved
from web.settings import is_loopback

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ROOT / "cluster"
MODELS = PROFILES / "models"


LAUNCH_KEY = "x-realtime-avatar"
"""Of a profile, beside what is Serve's: what the launcher needs. Serve never sees it."""


class LaunchSettings(Settings):
    """What a profile says to the launcher under ``x-realtime-avatar``."""

    logical_gpus: int = Field(default=0, ge=0)  # declared to Ray for fakes; 0: what Ray finds
    gpu_type: str = "L4"
    transport: Transport = "default"
    cost_model: str | None = None  # of the fakes: a name in cluster/models, or a file
    ready_timeout_s: float = Field(default=180.0, gt=0)
    # Stages on GPUs have no replica when nobody has asked for so long; None: they stay.
    sleep_after_s: float | None = Field(default=None, gt=0)
    # How often Serve's autoscaler hears of its replicas; None: Serve's own 10 s.
    scaling_news_every_s: float | None = Field(default=None, gt=0)


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """What whoever starts the server may choose. ``None``: as the profile says."""

    profile: str
    host: str
    port: int
    dashboard_port: int
    data_dir: Path
    tls_cert: Path | None = None
    tls_key: Path | None = None
    api_keys_file: Path | None = None
    logical_gpus: int | None = None
    transport: str | None = None
    cost_model: str | None = None


def profile_names() -> list[str]:
    """The profiles there are: one Serve configuration each."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def serve_config(options: LaunchOptions) -> dict[str, Any]:
    """The profile's Serve configuration with the launch options filled in.

    Raises:
        ConfigError: no such profile, a setting that cannot work, or a host without keys.
    """
    config = filled_profile(options)
    args = config["applications"][0]["args"]
    if (cost_model := launch_settings(options).cost_model) is not None:
        _tell_costs(args, cost_model)
    _check_engines(options.profile, args)
    read_config(args)
    return config


def profile_config(options: LaunchOptions) -> AppConfig:
    """The settings of the profile's graph.

    Raises:
        ConfigError: as ``serve_config``.
    """
    return read_config(serve_config(options)["applications"][0]["args"])


def filled_profile(
    options: LaunchOptions, environment: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """The same, not yet checked: its files may be those of another machine.

    Args:
        options: of whoever starts the server.
        environment: what the profile leaves to it (``graph.variables``).

    Raises:
        ConfigError: no such profile, or a variable that must be set.
    """
    config = _read_profile(_profile_file(options.profile))
    own, chosen = _settings(config, {}), launch_settings(options)
    del config[LAUNCH_KEY]
    application = config["applications"][0]
    application["args"] = resolved(application.get("args") or {}, environment)
    _place(application, own, chosen)
    http = config.setdefault("http_options", {})
    http.update(host=options.host, port=options.port)
    if options.tls_cert is not None and options.tls_key is not None:
        http.update(
            ssl_certfile=str(options.tls_cert.resolve()), ssl_keyfile=str(options.tls_key.resolve())
        )
    ingress = application["args"].setdefault("ingress", {})
    ingress.update(host=options.host, data_dir=str(options.data_dir.resolve()))
    if options.api_keys_file is not None:
        ingress["api_keys_file"] = str(options.api_keys_file.resolve())
    return config


def _tell_costs(args: dict[str, Any], name: str) -> None:
    """The profile's fakes are told what their stages cost by the cost model.

    Raises:
        ConfigError: no such cost model, or nobody who could be told.
    """
    model = read_cost_model(_model_file(name))
    fakes = [s for s in STAGES if isinstance(args.get(s), dict) and args[s].get("engine") == "fake"]
    if not fakes:
        raise ConfigError(f"the cost model {name} is for fakes, and the profile has none")
    for stage in fakes:
        cost = getattr(model, stage).model_dump(mode="json", exclude_defaults=True)
        args[stage]["options"] = {**(args[stage].get("options") or {}), "cost": cost}


def _model_file(name: str) -> Path:
    """A cost model is a name in ``cluster/models/``, or the path of a file of one's own."""
    known = sorted(path.stem for path in MODELS.glob("*.yaml"))
    if name in known:
        return MODELS / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")) and Path(name).is_file():
        return Path(name)
    raise ConfigError(
        f"unknown cost model {name!r}; COST_MODEL can be a YAML file, or: {', '.join(known)}"
    )


def _place(application: dict[str, Any], own: LaunchSettings, chosen: LaunchSettings) -> None:
    """The stages on as many cards as were chosen; ``own``: what the profile was written for."""
    if chosen.logical_gpus:
        check_logical(application)
        if own.logical_gpus:
            let_grow(application, chosen.logical_gpus / own.logical_gpus)
    if chosen.sleep_after_s is not None:
        let_sleep(application, chosen.sleep_after_s)
    if chosen.scaling_news_every_s is not None:
        _hear_often(application["deployments"], chosen.scaling_news_every_s)


def _hear_often(deployments: list[dict[str, Any]], every_s: float) -> None:
    """Ray 2.60 calls this setting deprecated, yet does not read the variables it names instead: by
    default a replica tells the autoscaler every ten seconds how much there is to do."""
    for deployment in deployments:
        if (scaling := deployment.get("autoscaling_config")) is not None:
            scaling.setdefault("metrics_interval_s", every_s)


def _check_engines(profile: str, args: Mapping[str, Any]) -> None:
    """Engines that a profile foresees and nobody has written yet, all in one line.

    Raises:
        ConfigError: there are several; of a single one the registry says more.
    """
    chosen = [(s, args[s].get("engine")) for s in STAGES if isinstance(args.get(s), dict)]
    missing = [f"{s} {name}" for s, name in chosen if name and (s, name) not in ENGINES]
    if len(missing) > 1:
        text = f"this build does not have the engines of the profile {profile!r}"
        raise ConfigError(f"{text}: {', '.join(missing)}; PROFILE=fake-l4 simulates them")


def launch_settings(options: LaunchOptions) -> LaunchSettings:
    """What the profile says to the launcher; the launch options win.

    Raises:
        ConfigError: no such profile, or a setting that cannot work.
    """
    names = ("logical_gpus", "transport", "cost_model")
    chosen = {n: value for n in names if (value := getattr(options, n)) is not None}
    return _settings(_read_profile(_profile_file(options.profile)), chosen)


def _settings(config: Mapping[str, Any], chosen: Mapping[str, Any]) -> LaunchSettings:
    try:
        return LaunchSettings.model_validate({**config[LAUNCH_KEY], **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([LAUNCH_KEY, *(str(part) for part in first["loc"])])
        raise ConfigError(f"the profile's {where}: {first['msg']}") from None


def _profile_file(profile: str) -> Path:
    """A profile is a name in ``cluster/``, or the path of a file of one's own."""
    if profile in profile_names():
        return PROFILES / f"{profile}.yaml"
    if profile.endswith((".yaml", ".yml")) and Path(profile).is_file():
        return Path(profile)
    known = ", ".join(profile_names())
    raise ConfigError(f"unknown profile {profile!r}; PROFILE can be a YAML file, or: {known}")


def _read_profile(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = yaml.safe_load(path.read_text())
        if config["applications"][0]["import_path"] != "graph.app:build":
            raise ValueError
        config[LAUNCH_KEY] = dict(config.get(LAUNCH_KEY) or {})
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ConfigError(f"the profile {path.name}{line} is not YAML") from None
    except (KeyError, IndexError, TypeError, ValueError):
        text = f"the profile {path.name} is no Serve configuration of graph.app:build"
        raise ConfigError(f"{text}; compare it with cluster/embedded.yaml") from None
    return config


def wants_haproxy(options: LaunchOptions, settings: LaunchSettings) -> bool:
    """Whether HAProxy stands in front of the server that is to be started."""
    return has_haproxy(
        settings.transport,
        is_loopback=is_loopback(options.host),
        is_tls=options.tls_cert is not None,
    )
