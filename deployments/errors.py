"""The error tree.

    AvatarError(message, *, stage="", turn_id=None, retryable=False)
    ├── ConfigError                wrong settings; raised before anything starts
    ├── ProtocolError              the client sent what the wire does not allow
    ├── UnusableInputError         well formed, but cannot be answered: `code` says why
    ├── TurnRefusedError           no room for one more turn; `predicted_wait_s` says until when
    └── StageError
        ├── EngineLoadError        weights, driver or memory missing; the replica reports unhealthy
        ├── EngineInputError       wrong shape, rate or empty text; our bug, never retried
        ├── UnknownPortraitError   to this replica: the call is to be repeated with the picture
        ├── EngineRuntimeError     the model raised; its type and text are in the message
        │   └── ReplyBlockedError  a language model must not answer this; another one may
        ├── StageTimeoutError      no output in time; retryable
        └── StageOverloadedError   queue full or no replica; retryable

Errors cross between Serve replicas by pickle, which is why everything but the message is
keyword-only with a default: `__reduce__` gives the message to the constructor and the fields back
as state. A cause does not survive pickling, so what it said must be in the message.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar


class AvatarError(Exception):
    """Anything this project raises on purpose. ``message`` is safe to show to a user.

    ``retryable`` says whether the same call may succeed elsewhere or later; where it is not
    given, the class decides.
    """

    usually_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str = "",
        *,
        stage: str = "",
        turn_id: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.turn_id = turn_id
        self.retryable = self.usually_retryable if retryable is None else retryable

    def __reduce__(self) -> tuple[type["AvatarError"], tuple[str], dict[str, Any]]:
        return type(self), (self.message,), self.__dict__


class ConfigError(AvatarError):
    """Settings that cannot work; says which and what to write instead."""


class _CodedError(AvatarError):
    """Carries ``code``, the interface's error code, as an attribute."""

    usual_code: ClassVar[str]

    def __init__(self, message: str = "", *, code: str | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.code = self.usual_code if code is None else code


class ProtocolError(_CodedError):
    """The client sent what the interface does not allow."""

    usual_code = "bad_request"


class UnusableInputError(_CodedError):
    """Input that decodes but cannot be answered, such as silence."""

    usual_code = "invalid_value"


class TurnRefusedError(AvatarError):
    """One more turn would make others late. ``predicted_wait_s``: until there is room."""

    usually_retryable = True

    def __init__(self, message: str = "", *, predicted_wait_s: float = 0.0, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.predicted_wait_s = predicted_wait_s


class StageError(AvatarError):
    """A stage could not do its work."""


class EngineLoadError(StageError):
    """Weights, a library, a driver or memory are missing; retryable where another replica may have
    them."""


class EngineInputError(StageError):
    """An engine was called with what its Protocol forbids: our bug."""


class UnknownPortraitError(StageError):
    """This replica has no such portrait (any more). The same call with its picture attached
    succeeds; as long as that is not there, no other replica helps either."""


class EngineRuntimeError(StageError):
    """The model raised."""


class ReplyBlockedError(EngineRuntimeError):
    """A language model's provider forbids an answer to what was said."""


class StageTimeoutError(StageError):
    """A stage gave no output in time."""

    usually_retryable = True


class StageOverloadedError(StageError):
    """A stage's queue is full, or it has no replica."""

    usually_retryable = True


@contextmanager
def engine_errors(stage: str) -> Iterator[None]:
    """Whatever a model's library raises becomes one kind, with its own words in the message."""
    try:
        yield
    except AvatarError:
        raise
    except Exception as error:
        text = f"the {stage} engine failed: {type(error).__name__}: {error}"
        raise EngineRuntimeError(text, stage=stage, retryable=True) from error
