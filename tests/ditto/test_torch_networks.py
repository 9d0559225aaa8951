"""All networks in PyTorch: several faces at once, in half precision, in batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.avatar.ditto.files import NETWORKS, below
from deployments.avatar.ditto.runtime import Networks
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.weights import build_network
from tests.ditto.fill_weights import det_image, det_uniform
from tests.tiny_models.make_tiny_ditto import sizes as tiny_sizes

torch = pytest.importorskip("torch", reason="the networks need torch, which make test installs")
pytest.importorskip("onnxruntime", reason="HuBERT runs in ONNX Runtime, which make test installs")


def picture(seed: int) -> FloatArray:
    image = det_image(seed, 256, 256).astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def motion(n: int) -> FloatArray:
    """Key points of source and driven face, (n, 2, 21, 3)."""
    source = 0.5 * det_uniform(40, (n, 21, 3))
    return np.stack((source, source + 0.05 * det_uniform(41, (n, 21, 3))), axis=1)


def painted(networks: Networks[Any], n: int) -> NDArray[np.uint8]:
    volumes = [networks.appearance(picture(seed)) for seed in range(n)]
    return networks.paint(volumes, motion(n))


@pytest.fixture(scope="module")
def tiny_checkpoint(tiny_ditto: Path) -> dict[str, Path]:
    return below(tiny_ditto, NETWORKS["torch", False])


@pytest.fixture(scope="module")
def networks(tiny_checkpoint: dict[str, Path]) -> Networks[Any]:
    from deployments.avatar.ditto.networks.torch_networks import TorchNetworks

    made: Networks[Any] = TorchNetworks(tiny_checkpoint)
    return made


def test_faces_of_one_batch_are_those_that_would_be_painted_alone(networks: Networks[Any]) -> None:
    faces = painted(networks, 3)
    assert faces.shape == (3, 512, 512, 3)
    assert faces.dtype == np.uint8
    volumes = [networks.appearance(picture(seed)) for seed in range(3)]
    for i, volume in enumerate(volumes):
        [alone] = networks.paint([volume], motion(3)[i : i + 1])
        assert np.abs(alone.astype(int) - faces[i]).max() <= 1
    assert np.abs(faces[0].astype(int) - faces[1]).max() > 10


def test_a_picture_has_its_colours_in_the_order_of_files(networks: Networks[Any]) -> None:
    from deployments.avatar.ditto.networks.painter import Painter

    class Red(torch.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, *_: Any) -> Any:
            return torch.tensor([1.0, 0.5, 0.0]).reshape(1, 3, 1, 1)

    [[[pixel]]] = Painter(Red(), Red())(torch.zeros(1), torch.zeros(1, 2, 21, 3)).tolist()
    assert pixel == [0, 127, 255]


def test_half_precision_paints_nearly_the_same_face(
    networks: Networks[Any], tiny_checkpoint: dict[str, Path]
) -> None:
    from deployments.avatar.ditto.networks.torch_networks import TorchNetworks

    half = TorchNetworks(tiny_checkpoint, half=True)
    apart = np.abs(painted(half, 2).astype(int) - painted(networks, 2))
    assert apart.mean() < 1.5
    assert half.appearance(picture(1)).dtype == torch.bfloat16


def test_networks_that_say_where_the_face_is_are_never_halved(
    networks: Networks[Any], tiny_checkpoint: dict[str, Path]
) -> None:
    from deployments.avatar.ditto.networks.torch_networks import TorchNetworks

    half = TorchNetworks(tiny_checkpoint, half=True)
    for name, part in networks.motion_info(picture(2)).items():
        assert (half.motion_info(picture(2))[name] == part).all()
    points = motion(2)
    wanted = networks.stitch(points[:, 0], points[:, 1])
    assert (half.stitch(points[:, 0], points[:, 1]) == wanted).all()


def test_a_sampler_is_made_once_for_a_number_of_steps(networks: Networks[Any]) -> None:
    assert networks.sampler(4) is networks.sampler(4)
    assert networks.sampler(4) is not networks.sampler(5)


@pytest.mark.parametrize(
    ("n", "wanted"),
    [
        (1, [(1, 1)]),
        (3, [(4, 3)]),
        (5, [(4, 4), (1, 1)]),
        (6, [(8, 6)]),
        (9, [(8, 8), (1, 1)]),
        (13, [(16, 13)]),
        (37, [(16, 16), (16, 16), (4, 4), (1, 1)]),
    ],
)
def test_a_gpu_paints_in_batches_that_were_recorded(n: int, wanted: list[tuple[int, int]]) -> None:
    from deployments.avatar.ditto.networks.recorded import batches

    assert batches(n) == wanted


def test_batches_are_of_the_sizes_that_fit_into_memory() -> None:
    from deployments.avatar.ditto.networks.recorded import batches

    assert batches(5, (1, 2)) == [(2, 2), (2, 2), (1, 1)]


@pytest.mark.parametrize("half", [False, True], ids=["float32", "half"])
def test_every_network_computes_where_its_weights_are(half: bool) -> None:
    """On torch's device without memory: as on a GPU, whatever is made elsewhere is refused."""
    from deployments.avatar.ditto.networks.painter import Painter
    from tests.ditto.plain_lmdm import plain_denoise

    nets = {name: tiny_network(name, half) for name in tiny_sizes()}
    paint = Painter(nets["warp_network"], nets["decoder"])
    dtype = torch.float16 if half else torch.float32
    [faces] = paint(nowhere(1, 4, 4, 64, 64).to(dtype), nowhere(1, 2, 21, 3))
    assert faces.shape == (512, 512, 3)
    assert nets["appearance_extractor"](nowhere(1, 3, 256, 256).to(dtype)).is_meta
    assert nets["motion_extractor"](nowhere(1, 3, 256, 256)).kp.is_meta
    x, before, condition = nowhere(2, 80, 265), nowhere(2, 265), nowhere(2, 80, 1103)
    denoiser = nets["lmdm"]
    window = denoiser.begin(before, condition, denoiser.tables([999, 19]))
    assert denoiser.denoise(x, window, 1).is_meta
    plain = build_network("lmdm", "cpu", **tiny_sizes()["lmdm"]).to("meta")
    assert plain_denoise(plain, x, before, condition, 19).is_meta


def tiny_network(name: str, half: bool) -> Any:
    from deployments.avatar.ditto.networks.folding import fold
    from deployments.avatar.ditto.networks.precision import prepare

    return prepare(name, fold(build_network(name, "cpu", **tiny_sizes()[name])), half).to("meta")


def nowhere(*shape: int) -> Any:
    return torch.empty(shape, device="meta")
