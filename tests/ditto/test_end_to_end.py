"""From features to a finished frame, against the published implementation (goldens 22)."""

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.avatar import DittoPortrait
from deployments.avatar.ditto.condition import Conditions, emotion_of
from deployments.avatar.ditto.files import NETWORKS
from deployments.avatar.ditto.jobs import Job, run
from deployments.avatar.ditto.paste import PastePlan
from deployments.avatar.ditto.schedule import schedule
from deployments.avatar.ditto.stitcher import Stitcher, StitchSettings, StitchState
from deployments.avatar.ditto.windows import Windows, WindowSettings
from deployments.avatar.engine import DrawRequest
from tests.ditto.conftest import FilledNetwork
from tests.ditto.fill_weights import det_image, det_normal, fill_module
from tests.ditto.golden import golden
from tests.ditto.recipes import character, stitch_net
from tests.ditto.replies import tiny_engine

torch = pytest.importorskip("torch", reason="the networks need torch, which make test installs")
pytest.importorskip("onnxruntime", reason="HuBERT needs onnxruntime, which make test installs")

_N = 38


def test_sound_moves_the_key_points_as_published(filled_network: FilledNetwork) -> None:
    from deployments.avatar.ditto.networks.sampler import DiffusionSampler

    want, denoiser = golden("22_offline_e2e"), copy.deepcopy(filled_network("lmdm"))
    with torch.no_grad():
        for part in denoiser.final_layer.parameters():
            part.mul_(0.003)
    features = (0.3 * det_normal(8000, (200, 1024))).astype(np.float32)[:_N]
    windows = Windows(WindowSettings(), Conditions(character(1), emotion_of([4])[None]))
    steps = windows.advance(windows.begin(features), features, is_last=True)
    base = int(want["noise_base"])
    job = Job(steps, lambda k: det_normal(base + k, (80, 265)))
    [(motion, _)] = run([job], DiffusionSampler(denoiser, schedule(10)))
    stitcher = Stitcher(character(1), StitchSettings(), stitch_net())
    source, driven, _ = stitcher.advance(StitchState(), motion)
    np.testing.assert_allclose(motion + np.eye(1, 265), want["res"], rtol=0, atol=2e-4)
    np.testing.assert_allclose(source[:1], want["x_s"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(driven, want["x_d"], rtol=0, atol=2e-4)


def write_full_size(name: str, folder: Path) -> None:
    """The published size's weights in the place of the tiny ones."""
    from deployments.avatar.ditto.weights import build_network

    state = fill_module(build_network(name, "cpu")).state_dict()
    torch.save(state, folder / NETWORKS["torch", False][name])


def test_the_engine_draws_the_published_frame(tiny_ditto: Path, tmp_path: Path) -> None:
    """At full size: some seconds, 2 GB. One frame, since each would take the same way."""
    folder, want = tmp_path / "ditto", golden("22_offline_e2e")
    shutil.copytree(tiny_ditto, folder)
    for name in ("warp_network", "decoder"):
        write_full_size(name, folder)
    engine = tiny_engine(folder, width_px=320, height_px=384)
    volume = (0.5 * det_normal(161, (1, 32, 16, 64, 64)))[0]
    picture = np.ascontiguousarray(det_image(5, 384, 320)[..., ::-1])
    paste = PastePlan(want["M_c2o"], picture)
    portrait = DittoPortrait("golden", torch.from_numpy(volume), character(1), paste)
    motion = np.concatenate((want["x_s"][0], want["x_d"][0])).reshape(-1)
    [frame] = engine.draw([DrawRequest(portrait, motion, 0.1)])
    for shown, published in ((frame[::2, ::2], "frame0"), (frame[::8, ::8], "frames_s8")):
        assert_alike(shown[..., ::-1], want[published].reshape(-1, *shown.shape)[0])
    assert frame.mean() == pytest.approx(want["frame_mean"][0], abs=0.2)


def assert_alike(shown: Any, published: Any) -> None:
    """The goldens' tolerances."""
    away = np.abs(shown.astype(int) - published)
    assert away.mean() <= 0.5
    assert (away <= 3).mean() >= 0.999
