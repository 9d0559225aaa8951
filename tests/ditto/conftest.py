"""Networks with deterministic weights, made once for the tests that need them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.ditto.fill_weights import fill_module

FilledNetwork = Callable[[str], Any]


@pytest.fixture(scope="session")
def filled_network() -> FilledNetwork:
    """Builds a network of full size by its name, filled and folded; the last one is kept."""
    pytest.importorskip("torch", reason="the networks need torch, which make test installs")
    from deployments.avatar.ditto.networks.folding import fold
    from deployments.avatar.ditto.weights import build_network

    kept: dict[str, Any] = {}

    def filled(name: str) -> Any:
        if name not in kept:
            kept.clear()  # they are a few hundred megabytes each
            kept[name] = fold(fill_module(build_network(name, "cpu")))
        return kept[name]

    return filled
