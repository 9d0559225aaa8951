"""Ditto's networks on a GPU, at full size with the goldens' weights.

Wants torch, numpy and pytest. Where there is nothing else of this project's packages:
`python -m pytest --noconftest -c /dev/null --rootdir . tests/gpu/test_ditto.py`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ditto.fill_weights import det_normal, det_uniform, fill_module
from tests.ditto.golden import furthest, golden

torch = pytest.importorskip("torch", reason="torch is not installed; make test installs it")

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")

N_FACES = 5
"""Painted as a batch of four and one alone."""


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def network(name: str, half: bool) -> Any:
    from deployments.avatar.ditto.networks.folding import fold
    from deployments.avatar.ditto.networks.precision import prepare
    from deployments.avatar.ditto.weights import build_network

    return prepare(name, fold(fill_module(build_network(name, "cpu"))), half).cuda()


def volumes(half: bool) -> list[Any]:
    dtype = torch.float16 if half else torch.float32
    made = (0.5 * det_normal(161 + i, (32, 16, 64, 64)) for i in range(N_FACES))
    return [torch.from_numpy(one).to("cuda", dtype) for one in made]


def motion() -> NDArray[np.float32]:
    source = 0.5 * det_uniform(162, (N_FACES, 21, 3))
    return np.stack((source, source + 0.05 * det_uniform(163, (N_FACES, 21, 3))), axis=1)


@pytest.fixture(scope="module", params=["float32", "float16"])
def painting(request: pytest.FixtureRequest) -> tuple[Any, Any, bool]:
    """A painter, its recordings, and whether it is in half precision."""
    from deployments.avatar.ditto.networks.painter import Painter
    from deployments.avatar.ditto.networks.recorded import RecordedPainting

    half = request.param == "float16"
    with torch.inference_mode():
        painter = Painter(network("warp_network", half), network("decoder", half))
        like = volumes(half)[0], torch.from_numpy(motion()[0]).cuda()
        return painter, RecordedPainting(painter, *like, N_FACES), half


def test_the_warp_network_in_half_precision_is_within_the_goldens_tolerance() -> None:
    wanted = golden("16_warp")
    points = [torch.from_numpy(wanted[f"kp_{name}"]).cuda() for name in ("source", "driving")]
    feature = torch.from_numpy(0.5 * det_normal(161, (1, 32, 16, 64, 64))).cuda()
    out = network("warp_network", half=True)(feature.half(), *points)
    assert furthest(out.float().cpu()[:, ::2, ::2, ::2], wanted["out_sub"]) < 1e-2


def test_the_decoder_in_half_precision_is_within_the_goldens_tolerance() -> None:
    wanted = golden("17_decoder")
    feature = torch.from_numpy(0.5 * det_normal(171, (1, 256, 64, 64))).cuda()
    out = network("decoder", half=True)(feature.half()).float().cpu()
    assert furthest(out[:, :, ::4, ::4], wanted["out_sub"]) < 2e-2
    assert furthest(out[:, :, 200:264, 200:264], wanted["out_crop"]) < 2e-2


def test_the_appearance_extractor_in_half_precision_is_within_the_goldens_tolerance() -> None:
    from tests.ditto.fill_weights import det_image

    image = torch.from_numpy(det_image(3, 256, 256).astype(np.float32) / np.float32(255))
    picture = image.permute(2, 0, 1)[None].cuda().half()
    volume = network("appearance_extractor", half=True)(picture).float().cpu()
    assert furthest(volume[:, ::2, ::2, ::4, ::4], golden("14_appearance")["f_s_sub"]) < 5e-2


def test_recordings_paint_what_their_painter_paints(painting: tuple[Any, Any, bool]) -> None:
    from deployments.avatar.ditto.networks.recorded import choosing

    painter, recorded, half = painting
    faces = recorded.paint(volumes(half), motion())
    assert faces.shape == (N_FACES, 512, 512, 3)
    with choosing():
        wanted = (
            painter(torch.stack(volumes(half)), torch.from_numpy(motion()).cuda()).cpu().numpy()
        )
    apart = np.abs(faces.astype(int) - wanted)
    # Other algorithms add in another order: in half precision that is some levels in some places.
    assert apart.max() <= (4 if half else 1)
    assert apart.mean() < 0.1


def test_faces_of_one_batch_are_those_that_would_be_painted_alone(
    painting: tuple[Any, Any, bool],
) -> None:
    _, recorded, half = painting
    together = recorded.paint(volumes(half), motion()).astype(int)
    for i, volume in enumerate(volumes(half)):
        [alone] = recorded.paint([volume], motion()[i : i + 1])
        assert np.abs(alone - together[i]).max() <= (4 if half else 1)


def test_frames_stay_as_they_are_when_others_are_painted(painting: tuple[Any, Any, bool]) -> None:
    _, recorded, half = painting
    first = recorded.paint(volumes(half), motion())
    before = first.copy()
    recorded.paint(volumes(half)[::-1], np.ascontiguousarray(motion()[::-1]))
    assert (first == before).all()


def test_a_gpu_denoises_as_the_goldens_say() -> None:
    net, wanted = network("lmdm", half=False), golden("05_lmdm_step")
    x = torch.from_numpy(det_normal(51, (1, 80, 265))).cuda()
    before = torch.from_numpy(0.3 * det_uniform(52, (1, 265))).cuda()
    condition = torch.from_numpy(0.3 * det_normal(53, (1, 80, 1103))).cuda()
    window = net.begin(before, condition, net.tables((999, 499, 19)))
    for step, time in enumerate((999, 499, 19)):
        clean = net.denoise(x, window, step).cpu()
        assert furthest(clean, wanted[f"t{time}_x_start"]) < 1e-3


def test_sessions_in_one_batch_of_the_diffusion_do_not_see_each_other() -> None:
    from benchmarks.ditto_work import Windows

    windows = Windows(torch.device("cuda"))
    [alone], together = windows.ours(1)(), windows.ours(8)()
    assert len(together) == 8
    assert furthest(together[0], alone) < 1e-4
