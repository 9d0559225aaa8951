"""The networks give what the published ones gave, on deterministic weights."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.weights import NETWORKS, build_network
from tests.ditto.conftest import FilledNetwork
from tests.ditto.fill_weights import det_image, det_normal, det_uniform, fill_arrays
from tests.ditto.golden import furthest, golden, published

torch = pytest.importorskip("torch", reason="the networks need torch, which make test installs")

TIMES = (999, 499, 19)
# What half precision may add: the goldens' figure for float16, of a GPU; bfloat16, of a CPU, has
# three bits less.
HALVES = {"float16": 1, "bfloat16": 8}


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def picture() -> Any:
    image = det_image(3, 256, 256).astype(np.float32) / np.float32(255)
    return torch.from_numpy(image).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", NETWORKS)
def test_keys_shapes_and_their_order_are_those_that_were_published(name: str) -> None:
    wanted = [(one["key"], tuple(one["shape"]), one["dtype"]) for one in published(name)["keys"]]
    state = build_network(name, "meta").state_dict()
    got = [(key, tuple(one.shape), str(one.dtype).split(".")[1]) for key, one in state.items()]
    assert got == wanted


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_filled_as_for_the_goldens(name: str) -> None:
    listed = published(name)
    filled = fill_arrays({one["key"]: tuple(one["shape"]) for one in listed["keys"]})
    for key, sums in listed["filled_check (sum, sum of squares after fill_weights)"].items():
        array = filled[key].astype(np.float64)
        assert [array.sum(), (array**2).sum()] == pytest.approx(sums, rel=1e-6)


def test_the_denoiser_sees_clean_motion_at_every_time(filled_network: FilledNetwork) -> None:
    net, wanted = filled_network("lmdm"), golden("05_lmdm_step")
    x = torch.from_numpy(det_normal(51, (1, 80, 265)))
    before = torch.from_numpy(0.3 * det_uniform(52, (1, 265)))
    condition = torch.from_numpy(0.3 * det_normal(53, (1, 80, 1103)))
    window = net.begin(before, condition, net.tables(TIMES))
    for step, time in enumerate(TIMES):
        x_start = net.denoise(x, window, step)
        assert furthest(x_start, wanted[f"t{time}_x_start"]) < 1e-3


def test_several_sessions_in_one_batch_do_not_see_each_other(filled_network: FilledNetwork) -> None:
    net = filled_network("lmdm")
    x = torch.from_numpy(det_normal(151, (3, 80, 265)))
    before = torch.from_numpy(0.3 * det_uniform(152, (3, 265)))
    condition = torch.from_numpy(0.3 * det_normal(153, (3, 80, 1103)))
    tables = net.tables((500,))
    together = net.denoise(x, net.begin(before, condition, tables), 0)
    for i in range(3):
        one = slice(i, i + 1)
        alone = net.denoise(x[one], net.begin(before[one], condition[one], tables), 0)
        assert furthest(together[one], alone.numpy()) < 1e-3


def test_the_stitch_network_moves_the_key_points(filled_network: FilledNetwork) -> None:
    wanted = golden("08_stitch_net")
    source, driving = (torch.from_numpy(wanted[f"kp_{name}"]) for name in ("source", "driving"))
    assert furthest(filled_network("stitch_network")(source, driving), wanted["out"]) < 1e-6


def test_the_appearance_extractor_makes_a_volume(filled_network: FilledNetwork) -> None:
    wanted, volume = golden("14_appearance"), filled_network("appearance_extractor")(picture())
    assert furthest(volume[:, ::2, ::2, ::4, ::4], wanted["f_s_sub"]) < 2e-4
    assert furthest(volume.mean(dim=(0, 2, 3, 4)), wanted["channel_mean"]) < 2e-4
    assert float(volume.std(correction=0)) == pytest.approx(float(wanted["f_s_std"]), abs=2e-4)


def test_the_motion_extractor_finds_pose_and_points(filled_network: FilledNetwork) -> None:
    wanted, motion = golden("15_motion_extractor"), filled_network("motion_extractor")(picture())
    assert set(motion._fields) == set(wanted)
    for name, value in motion._asdict().items():
        assert furthest(value, wanted[name]) < 2e-5


def test_the_warp_network_moves_the_volume(filled_network: FilledNetwork) -> None:
    net, wanted = filled_network("warp_network"), golden("16_warp")
    feature = torch.from_numpy(0.5 * det_normal(161, (1, 32, 16, 64, 64)))
    points = [torch.from_numpy(wanted[f"kp_{name}"]) for name in ("source", "driving")]
    seen: dict[str, Any] = {}
    inner = net.dense_motion_network
    inner.mask.register_forward_hook(lambda _, __, out: seen.update(mask=out))
    inner.register_forward_hook(lambda _, __, out: seen.update(motion=out))
    out = net(feature, *points)
    assert furthest(out[:, ::2, ::2, ::2], wanted["out_sub"]) < 2e-4
    mask = seen["mask"].softmax(dim=1)
    assert furthest(mask[:, :, ::4, ::8, ::8], wanted["mask_sub"]) < 5e-5
    deformation, occlusion = seen["motion"]
    assert furthest(deformation[:, ::2, ::4, ::4], wanted["deformation_sub"]) < 5e-5
    assert furthest(occlusion, wanted["occlusion_map"]) < 5e-5


@pytest.mark.parametrize("dtype", HALVES)
def test_the_warp_network_in_half_precision(filled_network: FilledNetwork, dtype: str) -> None:
    net, wanted = halved(filled_network("warp_network"), dtype), golden("16_warp")
    feature = torch.from_numpy(0.5 * det_normal(161, (1, 32, 16, 64, 64)))
    points = [torch.from_numpy(wanted[f"kp_{name}"]) for name in ("source", "driving")]
    seen: dict[str, Any] = {}
    net.dense_motion_network.register_forward_hook(lambda _, __, out: seen.update(motion=out))
    out = net(feature.to(getattr(torch, dtype)), *points)
    assert furthest(out.float()[:, ::2, ::2, ::2], wanted["out_sub"]) < 1e-2 * HALVES[dtype]
    # A voxel is 1/32 wide: where it comes from is known to a thousandth of that.
    deformation, _ = seen["motion"]
    assert furthest(deformation[:, ::2, ::4, ::4], wanted["deformation_sub"]) < 3e-5 * HALVES[dtype]


def test_every_key_point_moves_the_volume_by_a_vector(filled_network: FilledNetwork) -> None:
    net, wanted = filled_network("warp_network").dense_motion_network, golden("16_warp")
    feature = torch.from_numpy(0.5 * det_normal(161, (1, 32, 16, 64, 64)))
    points = [torch.from_numpy(wanted[f"kp_{name}"]) for name in ("source", "driving")]
    small, shifts = net.compressed(feature), net.shifts(*points)
    assert furthest(small[:, :, ::4, ::8, ::8], wanted["compressed_feature_sub"]) < 5e-5
    heat = net.heat(*points, feature).unsqueeze(2)
    assert furthest(heat[:, :, :, ::4, ::8, ::8], wanted["heatmap_sub"]) < 5e-5
    moved = net.moved(small, shifts)
    assert furthest(moved[:, :, :, ::8, ::16, ::16], wanted["deformed_feature_sub"]) < 5e-5
    only = torch.eye(22).reshape(22, 22, 1, 1, 1).expand(-1, -1, 16, 64, 64)
    alone = net.deformation(only, shifts.expand(22, -1, -1))
    sparse = wanted["sparse_motion_sub"][0]
    assert furthest(alone[:, ::4, ::16, ::16], sparse) < 5e-5


def test_the_decoder_paints_the_picture(filled_network: FilledNetwork) -> None:
    net, wanted = filled_network("decoder"), golden("17_decoder")
    seen: dict[str, Any] = {}
    for name in ("fc", "G_middle_0"):
        net.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out[:, ::8, ::4, ::4]})
        )
    out = net(torch.from_numpy(0.5 * det_normal(171, (1, 256, 64, 64))))
    assert out.shape == (1, 3, 512, 512)
    assert furthest(out[:, :, ::4, ::4], wanted["out_sub"]) < 1e-4
    assert furthest(out[:, :, 200:264, 200:264], wanted["out_crop"]) < 1e-4
    assert furthest(seen["fc"], wanted["fc_sub"]) < 5e-4
    assert furthest(seen["G_middle_0"], wanted["G_middle_0_sub"]) < 5e-4


@pytest.mark.parametrize("dtype", HALVES)
def test_the_decoder_in_half_precision(filled_network: FilledNetwork, dtype: str) -> None:
    net, wanted = halved(filled_network("decoder"), dtype), golden("17_decoder")
    feature = torch.from_numpy(0.5 * det_normal(171, (1, 256, 64, 64)))
    out = net(feature.to(getattr(torch, dtype))).float()
    assert furthest(out[:, :, ::4, ::4], wanted["out_sub"]) < 2e-2 * HALVES[dtype]
    apart = np.abs(out[:, :, 200:264, 200:264].numpy() - wanted["out_crop"])
    assert apart.mean() < 1e-3 * HALVES[dtype]


def halved(network: Any, dtype: str) -> Any:
    """A copy: the network itself is kept for other tests."""
    short = {"float16": "fp16", "bfloat16": "bf16"}[dtype]
    if not getattr(torch.ops.mkldnn, f"_is_mkldnn_{short}_supported")():
        pytest.skip(f"this processor has no convolutions in {dtype}")
    return deepcopy(network).to(getattr(torch, dtype))
