"""What a profile leaves to the environment: ``${NAME}`` or ``${NAME:-default}`` in its settings.

Addresses, model names and a licence that somebody accepts are not the profile's to know. A setting
whose whole text comes out empty is left out, so that the engine's own default holds. Keys never go
this way, since Serve shows an application's settings to whoever may see its dashboard: engines read
them themselves.
"""

import re
from collections.abc import Mapping
from typing import Any

from deployments.errors import ConfigError

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Z][A-Z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def resolved(settings: Any, environment: Mapping[str, str]) -> Any:
    """The same settings with every reference replaced. An empty variable counts as unset.

    Args:
        settings: as YAML gives them.
        environment: names and values.

    Raises:
        ConfigError: a variable without a default is not set.
    """
    if isinstance(settings, dict):
        values = {key: resolved(value, environment) for key, value in settings.items()}
        return {key: value for key, value in values.items() if value != "" or not settings[key]}
    if isinstance(settings, list):
        return [resolved(value, environment) for value in settings]
    if isinstance(settings, str):
        return _REFERENCE.sub(lambda found: _value(found, environment), settings)
    return settings


def _value(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name, default = found["name"], found["default"]
    value = environment.get(name) or default
    if value is None:
        raise ConfigError(f"the profile leaves {name} to you: set it in the environment")
    return value
