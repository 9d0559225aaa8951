"""A GPU by torch's name, and how much of it this process takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray


def device_of(name: str, memory_gb: float | None = None) -> Any:
    """torch's device of that name: ``cpu``, ``cuda`` or ``cuda:1``.

    A GPU always has its number: some of torch's functions take no other. ``memory_gb``: the most
    that torch then takes of it.
    """
    import torch

    device = torch.device(name)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    if memory_gb is not None:
        card_gb = torch.cuda.get_device_properties(device).total_memory / 1e9
        torch.cuda.set_per_process_memory_fraction(min(1.0, memory_gb / card_gb), device)
    return device


def to_device(array: NDArray[Any], device: Any) -> Any:
    """``array`` as a tensor on torch's ``device``. On a GPU it goes there from pinned memory, while
    the processor goes on."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


@contextmanager
def kept_free(device: Any, work: Callable[[], object]) -> Iterator[None]:
    """Within it, nobody gets the memory that ``work`` needs of torch's GPU ``device``; it is done
    once before, to see how much that is."""
    import torch

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_reserved(device)
    work()
    n_bytes = torch.cuda.max_memory_reserved(device) - before
    torch.cuda.empty_cache()  # or it would be counted twice
    held = torch.empty(n_bytes, dtype=torch.uint8, device=device)
    yield
    del held  # torch keeps it for whoever asks next
