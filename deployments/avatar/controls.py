"""The controls that a caller asks for, held against those that an engine offers."""

from collections.abc import Mapping, Sequence

from deployments.errors import EngineInputError
from deployments.types import ControlRange


def checked(offered: Sequence[ControlRange], asked: Mapping[str, float]) -> dict[str, float]:
    """All that is offered, with what was not asked for at its resting value.

    Raises:
        EngineInputError: unknown or out of range.
    """
    known = {control.name: control for control in offered}
    for name, value in asked.items():
        if name not in known:
            raise EngineInputError(f"unknown control {name!r}", stage="avatar")
        if not known[name].minimum <= value <= known[name].maximum:
            raise EngineInputError(f"control {name!r}: {value} is out of range", stage="avatar")
    return {name: asked.get(name, control.default) for name, control in known.items()}
