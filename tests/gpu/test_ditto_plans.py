"""Ditto on a GPU in each of its runtimes, with a tiny checkpoint: as in torch on the CPU.

Wants torch, numpy, pydantic, onnx, onnxscript, onnxruntime, pytest, and ``tensorrt`` or
``tensorrt_rtx`` (the latter for cards of the RTX architectures alone).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.files import NETWORKS, below
from deployments.avatar.ditto.runtime import Networks
from deployments.errors import EngineLoadError
from tests.ditto.fill_weights import det_uniform
from tests.ditto.golden import furthest
from tests.ditto.inputs import picture, points, windows_of
from tests.tiny_models.make_tiny_ditto import build

torch = pytest.importorskip("torch", reason="torch is not installed; make test installs it")
for _package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(_package, reason=f"{_package} is not installed; make test installs it")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")

_MOTION, _LEVELS = 1e-3, 3.0  # what makes motion is in float32; half precision in what draws
_MEMORY_GB = 4.0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tiny_ditto")
    build(folder, seed=7)
    return below(folder, NETWORKS["torch", False])


@pytest.fixture(scope="module")
def on_cpu(files: dict[str, Path]) -> Networks[Any]:
    from deployments.avatar.ditto.networks.torch_networks import TorchNetworks

    networks: Networks[Any] = TorchNetworks(files)
    return networks


@pytest.fixture(scope="module", params=["torch", "tensorrt", "onnxruntime"])
def on_gpu(
    request: pytest.FixtureRequest,
    files: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Networks[Any]:
    from deployments.avatar.ditto.networks.torch_networks import TorchNetworks
    from deployments.avatar.ditto.onnx_networks import OnnxNetworks
    from deployments.avatar.ditto.tensorrt.networks import TensorRtNetworks

    kinds = {"torch": TorchNetworks, "tensorrt": TensorRtNetworks, "onnxruntime": OnnxNetworks}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINES_DIR", str(tmp_path_factory.mktemp("engines")))
        try:
            networks: Networks[Any] = kinds[request.param](
                files, "cuda", half=True, memory_gb=_MEMORY_GB
            )
        except EngineLoadError as error:
            if "install" not in error.message:
                raise
            pytest.skip(error.message)
    return networks


def test_sound_and_a_portrait_are_taken_in_alike(
    on_cpu: Networks[Any], on_gpu: Networks[Any]
) -> None:
    sound = det_uniform(1, (6480,))
    assert furthest(on_gpu.hear(sound), on_cpu.hear(sound)) < _MOTION
    wanted, got = on_cpu.motion_info(picture()), on_gpu.motion_info(picture())
    for name, part in wanted.items():
        assert furthest(got[name], part) < _MOTION


@pytest.mark.parametrize("n", [1, 3, 8])
def test_motion_is_alike(on_cpu: Networks[Any], on_gpu: Networks[Any], n: int) -> None:
    for _ in range(2):  # the first is recorded, the second is the recording
        assert furthest(windows_of(on_gpu, n), windows_of(on_cpu, n)) < _MOTION
    source, driven = points(5, 7 * n).swapaxes(0, 1)
    assert furthest(on_gpu.stitch(source, driven), on_cpu.stitch(source, driven)) < _MOTION


@pytest.mark.parametrize("n", [1, 3, 8])
def test_faces_are_painted_alike(on_cpu: Networks[Any], on_gpu: Networks[Any], n: int) -> None:
    pictures = [picture(seed) for seed in range(n)]
    wanted = on_cpu.paint([on_cpu.appearance(one) for one in pictures], points(6, n))
    for _ in range(2):
        got = on_gpu.paint([on_gpu.appearance(one) for one in pictures], points(6, n))
        off = np.abs(got.astype(int) - wanted.astype(int))
        assert off.mean() < _LEVELS / 3
        assert np.quantile(off, 0.999) <= _LEVELS


def test_no_memory_is_taken_while_it_runs(on_gpu: Networks[Any]) -> None:
    def turn() -> None:
        on_gpu.paint([on_gpu.appearance(picture())] * 3, points(6, 3))
        windows_of(on_gpu, 3)

    for _ in range(3):
        turn()
    before = torch.cuda.mem_get_info()[0]
    for _ in range(50):
        turn()
    assert torch.cuda.mem_get_info()[0] >= before - 2**22
