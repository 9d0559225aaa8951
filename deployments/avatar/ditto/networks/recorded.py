"""The painter on a GPU: its hundreds of launches recorded once for each size of batch.

A recording (a CUDA graph) always runs on the same memory: a batch is copied into it, padded by
whatever was there, and what came out is copied away before the next one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deployments.avatar.ditto.networks.painter import Painter
from deployments.avatar.ditto.vector import FloatArray

SIZES = (1, 2, 4, 8, 16)
_MOST_PADDING = 1 / 4  # of a batch: beyond that, two smaller ones are less work
_N_TRIALS = 3  # before recording: cuDNN chooses its algorithms, cuBLAS gets its workspace


@dataclass(frozen=True, slots=True, eq=False)
class _Recording:
    graph: Any  # torch.cuda.CUDAGraph
    volumes: Tensor  # (size, 32, 16, 64, 64)
    motion: Tensor  # (size, 2, 21, 3)
    painted: Tensor  # (size, 512, 512, 3) uint8


class RecordedPainting:
    """Runs a painter in batches of ``SIZES``, as far as they fit into the GPU's memory.

    Frames of one batch travel to the processor while the next one is painted.
    """

    def __init__(self, painter: Painter, volume: Tensor, motion: Tensor, most: int) -> None:
        """``volume`` (32, 16, 64, 64), ``motion`` (2, 21, 3): like those to be painted. ``most``:
        faces that are painted at once, so no larger batch is recorded.

        Raises:
            torch.OutOfMemoryError: not even one face fits.
        """
        self._painter, self._like = painter, (volume, motion)
        self._copying = torch.cuda.Stream(volume.device)
        # All sizes use one memory, since only one runs at a time: that of one pool, which knows
        # its free blocks by the stream that they were used on.
        self._recording = torch.cuda.Stream(volume.device)
        self._pool = torch.cuda.graph_pool_handle()
        self._recordings = self._recorded([size for size in SIZES if size <= most])

    def paint(self, volumes: Sequence[Tensor], motion: FloatArray) -> NDArray[np.uint8]:
        """(b, 512, 512, 3) BGR, one face for each volume; motion (b, 2, 21, 3)."""
        points = torch.from_numpy(motion).pin_memory()
        out = self._recordings[1].painted
        host = torch.empty((len(volumes), *out.shape[1:]), dtype=out.dtype, pin_memory=True)
        first = 0
        for size, n in batches(len(volumes), tuple(self._recordings)):
            part = slice(first, first + n)
            self._carry(self._painted(size, volumes[part], points[part]), host[part])
            first += n
        self._copying.synchronize()
        return np.asarray(host.numpy(), dtype=np.uint8)

    def _painted(self, size: int, volumes: Sequence[Tensor], motion: Tensor) -> Tensor:
        """(n, 512, 512, 3), which the next batch leaves as they are."""
        one, n = self._recordings[size], len(volumes)
        torch.stack(list(volumes), out=one.volumes[:n])
        one.motion[:n].copy_(motion, non_blocking=True)
        one.graph.replay()
        return one.painted[:n].clone()

    def _carry(self, painted: Tensor, host: Tensor) -> None:
        """From the GPU to pinned memory, beside whatever is computed next."""
        self._copying.wait_stream(torch.cuda.current_stream(painted.device))
        with torch.cuda.stream(self._copying):
            host.copy_(painted, non_blocking=True)
        painted.record_stream(self._copying)

    def _recorded(self, sizes: Sequence[int]) -> dict[int, _Recording]:
        """Of those that fit, rising. The largest first: what it took is enough for the others."""
        made = {size: self._record_if_it_fits(size) for size in reversed(sizes)}
        return {size: one for size in sizes if (one := made[size]) is not None}

    def _record_if_it_fits(self, size: int) -> _Recording | None:
        try:
            return self._record(size)
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        # A pool ends with the only recording in it, even with one that failed.
        self._pool = torch.cuda.graph_pool_handle()
        torch.cuda.empty_cache()
        return None

    def _record(self, size: int) -> _Recording:
        volumes, motion = (torch.stack([one] * size) for one in self._like)
        self._recording.wait_stream(torch.cuda.current_stream(volumes.device))
        with torch.cuda.stream(self._recording), choosing():
            for _ in range(_N_TRIALS):
                self._painter(volumes, motion)
            self._recording.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._recording):
                painted = self._painter(volumes, motion)
        return _Recording(graph, volumes, motion, painted)


def choosing() -> Any:
    """cuDNN tries its algorithms and keeps the fastest for each shape; none with TF32, which has
    no more digits than half precision."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)


def batches(n: int, sizes: Sequence[int] = SIZES) -> list[tuple[int, int]]:
    """How n faces are painted: size of each batch, and how many faces are in it.

    ``sizes``: rising, from 1.
    """
    planned = []
    while n > 0:
        roomy = next((size for size in sizes if size >= n), sizes[-1])
        full = max(size for size in sizes if size <= n)
        size = roomy if roomy - n <= roomy * _MOST_PADDING else full
        planned.append((size, min(n, size)))
        n -= size
    return planned
