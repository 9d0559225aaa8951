"""What runs plans binds, shares and cuts as it should: on fakes of engine and card."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.kept import Kept
from deployments.avatar.ditto.runtime import Networks
from deployments.avatar.ditto.tensorrt.kernels import Kernels
from deployments.avatar.ditto.tensorrt.networks import PlanNetworks, cuts, sizes
from deployments.avatar.ditto.tensorrt.plans import Gpu, Plans
from deployments.avatar.ditto.tensorrt.workshop import Workshop
from deployments.errors import EngineInputError, EngineLoadError, EngineRuntimeError
from tests.ditto.conftest import Exports
from tests.ditto.fake_tensorrt import FakeCard, FakeContext, FakeEngine
from tests.ditto.fill_weights import det_uniform
from tests.ditto.golden import furthest
from tests.ditto.inputs import picture, points, windows_of
from tests.ditto.published_files import published_files

torch = pytest.importorskip("torch", reason="buffers are torch's; make test installs it")
trt = pytest.importorskip("tensorrt_rtx", reason="the fakes speak in its terms; of make test")


@pytest.fixture(scope="module")
def in_torch(tiny_exports: Exports) -> Networks[Any]:
    from deployments.avatar.ditto.networks.torch_networks import TorchNetworks

    networks: Networks[Any] = TorchNetworks(tiny_exports.checkpoint)
    return networks


@pytest.fixture(scope="module")
def card() -> FakeCard:
    return FakeCard()


def engines(exports: Exports) -> dict[str, FakeEngine]:
    files = {**exports.graphs, "hubert": exports.checkpoint["hubert"]}
    return {name: FakeEngine(trt, name, path) for name, path in files.items()}


@pytest.fixture(scope="module")
def in_plans(
    tiny_exports: Exports, card: FakeCard, tmp_path_factory: pytest.TempPathFactory
) -> PlanNetworks:
    kernels = Kernels(trt, Kept(tmp_path_factory.mktemp("kernels")), {"of": "a card"})
    return PlanNetworks(kernels, engines(tiny_exports), card)


def test_a_portrait_and_sound_are_taken_in_alike(
    in_torch: Networks[Any], in_plans: Networks[Any]
) -> None:
    sound = det_uniform(1, (6480,))
    assert furthest(in_plans.hear(sound), in_torch.hear(sound)) < 1e-5
    volume = in_plans.appearance(picture())
    in_plans.appearance(picture(4))  # whose volume is another one, not in the place of the first
    assert furthest(volume, in_torch.appearance(picture()).numpy()) < 1e-4
    wanted, got = in_torch.motion_info(picture()), in_plans.motion_info(picture())
    assert list(got) == list(wanted)
    for name, part in wanted.items():
        assert furthest(got[name], part) < 1e-4


@pytest.mark.parametrize("n", [1, 3, 17])
def test_motion_is_alike(in_torch: Networks[Any], in_plans: Networks[Any], n: int) -> None:
    assert furthest(windows_of(in_plans, n), windows_of(in_torch, n)) < 1e-4
    source, driven = points(5, 30 * n).swapaxes(0, 1)
    assert furthest(in_plans.stitch(source, driven), in_torch.stitch(source, driven)) < 1e-4


@pytest.mark.parametrize("n", [1, 3, 5])
def test_faces_are_painted_alike(in_torch: Networks[Any], in_plans: Networks[Any], n: int) -> None:
    pictures = [picture(seed) for seed in range(n)]
    wanted = in_torch.paint([in_torch.appearance(one) for one in pictures], points(6, n))
    got = in_plans.paint([in_plans.appearance(one) for one in pictures], points(6, n))
    assert furthest(got.astype(int), wanted.astype(int)) <= 1


def test_nothing_is_allocated_or_recorded_again_for_a_size_that_was_there(
    in_plans: Networks[Any], card: FakeCard
) -> None:
    volume = in_plans.appearance(picture())
    in_plans.paint([volume] * 3, points(6, 3))
    windows_of(in_plans, 3)
    before = card.n_allocated, card.n_recorded
    for n in (3, 2, 1):
        in_plans.paint([volume] * n, points(6, n))
    windows_of(in_plans, 3)
    assert (card.n_allocated, card.n_recorded) == before


def test_batches_are_cut_into_few_sizes() -> None:
    assert [list(range(37))[cut] for cut in cuts(37, 16)] == [
        list(range(16)), list(range(16, 32)), list(range(32, 36)), [36],
    ]  # fmt: skip
    assert list(cuts(0, 16)) == []
    assert [cut.stop - cut.start for cut in cuts(11, 6)] == [6, 3, 1, 1]
    assert [sizes(most) for most in (8, 6, 1)] == [[8, 4, 2, 1], [6, 3, 1], [1]]


def test_whatever_is_drawn_live_was_recorded_before(tiny_exports: Exports, tmp_path: Path) -> None:
    card = FakeCard()
    networks = PlanNetworks(Kernels(trt, Kept(tmp_path), {}), engines(tiny_exports), card)
    networks.record()
    networks.sampler(3)
    before = card.n_allocated, card.n_recorded
    networks.hear(det_uniform(1, (6480,)))
    networks.motion_info(picture())
    volume = networks.appearance(picture())
    for n in range(1, 6):
        networks.paint([volume] * n, points(6, n))
        networks.stitch(*points(5, n).swapaxes(0, 1))
    windows_of(networks, 7)
    assert (card.n_allocated, card.n_recorded) == before


def test_compiled_kernels_are_shared_and_kept_for_the_next_start(
    tiny_exports: Exports, tmp_path: Path
) -> None:
    made_of, graphs = {"of": "a card"}, engines(tiny_exports)
    first = Kernels(trt, Kept(tmp_path), made_of)
    for name in ("warp_network", "decoder"):
        first.new_context(graphs[name])
    first.keep()
    second = Kernels(trt, Kept(tmp_path), made_of)
    second.new_context(graphs["hubert"])
    second.keep()
    path = Kept(tmp_path).path("kernels", made_of)
    assert path is not None
    assert path.read_text() == "warp_network decoder hubert"
    assert Kept(tmp_path).path("kernels", {"of": "another card"}) is None


def test_what_the_plans_were_not_built_for_is_refused(in_plans: Networks[Any]) -> None:
    with pytest.raises(EngineInputError, match="hubert takes no input_values"):
        in_plans.hear(det_uniform(1, (640,)))
    with pytest.raises(EngineLoadError, match="up to 50 steps, not 51"):
        in_plans.sampler(51)


def test_a_card_that_fails_is_said(
    in_plans: Networks[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeContext, "execute_async_v3", lambda self, stream: False)
    with pytest.raises(EngineRuntimeError, match="could not run motion_extractor"):
        in_plans.motion_info(picture())


def test_steps_of_different_numbers_do_not_mix(
    in_torch: Networks[Any], in_plans: Networks[Any]
) -> None:
    for n_steps in (2, 5, 2):
        wanted = windows_of(in_torch, 2, n_steps)
        assert np.abs(windows_of(in_plans, 2, n_steps) - wanted).max() < 1e-4


def test_published_networks_are_run_one_by_one(
    in_torch: Networks[Any], tiny_exports: Exports, tmp_path: Path
) -> None:
    workshop = Workshop(Plans(trt, Gpu("a card", "8.9"), Kept(tmp_path), print))
    onnx = workshop.onnx(published_files(tiny_exports, tmp_path, "plugin"))
    fakes = {name: FakeEngine(trt, name, path) for name, path in onnx.items()}
    networks: Networks[Any] = PlanNetworks(workshop.kernels(), fakes, FakeCard())
    pictures = [picture(seed) for seed in range(3)]
    wanted = in_torch.paint([in_torch.appearance(one) for one in pictures], points(6, 3))
    got = networks.paint([networks.appearance(one) for one in pictures], points(6, 3))
    assert furthest(got.astype(int), wanted.astype(int)) <= 1
    source, driven = points(5, 3).swapaxes(0, 1)
    assert furthest(networks.stitch(source, driven), in_torch.stitch(source, driven)) < 1e-4
    assert list(networks.motion_info(picture())) == list(in_torch.motion_info(picture()))
    for i, window in enumerate(windows_of(networks, 2)):  # the stand-in's: see published_files
        assert (
            furthest(window, np.full((80, 265), 0.332) + 0.3 * det_uniform(20 + i, (265,))) < 1e-5
        )
