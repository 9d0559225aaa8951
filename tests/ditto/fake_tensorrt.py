"""Fakes of the two things that only a GPU has: TensorRT's engines, and memory on a card.

The engine is not TensorRT's but ONNX Runtime's of the same file, behind TensorRT's interface: it
reads and writes at the addresses that it is given, in the shapes that it is told, and refuses what
its profile does not hold. So it shows whether a runner binds and shares its buffers rightly, not
whether TensorRT computes rightly; ``tests/gpu`` does that.
"""

import ctypes
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.tensorrt.builder import Span, spans

_NAMES = {"tensor(float)": "FLOAT", "tensor(float16)": "HALF", "tensor(int64)": "INT64"}
_NAMES["tensor(uint8)"] = "UINT8"
_SOUND = Span(6480, 6480, 6480)
FRAMES = 4  # drawn at once, at most


class FakeEngine:
    """An engine of the ONNX file ``path``, of the graph ``name``."""

    device_memory_size_v2 = 1000

    def __init__(self, trt: Any, name: str, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.session = onnxruntime.InferenceSession(path, options)
        self.trt, self.name = trt, name
        self.inputs: dict[str, Any] = {one.name: one for one in self.session.get_inputs()}
        self.tensors: dict[str, Any] = self.inputs | {
            one.name: one for one in self.session.get_outputs()
        }
        self.num_io_tensors = len(self.tensors)

    def get_tensor_name(self, i: int) -> str:
        return list(self.tensors)[i]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self.trt.TensorIOMode
        return modes.INPUT if name in self.inputs else modes.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return self.trt.DataType.__members__[_NAMES[self.tensors[name].type]]

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        assert profile == 0
        axes = [self._span(size) for size in self.inputs[name].shape]
        return [tuple(getattr(span, end) for span in axes) for end in ("least", "best", "most")]

    def create_runtime_config(self) -> Any:
        return FakeConfig(self.trt)

    def create_execution_context(self, how: "FakeConfig") -> "FakeContext":
        assert how.has_user_memory
        assert how.cache is not None
        how.cache.add(self.name)
        eager = self.trt.DynamicShapesKernelSpecializationStrategy.EAGER
        assert how.dynamic_shapes_kernel_specialization_strategy == eager
        return FakeContext(self)

    def _span(self, size: int | str) -> Span:
        if isinstance(size, int):
            return Span(size, size, size)
        return spans(self.name, FRAMES)[size] if self.name != "hubert" else _SOUND


class FakeCache:
    """Of compiled kernels: the names of the engines that use it."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, name: str) -> None:
        if name not in self.names:
            self.names.append(name)

    def deserialize(self, blob: bytes) -> bool:
        self.names = blob.decode().split()
        return True

    def serialize(self) -> bytes:
        return " ".join(self.names).encode()


class FakeConfig:
    """How a context is to run."""

    dynamic_shapes_kernel_specialization_strategy: Any = None

    def __init__(self, trt: Any) -> None:
        self._trt = trt
        self.has_user_memory = False
        self.cache: FakeCache | None = None

    def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
        users = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self.has_user_memory = strategy == users

    def create_runtime_cache(self) -> FakeCache:
        return FakeCache()

    def set_runtime_cache(self, cache: FakeCache) -> bool:
        self.cache = cache
        return True


class FakeContext:
    """Runs at once; whatever has not been told it makes an assertion fail."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.memory = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self.engine.get_tensor_profile_shape(name, 0)
        fits = len(shape) == len(least) and all(
            low <= size <= high for low, size, high in zip(least, shape, most, strict=True)
        )
        if fits:
            self.shapes[name] = shape
        return fits

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self.shapes:
            return self.shapes[name]
        sizes = self._sizes()
        wanted = self.engine.tensors[name].shape
        return tuple(size if isinstance(size, int) else sizes[size] for size in wanted)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def set_device_memory(self, address: int, n_bytes: int) -> None:
        assert address % 256 == 0
        assert n_bytes >= self.engine.device_memory_size_v2
        self.memory = address

    def is_stream_capturable(self, stream: int) -> bool:
        return stream == FakeCard.STREAM

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == FakeCard.STREAM
        assert self.memory
        fed = {name: np.array(self._at(name)) for name in self.engine.inputs}
        outputs = [name for name in self.engine.tensors if name not in self.engine.inputs]
        for name, array in zip(outputs, self.engine.session.run(outputs, fed), strict=True):
            self._at(name)[...] = array
        return True

    def _at(self, name: str) -> NDArray[Any]:
        """The memory at a tensor's address."""
        kind = self.engine.get_tensor_dtype(name)
        dtype = np.dtype(self.engine.trt.nptype(kind))
        shape = self.get_tensor_shape(name)
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        raw = (ctypes.c_char * n_bytes).from_address(self.addresses[name])
        return np.frombuffer(raw, dtype).reshape(shape)

    def _sizes(self) -> dict[str, int]:
        """Of free axes by name; HuBERT's rows follow from its samples."""
        sizes = {
            size: self.shapes[name][axis]
            for name, one in self.engine.inputs.items()
            for axis, size in enumerate(one.shape)
            if not isinstance(size, int)
        }
        return sizes | {"rows": (sizes.get("n", 400) - 400) // 320 + 1}


class FakeCard:
    """Memory of the process itself. Counts what is allocated and run."""

    STREAM = 42

    def __init__(self) -> None:
        self.n_allocated = self.n_recorded = 0

    def empty(self, n: int, dtype: str) -> Any:
        import torch

        self.n_allocated += 1
        return torch.full((n,), 77, dtype=getattr(torch, dtype))

    def recorded(
        self, work: Callable[[int], None], may_record: Callable[[int], bool]
    ) -> Callable[[], None]:
        work(self.STREAM)
        assert may_record(self.STREAM)
        self.n_recorded += 1
        return lambda: work(self.STREAM)

    def working(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def tensor(self, array: NDArray[Any]) -> Any:
        import torch

        return torch.from_numpy(np.ascontiguousarray(array))

    def fetched(self, tensor: Any) -> NDArray[Any]:
        return np.array(tensor.numpy())
