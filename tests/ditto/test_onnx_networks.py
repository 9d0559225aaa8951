"""The networks on ONNX Runtime give what they give in torch; published files are read too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.export import Form, exported
from deployments.avatar.ditto.kept import Kept
from deployments.avatar.ditto.onnx_networks import OnnxNetworks
from deployments.avatar.ditto.runtime import Networks
from deployments.avatar.ditto.sessions import OnnxGraph, opened
from deployments.avatar.engine import DrawRequest
from deployments.errors import EngineLoadError
from tests.ditto.conftest import Exports
from tests.ditto.fill_weights import det_uniform
from tests.ditto.golden import furthest, golden
from tests.ditto.inputs import picture, points, windows_of
from tests.ditto.published_files import published_files
from tests.ditto.replies import mira, stretch, tiny_engine, voice

torch = pytest.importorskip("torch", reason="the networks need torch, which make test installs")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed; make test installs it")
pytest.importorskip("onnxscript", reason="torch exports with onnxscript; make test installs it")


@pytest.fixture(scope="module")
def in_torch(tiny_exports: Exports) -> Networks[Any]:
    from deployments.avatar.ditto.networks.torch_networks import TorchNetworks

    networks: Networks[Any] = TorchNetworks(tiny_exports.checkpoint)
    return networks


@pytest.fixture(scope="module")
def in_onnx(tiny_exports: Exports) -> Networks[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINES_DIR", str(tiny_exports.folder))
        networks: Networks[Any] = OnnxNetworks(tiny_exports.checkpoint)
    return networks


def test_sound_is_heard_alike(in_torch: Networks[Any], in_onnx: Networks[Any]) -> None:
    sound = det_uniform(1, (6480,))
    assert in_onnx.hear(sound).shape == (20, 1024)
    assert furthest(in_onnx.hear(sound), in_torch.hear(sound)) == 0


def test_a_portrait_is_seen_alike(in_torch: Networks[Any], in_onnx: Networks[Any]) -> None:
    volume = in_torch.appearance(picture())
    assert furthest(in_onnx.appearance(picture()), volume.numpy()) < 1e-4
    wanted, got = in_torch.motion_info(picture()), in_onnx.motion_info(picture())
    assert list(got) == list(wanted)
    for name, part in wanted.items():
        assert furthest(got[name], part) < 1e-4


@pytest.mark.parametrize("n", [1, 3])
def test_motion_is_alike(in_torch: Networks[Any], in_onnx: Networks[Any], n: int) -> None:
    wanted = windows_of(in_torch, n)
    assert np.std(wanted) > 0.01
    assert furthest(windows_of(in_onnx, n), wanted) < 1e-4
    source, driven = points(5, n).swapaxes(0, 1)
    assert furthest(in_onnx.stitch(source, driven), in_torch.stitch(source, driven)) < 1e-4


@pytest.mark.parametrize("n", [1, 3])
def test_faces_are_painted_alike(in_torch: Networks[Any], in_onnx: Networks[Any], n: int) -> None:
    pictures = [picture(seed) for seed in range(n)]
    wanted = in_torch.paint([in_torch.appearance(one) for one in pictures], points(6, n))
    got = in_onnx.paint([in_onnx.appearance(one) for one in pictures], points(6, n))
    assert got.dtype == np.uint8
    assert np.std(wanted) > 5
    assert furthest(got.astype(int), wanted.astype(int)) <= 1


def test_faces_in_half_precision_are_nearly_the_same(
    in_torch: Networks[Any], tiny_exports: Exports
) -> None:
    warp = OnnxGraph(opened(tiny_exports.half_warp, "warp"))
    single = OnnxGraph(opened(tiny_exports.graphs["warp_network"], "warp"))
    (both,) = points(7, 1)
    fed = {
        "feature_3d": in_torch.appearance(picture()).numpy()[None],
        "kp_source": both[:1],
        "kp_driving": both[1:],
    }
    [wanted], [got] = single(**fed), warp(**fed)
    assert got.dtype == np.float16
    assert furthest(got, wanted) < 1e-2


def test_a_reply_begun_in_torch_goes_on_in_onnx_runtime(
    tiny_exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINES_DIR", str(tiny_exports.folder))
    engines = [tiny_engine(tiny_exports.root, runtime=name) for name in ("torch", "onnxruntime")]
    portraits = [mira(engine) for engine in engines]
    sound = voice(30)
    _, state = engines[0].move(portraits[0], stretch(engines[0], sound, range(11)))
    motions, frames = [], []
    for engine, portrait in zip(engines, portraits, strict=True):
        motion, _ = engine.move(portrait, stretch(engine, sound, range(11, 30), state))
        [frame] = engine.draw([DrawRequest(portrait, motion[5], 0.0)])
        motions.append(motion)
        frames.append(frame.astype(int))
    assert furthest(motions[1], motions[0]) < 1e-4
    assert furthest(frames[1], frames[0]) <= 1


@pytest.mark.parametrize("form", ["sample", "sample_by_gathering"])
def test_both_forms_of_sampling_are_exported(form: str) -> None:
    from deployments.avatar.ditto import grid_sample
    from deployments.avatar.ditto.export import onnx_bytes
    from deployments.avatar.ditto.networks.graphs import Graph

    class Sampling(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, volume: Any, grid: Any) -> Any:
            return getattr(grid_sample, form)(volume, grid)

    wanted = golden("23_grid_sample3d")
    inputs = {"volume": torch.from_numpy(wanted["x"]), "grid": torch.from_numpy(wanted["grid"])}
    free: dict[str, dict[int, str]] = {"volume": {0: "batch"}, "grid": {0: "batch"}}
    content = onnx_bytes(Graph(form, Sampling(), inputs, ("out",), free))
    assert (b"GridSample" in content) == (form == "sample")
    [out] = OnnxGraph(opened(content, form))(volume=wanted["x"], grid=wanted["grid"])
    assert furthest(out, wanted["out"]) < 1e-6


def test_an_export_is_made_once(
    tiny_exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployments.avatar.ditto import export

    calls: list[str] = []
    monkeypatch.setattr(export, "onnx_bytes", lambda graph: graph.name.encode())
    files, kept = {"stitch_network": tiny_exports.checkpoint["stitch_network"]}, Kept(tmp_path)
    first = exported(files, kept, Form(), calls.append)
    assert first["stitch_network"].read_bytes() == b"stitch_network"
    assert exported(files, kept, Form(), calls.append) == first
    assert calls == ["stitch_network: exporting stitch_network.pth to ONNX"]
    assert exported(files, kept, Form(half=True), calls.append) != first
    first["stitch_network"].write_bytes(b"damaged")
    assert exported(files, kept, Form(), calls.append) == first
    assert first["stitch_network"].read_bytes() == b"stitch_network"
    assert len(calls) == 3


@pytest.mark.parametrize("form", ["plugin", "older opset"])
def test_published_files_give_the_same(
    in_torch: Networks[Any], tiny_exports: Exports, tmp_path: Path, form: str
) -> None:
    published = OnnxNetworks(published_files(tiny_exports, tmp_path, form))
    pictures = [picture(seed) for seed in range(2)]
    wanted = in_torch.paint([in_torch.appearance(one) for one in pictures], points(6, 2))
    got = published.paint([published.appearance(one) for one in pictures], points(6, 2))
    assert furthest(got.astype(int), wanted.astype(int)) <= 1
    source, driven = points(5, 3).swapaxes(0, 1)
    assert furthest(published.stitch(source, driven), in_torch.stitch(source, driven)) < 1e-4
    assert {k: v.shape for k, v in published.motion_info(picture()).items()} == {
        k: v.shape for k, v in in_torch.motion_info(picture()).items()
    }


def test_the_published_diffusion_goes_step_by_step_for_each_session(
    tiny_exports: Exports, tmp_path: Path
) -> None:
    published = OnnxNetworks(published_files(tiny_exports, tmp_path, "plugin"))
    got = windows_of(published, 2)
    # The stand-in gives the frame before, plus a thousandth of the time; the last time is 332.
    wanted = [0.3 * det_uniform(20 + i, (265,)) + 0.332 for i in range(2)]
    for window, before in zip(got, wanted, strict=True):
        assert furthest(window, np.broadcast_to(before, (80, 265))) < 1e-5


def test_sampling_that_is_not_dittos_is_refused(tiny_exports: Exports, tmp_path: Path) -> None:
    files = published_files(tiny_exports, tmp_path, "plugin", padding=1)
    with pytest.raises(EngineLoadError, match="padding_mode 1"):
        OnnxNetworks(files)


def test_a_file_that_is_none_is_refused(tiny_exports: Exports, tmp_path: Path) -> None:
    files = published_files(tiny_exports, tmp_path, "plugin")
    for name, text in (("decoder", "cannot be loaded"), ("warp_network", "cannot be read")):
        files[name].write_bytes(b"not ONNX")
        with pytest.raises(EngineLoadError, match=rf"{name}\.onnx {text}"):
            OnnxNetworks(files)
        files = published_files(tiny_exports, tmp_path, "plugin")
