"""One call through a Serve handle, the same whichever transport carries it (``graph.transport``).

What the two do differently is settled here: Ray's own transport wraps what a replica raised, gRPC
brings it bare and has errors of its own; and in throughput mode Serve stops a call whose replica
is known only if somebody has begun to read it.

Source: Ray Serve 2.60, ``handle.py`` and ``_private/replica_result.py``.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from grpc import RpcError  # type: ignore[import-untyped]
from ray.exceptions import RayError, RayTaskError
from ray.serve._private.utils import generate_request_id
from ray.serve.context import _set_request_context
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.errors import AvatarError, EngineRuntimeError, StageOverloadedError


class Call:
    """A call that has begun, under an id of its own; ``response`` is Serve's.

    Serve gives every call that is made while a request is answered the id of that request. So a
    turn's calls, which are many at a time, could not be told apart by the router and
    ``graph.replicas``.
    """

    def __init__(self, method: DeploymentHandle[Any], *args: Any) -> None:
        self.id: str = generate_request_id()
        self.response: Any = copy_context().run(self._begin, method, args)

    def cancel(self) -> None:
        """Stop it at its source; harmless when it has ended."""
        self.response.cancel()
        if self.response._replica_result is not None:
            return  # cancelled just now
        assigned = self.response._replica_result_future
        if assigned.done() and not assigned.cancelled() and assigned.exception() is None:
            assigned.result().cancel()

    def _begin(self, method: DeploymentHandle[Any], args: tuple[Any, ...]) -> Any:
        _set_request_context(_internal_request_id=self.id)
        return method.remote(*args)


@contextmanager
def our_errors(stage: str) -> Iterator[None]:
    """Whatever a call raises becomes one of our types; that the caller gives it up stays so.

    Raises:
        AvatarError: as the replica raised it.
        EngineRuntimeError: for anything else that it raised, and for a replica that is lost.
        StageOverloadedError: no room in the stage's queue.
    """
    try:
        yield
    except RayTaskError as error:
        raise _raised_there(error.cause, stage) from None
    except BackPressureError as error:
        raise StageOverloadedError(f"the {stage} stage's queue is full", stage=stage) from error
    except (RayError, RayServeException, RpcError) as error:
        raise _lost(type(error).__name__, stage) from error
    except asyncio.CancelledError as error:
        if _is_given_up():
            raise
        raise _lost("it cancelled the call", stage) from error
    except Exception as error:
        raise _raised_there(error, stage) from None


def _raised_there(cause: Exception, stage: str) -> AvatarError:
    if isinstance(cause, AvatarError):
        return cause
    text = f"the {stage} stage failed: {type(cause).__name__}: {cause}"
    return EngineRuntimeError(text, stage=stage, retryable=True)


def _lost(how: str, stage: str) -> EngineRuntimeError:
    text = f"a replica of the {stage} stage was lost: {how}"
    return EngineRuntimeError(text, stage=stage, retryable=True)


def _is_given_up() -> bool:
    """Whether it is this task that is cancelled, and not the call at the other end."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
