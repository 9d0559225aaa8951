"""Networks with deterministic weights, made once for the tests that need them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True, slots=True)
class Exports:
    """A tiny checkpoint in ``root``, its files, and its networks as ONNX files in ``folder``."""

    root: Path
    checkpoint: dict[str, Path]
    folder: Path
    graphs: dict[str, Path]
    half_warp: Path


@pytest.fixture(scope="session")
def tiny_exports(tiny_ditto: Path, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Exported once: that takes most of the time of the tests that need it."""
    pytest.importorskip("torch", reason="the networks need torch, which make test installs")
    pytest.importorskip("onnxscript", reason="torch exports with onnxscript, of make test")
    from deployments.avatar.ditto.export import Form, exported
    from deployments.avatar.ditto.files import NETWORKS, below
    from deployments.avatar.ditto.kept import Kept

    files = below(tiny_ditto, NETWORKS["torch", False])
    kept = Kept(tmp_path_factory.mktemp("engines"))
    graphs = exported(files, kept, Form(), print)
    warp = {"warp_network": files["warp_network"]}
    [half_warp] = exported(warp, kept, Form(half=True), print).values()
    return Exports(tiny_ditto, files, kept.folder, graphs, half_warp)
