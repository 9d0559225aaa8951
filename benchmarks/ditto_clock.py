"""How long a call takes on a CPU or a GPU, and the most that a matrix product reaches there."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from deployments.avatar.ditto.networks.recorded import choosing

_GEMM_SIDES = {"cpu": (1024, 2048, 4096), "cuda": (4096, 8192, 16384)}
_N_TRIALS = 3  # before a GPU's launches are recorded

Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Clock:
    """The fastest of ``n_runs``: whatever else the machine does only makes a run slower."""

    device: torch.device
    n_runs: int

    @property
    def is_gpu(self) -> bool:
        return str(self.device.type) == "cuda"

    def recorded_s(self, call: Call) -> float:
        """Of a call that only computes; on a GPU its launches are recorded first, as in service."""
        with torch.inference_mode():
            if not self.is_gpu:
                call()
                return self._fastest_s(call)
            return self._fastest_s(_recorded(call).replay)

    def whole_s(self, call: Call) -> float:
        """Of a call that also goes between the processor and the GPU."""
        with torch.inference_mode():
            call()
            return self._fastest_s(call)

    def peak_flops(self, dtype: torch.dtype) -> float:
        """Operations a second in the best of a few square matrix products."""
        rates = []
        for side in _GEMM_SIDES[self.device.type]:
            a, b = (torch.randn(side, side, device=self.device).to(dtype) for _ in range(2))
            # On a GPU several in a row: one alone is not much longer than its launch.
            n = 5 if self.is_gpu else 1
            rates.append(n * 2 * side**3 / self.whole_s(partial(_products, a, b, n)))
        return max(rates)

    def forget_memory(self) -> None:
        """What was taken of a GPU and is not in use any more; a process gives nothing back."""
        if self.is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def memory_gb(self) -> float:
        """The most that was taken: of the GPU since ``forget_memory``, or ever by the process."""
        if self.is_gpu:
            return float(torch.cuda.max_memory_reserved(self.device)) / 1e9
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9

    def _fastest_s(self, call: Call) -> float:
        return min(self._once_s(call) for _ in range(self.n_runs))

    def _once_s(self, call: Call) -> float:
        self._wait()
        begun_s = time.perf_counter()
        call()
        self._wait()
        return time.perf_counter() - begun_s

    def _wait(self) -> None:
        if self.is_gpu:
            torch.cuda.synchronize(self.device)


def operations(call: Call) -> float:
    """Of all convolutions and matrix products in it, two for each multiplication with addition."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def _products(a: Any, b: Any, n: int) -> None:
    for _ in range(n):
        a @ b


def _recorded(call: Call) -> Any:
    graph, aside = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside), choosing():
        for _ in range(_N_TRIALS):
            call()
        aside.synchronize()
        with torch.cuda.graph(graph, stream=aside):
            call()
    return graph
