"""A fake of a GPU: torch's own functions of it in Python, with what they call in C in its place.

A stream, an event and a recording are fakes that do nothing: tensors lie in the process's memory,
and a recording that is replayed paints nothing anew. What is asked of them is written down.
"""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

CARD_GB = 24.0


class FakeStream:
    """Of no device."""

    def __init__(self, *_: Any) -> None: ...

    def wait_stream(self, other: Any) -> None:
        """Does nothing."""

    def synchronize(self) -> None:
        """Does nothing."""


class FakeGraph:
    """Of launches."""

    def replay(self) -> None:
        """Does nothing."""


def put_in_place(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What was asked: ``shares`` of the card's memory; ``recorded``: stream and pool of each.

    ``reserved``, ``peak``: bytes that torch has, and had at most.
    """
    import torch

    asked = SimpleNamespace(shares=[], recorded=[], reserved=0, peak=0)

    def recording(graph: Any, pool: Any, stream: Any) -> Any:
        asked.recorded.append((stream, pool))
        return nullcontext()

    monkeypatch.setattr("torch.cuda.memory._lazy_init", lambda: None)
    monkeypatch.setattr(
        torch._C, "_cuda_setMemoryFraction", lambda *of: asked.shares.append(of), raising=False
    )
    properties = SimpleNamespace(total_memory=CARD_GB * 1e9)
    fakes: dict[str, Any] = {
        "current_device": lambda: 0,
        "get_device_properties": lambda _: properties,
        "Stream": FakeStream,
        "CUDAGraph": FakeGraph,
        "graph_pool_handle": object,
        "current_stream": lambda *_: FakeStream(),
        "stream": lambda _: nullcontext(),
        "graph": recording,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda _: None,
        "memory_reserved": lambda _: asked.reserved,
        "max_memory_reserved": lambda _: asked.peak,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return asked
