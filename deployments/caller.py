"""On whose behalf work is done: ids that travel with every call and stand in every line logged.

Ids only. What users say is in no log.
"""

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType

from deployments.types import Effort


@dataclass(frozen=True, slots=True)
class Caller:
    """A request, and the turn and session that it belongs to; empty where there is none."""

    request_id: str = ""
    turn_id: str = ""
    session_id: str = ""

    def fields(self) -> dict[str, str]:
        """Those of the ids that there are, by name."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in named.items() if value}


NOBODY = Caller()

CALLER: ContextVar[Caller] = ContextVar("caller", default=NOBODY)
"""Of the task at hand; the tasks that it starts inherit it."""


class _WithCaller(logging.Filter):
    """Gives each record the ids as fields of its own, which Serve's JSON lines show."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in CALLER.get().fields().items():
            setattr(record, name, value)
        return True


_WITH_CALLER = _WithCaller()


def logger_of(name: str) -> logging.Logger:
    """The logger of that name, whose lines say for whom they were written."""
    logger = logging.getLogger(name)
    logger.addFilter(_WITH_CALLER)  # a filter that is there already is not added again
    return logger


# Below Serve's own logger, so that a replica's lines go where Serve's go, under the same settings.
_CALLS = logger_of("ray.serve.avatar")


@dataclass(slots=True)
class Call:
    """One call of a stage: a block of code, and what it has made so far.

    Who is called on nobody's behalf (to warm up, to draw the silent face) logs nothing.
    """

    stage: str
    caller: Caller
    now: Callable[[], float] = time.perf_counter
    _began_s: float = 0.0
    _first_s: float | None = None
    _efforts: list[Effort] = field(default_factory=list)
    _n_outputs: int = 0

    def __enter__(self) -> "Call":
        if self.caller != NOBODY:
            CALLER.set(self.caller)  # a replica's call is a task of its own; nothing follows it
        self._began_s = self.now()
        return self

    def made(self, effort: Effort | None = None) -> None:
        """One more output is about to leave, and what it took, where that is known."""
        if self._first_s is None:
            self._first_s = self.now()
        self._n_outputs += 1
        if effort is not None:
            self._efforts.append(effort)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.caller != NOBODY and _CALLS.isEnabledFor(logging.INFO):
            outcome = _outcome(error)
            _CALLS.info("%s call: %s", self.stage, outcome, extra=self._facts(outcome))

    def _facts(self, outcome: str) -> dict[str, object]:
        """What the line says beside the ids. ``busy_ms`` is the engine's own time."""
        facts: dict[str, object] = {
            "stage": self.stage,
            "outcome": outcome,
            "n_outputs": self._n_outputs,
            "took_ms": _ms(self.now() - self._began_s),
        }
        if self._first_s is not None:
            facts["first_output_ms"] = _ms(self._first_s - self._began_s)
        if self._efforts:
            facts["busy_ms"] = _ms(sum(effort.busy_s for effort in self._efforts))
            facts["media_s"] = round(sum(effort.media_s for effort in self._efforts), 3)
        return facts


def _outcome(error: BaseException | None) -> str:
    """``finished``, ``cancelled`` or the name of what was raised; never what it says."""
    if error is None:
        return "finished"
    return type(error).__name__ if isinstance(error, Exception) else "cancelled"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
