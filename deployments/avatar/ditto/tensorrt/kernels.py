"""Kernels that TensorRT for RTX compiles where a plan runs, for its card and the sizes it meets.

All contexts share them, and they are kept beside the plans for the next start. TensorRT's own plans
have their kernels in them.
"""

from collections.abc import Mapping
from typing import Any

from deployments.avatar.ditto.kept import Kept

_NAME = "kernels"


class Kernels:
    """Those of the library ``trt``, kept in ``kept`` under ``made_of``."""

    def __init__(self, trt: Any, kept: Kept, made_of: Mapping[str, Any]) -> None:
        self.trt = trt
        self._kept, self._made_of = kept, made_of
        self._cache: Any = None
        self._stored = b""

    def new_context(self, engine: Any) -> Any:
        """Something that runs ``engine`` on memory that it is given.

        What its sizes need is compiled before the first run with them, since a recording would
        otherwise hold on to the slow kernels in their place.
        """
        given = self.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if self.trt.__name__ != "tensorrt_rtx":
            return engine.create_execution_context(given)
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(given)
        eager = self.trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        self._cache = self._cache or self._new_cache(config)
        config.set_runtime_cache(self._cache)
        return engine.create_execution_context(config)

    def keep(self) -> None:
        """For the next start, what is there by now.

        Raises:
            EngineLoadError: there is no room, or no right to write.
        """
        if self._cache is None:
            return
        content = bytes(memoryview(self._cache.serialize()))
        if content != self._stored:
            self._kept.put(_NAME, self._made_of, content)
            self._stored = content

    def _new_cache(self, config: Any) -> Any:
        """With what the last start left, where that is of this card, driver and library."""
        cache = config.create_runtime_cache()
        path = self._kept.path(_NAME, self._made_of)
        if path is not None and cache.deserialize(content := path.read_bytes()):
            self._stored = content
        return cache
