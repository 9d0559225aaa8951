"""A profile for more cards than it was written for, for none while nobody asks, or on logical ones.

Pure: works on a Serve application as a profile writes it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from deployments.errors import ConfigError

_FAKE = "fake"
_LOAD_S = 60.0  # whoever wakes a stage waits so long for it at most


def on_gpus(application: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The deployments that ask for a GPU."""
    for deployment in application.get("deployments", ()):
        if deployment.get("ray_actor_options", {}).get("num_gpus"):
            yield deployment


def let_grow(application: Mapping[str, Any], times: float) -> None:
    """Let the stages on GPUs have so many times the replicas at most; as few as before."""
    for deployment in on_gpus(application):
        scaling = deployment.get("autoscaling_config")
        if scaling is not None:
            n = max(scaling.get("min_replicas", 1), int(scaling["max_replicas"] * times))
            deployment["autoscaling_config"] = {**scaling, "max_replicas": n}


def let_sleep(application: Mapping[str, Any], after_s: float) -> None:
    """No replica of the stages on GPUs when nobody has asked for ``after_s``; whoever asks then
    waits until they are loaded."""
    for deployment in on_gpus(application):
        sleeping = {"min_replicas": 0, "initial_replicas": 0, "downscale_to_zero_delay_s": after_s}
        deployment["autoscaling_config"] = {**deployment["autoscaling_config"], **sleeping}
        stage = application["args"][deployment["name"]]
        stage["first_output_timeout_s"] = max(_LOAD_S, stage.get("first_output_timeout_s", 0.0))


def check_logical(application: Mapping[str, Any]) -> None:
    """Logical GPUs are for fakes: a real engine would look for a card that is not there.

    Raises:
        ConfigError: a stage on a GPU has a real engine.
    """
    for deployment in on_gpus(application):
        name = deployment["name"]
        engine = application.get("args", {}).get(name, {}).get("engine")
        if engine != _FAKE:
            text = f"LOGICAL_GPUS is for fakes, and the {name} of this profile is {engine!r}"
            raise ConfigError(f"{text}; without it Ray counts the real GPUs")
