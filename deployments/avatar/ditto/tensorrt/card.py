"""A GPU through torch, as runners and what is between them need it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.gpu import device_of, to_device


class CudaCard:
    """``device`` by torch's name, ``memory_gb`` at most of it for tensors. Everything is done on a
    stream of its own: whoever uses tensors of it is ``working``."""

    def __init__(self, device: str, memory_gb: float | None = None) -> None:
        import torch

        self.device = device_of(device, memory_gb)
        self._stream = torch.cuda.Stream(self.device)
        self._landing: Any = None

    def working(self) -> AbstractContextManager[Any]:
        """Within it, work is put on the stream."""
        import torch

        stream: AbstractContextManager[Any] = torch.cuda.stream(self._stream)
        return stream

    def empty(self, n: int, dtype: str) -> Any:
        """As ``Card.empty``."""
        import torch

        return torch.empty(n, dtype=getattr(torch, dtype), device=self.device)

    def tensor(self, array: NDArray[Any]) -> Any:
        """A copy of ``array`` on the card."""
        return to_device(array, self.device)

    def recorded(
        self, work: Callable[[int], None], may_record: Callable[[int], bool]
    ) -> Callable[[], None]:
        """As ``Card.recorded``; what is loaded or compiled late is so before the recording."""
        import torch

        stream = self._stream.cuda_stream
        work(stream)
        self._stream.synchronize()
        if not may_record(stream):
            return lambda: work(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            work(stream)
        again: Callable[[], None] = graph.replay
        return again

    def fetched(self, tensor: Any) -> NDArray[Any]:
        """A copy of ``tensor``, through pinned memory that is kept for the next one."""
        import torch

        n_bytes = tensor.numel() * tensor.element_size()
        if self._landing is None or len(self._landing) < n_bytes:
            self._landing = torch.empty(n_bytes, dtype=torch.uint8, pin_memory=True)
        landed = self._landing[:n_bytes].view(tensor.dtype).view(tensor.shape)
        landed.copy_(tensor, non_blocking=True)
        self._stream.synchronize()
        return np.array(landed.numpy())
