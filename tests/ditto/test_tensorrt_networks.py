"""What runs plans binds, shares and cuts as it should: on fakes of engine and card."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.kept import Kept
from deployments.avatar.ditto.runtime import Networks
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


@pytest.fixture(scope="module")
def in_plans(tiny_exports: Exports, card: FakeCard) -> Networks[Any]:
    from deployments.avatar.ditto.tensorrt.networks import PlanNetworks

    files = {**tiny_exports.graphs, "hubert": tiny_exports.checkpoint["hubert"]}
    engines = {name: FakeEngine(trt, name, path) for name, path in files.items()}
    networks: Networks[Any] = PlanNetworks(trt, engines, card)
    return networks


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
    from deployments.avatar.ditto.tensorrt.networks import cuts

    assert [list(range(37))[cut] for cut in cuts(37, 16)] == [
        list(range(16)), list(range(16, 32)), list(range(32, 36)), [36],
    ]  # fmt: skip
    assert list(cuts(0, 16)) == []


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
    from deployments.avatar.ditto.tensorrt.networks import PlanNetworks

    workshop = Workshop(Plans(trt, Gpu("a card", "8.9"), Kept(tmp_path), print))
    onnx = workshop.onnx(published_files(tiny_exports, tmp_path, "plugin"))
    engines = {name: FakeEngine(trt, name, path) for name, path in onnx.items()}
    networks: Networks[Any] = PlanNetworks(trt, engines, FakeCard())
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
