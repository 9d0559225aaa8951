"""The error tree.

    AvatarError(message, *, stage="", turn_id=None, retryable=False)
    ├── ConfigError                wrong settings; raised before anything starts
    ├── ProtocolError              the client sent what the wire does not allow
    ├── UnusableInputError         well formed, but cannot be answered: `code` says why
    └── StageError
        ├── EngineLoadError        weights, driver or memory missing; the replica reports unhealthy
        ├── EngineInputError       wrong shape, rate or empty text; our bug, never retried
        ├── EngineRuntimeError     the model raised; its type and text are in the message
        ├── StageTimeoutError      no output in time; retryable
        └── StageOverloadedError   queue full or no replica; retryable

Errors cross between Serve replicas by pickle, which is why everything but the message is
keyword-only with a default: `__reduce__` gives the message to the constructor and the fields back
as state. A cause does not survive pickling, so what it said must be in the message.
"""

from typing import Any


class AvatarError(Exception):
    """Anything this project raises on purpose. ``message`` is safe to show to a user."""

    def __init__(
        self,
        message: str = "",
        *,
        stage: str = "",
        turn_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.turn_id = turn_id
        self.retryable = retryable

    def __reduce__(self) -> tuple[type["AvatarError"], tuple[str], dict[str, Any]]:
        return type(self), (self.message,), self.__dict__


class ConfigError(AvatarError):
    """Settings that cannot work; says which and what to write instead."""


class ProtocolError(AvatarError):
    """The client sent what the interface does not allow; ``code`` is the interface's error code."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "bad_request",
        stage: str = "",
        turn_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, stage=stage, turn_id=turn_id, retryable=retryable)
        self.code = code


class UnusableInputError(AvatarError):
    """Input that decodes but cannot be answered, such as silence; ``code`` as in the interface."""

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "invalid_value",
        stage: str = "",
        turn_id: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message, stage=stage, turn_id=turn_id, retryable=retryable)
        self.code = code


class StageError(AvatarError):
    """A stage could not do its work."""


class EngineLoadError(StageError):
    """Weights, a library, a driver or memory are missing."""


class EngineInputError(StageError):
    """An engine was called with what its Protocol forbids: our bug."""


class EngineRuntimeError(StageError):
    """The model raised."""


class StageTimeoutError(StageError):
    """A stage gave no output in time."""

    def __init__(
        self,
        message: str = "",
        *,
        stage: str = "",
        turn_id: str | None = None,
        retryable: bool = True,
    ) -> None:
        super().__init__(message, stage=stage, turn_id=turn_id, retryable=retryable)


class StageOverloadedError(StageError):
    """A stage's queue is full, or it has no replica."""

    def __init__(
        self,
        message: str = "",
        *,
        stage: str = "",
        turn_id: str | None = None,
        retryable: bool = True,
    ) -> None:
        super().__init__(message, stage=stage, turn_id=turn_id, retryable=retryable)
