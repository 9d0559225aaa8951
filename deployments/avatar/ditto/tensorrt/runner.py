"""A plan runs on buffers that stay where they are, its launches recorded once.

Buffers are as large as the largest batch needs; a smaller one uses the beginning. For each size of
batch the launches are recorded on its first run as one CUDA graph, which is what runs from then on:
nothing is allocated and the CPU launches one thing. A recording holds on to the context that it was
made with, so there is one for each; what is between layers is in one memory that all runners of a
card share, since one runs at a time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

from deployments.avatar.ditto.tensorrt.kernels import Kernels
from deployments.avatar.ditto.tensorrt.library import can_be_recorded
from deployments.errors import EngineInputError, EngineRuntimeError

_PROFILE = 0  # the only one of each plan
_ALIGNED = 256  # bytes; what TensorRT asks of memory that it is given


class Card(Protocol):
    """A GPU as runners need it. Tensors are torch's, on it."""

    def empty(self, n: int, dtype: str) -> Any:
        """A tensor (n,); ``dtype`` by torch's name."""
        ...

    def recorded(
        self, work: Callable[[int], None], may_record: Callable[[int], bool]
    ) -> Callable[[], None]:
        """Has done ``work`` once, and does it again each call; from a recording if it then may.

        Both are given a stream's handle.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Where the plan reads or writes one of its tensors."""

    memory: Any

    def shaped(self, shape: tuple[int, ...]) -> Any:
        """The beginning of it as a tensor of this shape."""
        return self.memory[: prod(shape)].view(shape)


@dataclass(frozen=True, slots=True, eq=False)
class _Recording:
    """Of one size of batch: ``tensors`` by name are where the plan reads and writes; ``again`` does
    it once more."""

    context: Any
    tensors: Mapping[str, Any]
    again: Callable[[], None]


def memory_between(engines: Iterable[Any], card: Card) -> Any:
    """Memory for what is between the layers of any of ``engines``, in their largest batches."""
    n_bytes = max(int(engine.device_memory_size_v2) for engine in engines)
    memory = card.empty(n_bytes + _ALIGNED, "uint8")
    first = -memory.data_ptr() % _ALIGNED
    return memory[first : first + n_bytes]


class Runner:
    """Runs one engine on a card, for any batch that it was built for."""

    def __init__(
        self,
        kernels: Kernels,
        engine: Any,
        card: Card,
        between: Any,
        name: str,
        shared: Mapping[str, Buffer] | None = None,
    ) -> None:
        """``kernels``: of the engine's library. ``between``: what ``memory_between`` gave.
        ``name``: for errors. ``shared``: buffers of other runners in the place of some of its own,
        so that what one has written this one reads."""
        self._kernels, self._engine, self._card, self._name = kernels, engine, card, name
        self._between = between
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        self.inputs = [name for name in names if modes[name] == kernels.trt.TensorIOMode.INPUT]
        self.outputs = [name for name in names if name not in self.inputs]
        self.most = self._largest(self.inputs[0])[0]
        """Rows of the largest batch."""
        self.buffers = self._new_buffers() | dict(shared or {})
        self._recordings: dict[tuple[tuple[int, ...], ...], _Recording] = {}

    def places(self, **shapes: tuple[int, ...]) -> dict[str, Any]:
        """Where to write inputs of these shapes."""
        return {name: self.buffers[name].shaped(shape) for name, shape in shapes.items()}

    def run(self, **shapes: tuple[int, ...]) -> dict[str, Any]:
        """The outputs, where they were written: the next run overwrites them. ``shapes`` are those
        of all inputs, which have been written already.

        Raises:
            EngineInputError: the plan takes no such shapes.
            EngineRuntimeError: the GPU did not do it.
        """
        key = tuple(shapes[name] for name in self.inputs)
        if key in self._recordings:
            self._recordings[key].again()
        else:
            self._recordings[key] = self._record(shapes)
        return {name: self._recordings[key].tensors[name] for name in self.outputs}

    def _record(self, shapes: Mapping[str, tuple[int, ...]]) -> _Recording:
        context = self._context(shapes)
        context.set_device_memory(self._between.data_ptr(), len(self._between))
        tensors = {
            name: buffer.shaped(tuple(context.get_tensor_shape(name)))
            for name, buffer in self.buffers.items()
        }
        for name, tensor in tensors.items():
            context.set_tensor_address(name, tensor.data_ptr())
        again = self._card.recorded(
            lambda stream: self._launch(context, stream),
            lambda stream: can_be_recorded(self._kernels.trt, context, stream),
        )
        return _Recording(context, tensors, again)

    def _launch(self, context: Any, stream: int) -> None:
        if not context.execute_async_v3(stream):
            text = f"TensorRT could not run {self._name}"
            raise EngineRuntimeError(text, stage="avatar", retryable=True)

    def _new_buffers(self) -> dict[str, Buffer]:
        """One for each tensor, of the size that the largest batch needs."""
        context = self._context({name: self._largest(name) for name in self.inputs})
        buffers = {}
        for name in (*self.inputs, *self.outputs):
            dtype = _DTYPES[self._engine.get_tensor_dtype(name).name]
            n = prod(context.get_tensor_shape(name))
            buffers[name] = Buffer(self._card.empty(n, dtype))
        return buffers

    def _largest(self, name: str) -> tuple[int, ...]:
        """Shape of an input."""
        return tuple(self._engine.get_tensor_profile_shape(name, _PROFILE)[2])

    def _context(self, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        context = self._kernels.new_context(self._engine)
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                text = f"{self._name} takes no {name} of {shape}"
                raise EngineInputError(text, stage="avatar")
        return context


_DTYPES = {
    "FLOAT": "float32", "HALF": "float16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8",
}  # fmt: skip
