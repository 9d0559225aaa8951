"""What runs gives what was published: each cheaper form beside the plain one, in small."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.ditto.fill_weights import det_normal, fill_module
from tests.ditto.golden import furthest, golden

torch = pytest.importorskip("torch", reason="the networks need torch, which make test installs")

TIMES = (999, 499, 19)


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def noise(seed: int, *shape: int) -> Any:
    return torch.from_numpy(det_normal(seed, shape))


@pytest.mark.parametrize("form", ["sample", "sample_by_gathering"])
def test_both_forms_of_sampling_treat_points_outside_as_the_published_one(form: str) -> None:
    from deployments.avatar.ditto import grid_sample

    wanted = golden("23_grid_sample3d")
    volume, grid = torch.from_numpy(wanted["x"]), torch.from_numpy(wanted["grid"])
    assert furthest(getattr(grid_sample, form)(volume, grid), wanted["out"]) < 1e-6


@pytest.mark.parametrize("form", ["sample", "sample_by_gathering"])
def test_half_precision_keeps_precise_coordinates(form: str) -> None:
    from deployments.avatar.ditto import grid_sample

    wanted = golden("23_grid_sample3d")
    volume, grid = torch.from_numpy(wanted["x"]).half(), torch.from_numpy(wanted["grid"])
    sampled = getattr(grid_sample, form)(volume, grid)
    assert sampled.dtype == torch.float16
    assert furthest(sampled, wanted["out"]) < 2e-3


@pytest.mark.parametrize("times", [2, 3, 4, 5])
@pytest.mark.parametrize("depth", [(), (5,)])
def test_a_convolution_of_an_enlarged_picture(times: int, depth: tuple[int, ...]) -> None:
    from deployments.avatar.ditto.networks.blocks import EnlargedConv

    conv = (torch.nn.Conv3d if depth else torch.nn.Conv2d)(3, 4, 3, padding=1)
    fill_module(conv)
    x = noise(1, 2, 3, *depth, 4, 6)
    enlarged = torch.nn.functional.interpolate(x, scale_factor=(*[1] * len(depth), times, times))
    got = EnlargedConv(conv.weight, conv.bias, times)(x)
    assert furthest(got, torch.relu(conv(enlarged)).numpy()) < 1e-5


@pytest.mark.parametrize("sizes", [(6, 9), (2, 5), (5, 6, 7), (1, 3, 4)])
def test_a_convolution_by_slices(sizes: tuple[int, ...]) -> None:
    from deployments.avatar.ditto.networks.blocks import SlicedConv

    kind = torch.nn.Conv3d if len(sizes) == 3 else torch.nn.Conv2d
    conv = fill_module(kind(3, 2, 7, padding=3))
    x = noise(2, 2, 3, *sizes)
    assert furthest(SlicedConv(conv, dim=2)(x), conv(x).numpy()) < 1e-5


def test_a_normalisation_is_part_of_the_convolution_before_it() -> None:
    from deployments.avatar.ditto.networks.blocks import ConvBlock
    from deployments.avatar.ditto.networks.folding import fold

    block = ConvBlock(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.AvgPool2d(2))
    fill_module(block)
    x = noise(3, 2, 3, 8, 8)
    wanted = torch.nn.functional.avg_pool2d(block.norm(block.conv(x)), 2)
    folded = fold(block)
    assert not [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert furthest(folded(x), wanted.numpy()) < 1e-5


def test_a_picture_is_normalised_wherever_its_channels_lie() -> None:
    from deployments.avatar.ditto.networks.blocks import by_moments, normalised

    x = 3 + 2 * noise(4, 2, 8, 6, 5)
    last = x.contiguous(memory_format=torch.channels_last)
    wanted = torch.nn.functional.instance_norm(x).numpy()
    for form in (normalised, by_moments):
        assert furthest(form(x), wanted) < 1e-5
        assert furthest(form(last), wanted) < 1e-5
        assert form(last).is_contiguous(memory_format=torch.channels_last)
    assert furthest(by_moments(last.half()).float(), wanted) < 5e-3


def test_the_folded_decoder_paints_as_the_plain_one() -> None:
    from deployments.avatar.ditto.networks.decoder import Decoder
    from deployments.avatar.ditto.networks.folding import fold
    from tests.ditto.plain_decoder import plain_decode

    net = fill_module(Decoder(features=16, width=24, hidden=8, n_middle=2))
    seg = noise(4, 2, 16, 5, 7)
    wanted = plain_decode(net, seg).numpy()
    assert np.std(wanted) > 0.1
    assert furthest(fold(net)(seg), wanted) < 1e-5


def test_moving_by_axes_is_sampling_point_by_point() -> None:
    from deployments.avatar.ditto.grid_sample import sample
    from deployments.avatar.ditto.networks.dense_motion import DenseMotion

    net = DenseMotion(points=2, volume=(3, 4), compressed=2, width=2, n_blocks=1)
    volume, points = noise(5, 2, 2, 4, 6, 8), noise(6, 2, 2, 2, 3)
    shifts = net.shifts(*points)
    z, y, x = (torch.linspace(-1, 1, n) for n in volume.shape[2:])
    identity = torch.stack(torch.meshgrid(z, y, x, indexing="ij")[::-1], dim=-1)
    wanted = [sample(volume, identity + shifts[:, k, None, None, None]).numpy() for k in range(3)]
    assert furthest(net.moved(volume, shifts), np.stack(wanted, axis=1)) < 1e-5


def test_the_warp_network_is_the_same_whichever_way_it_samples() -> None:
    from deployments.avatar.ditto.grid_sample import sample_by_gathering
    from deployments.avatar.ditto.networks.folding import fold
    from deployments.avatar.ditto.networks.warp import WarpNetwork

    net = fold(fill_module(WarpNetwork(points=3, volume=(4, 2), width=4, n_blocks=2, out=6)))
    inputs = noise(10, 2, 4, 2, 8, 8), noise(11, 2, 3, 3), noise(12, 2, 3, 3)
    wanted = net(*inputs).numpy()
    assert wanted.shape == (2, 6, 8, 8)
    net.sample = sample_by_gathering
    assert furthest(net(*inputs), wanted) < 1e-5


def test_the_denoiser_sees_what_the_plain_form_sees() -> None:
    from deployments.avatar.ditto.networks.folding import fold
    from deployments.avatar.ditto.networks.lmdm import Lmdm, LmdmSizes
    from tests.ditto.plain_lmdm import plain_denoise

    sizes = LmdmSizes(
        motion=7, condition=9, frames=6, latent=16, heads=4, hidden=24, decoder_layers=3
    )
    net = fill_module(Lmdm(sizes))
    x, before, condition = noise(7, 2, 6, 7), noise(8, 2, 7), noise(9, 2, 6, 9)
    wanted = [plain_denoise(net, x, before, condition, time).numpy() for time in TIMES]
    folded = fold(net)
    window = folded.begin(before, condition, folded.tables(TIMES))
    # Whatever the order: a step leaves nothing in the window that another one would see.
    for step in (2, 0, 1, 0):
        assert furthest(folded.denoise(x, window, step), wanted[step]) < 1e-4
