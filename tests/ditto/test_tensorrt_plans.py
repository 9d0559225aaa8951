"""Real plans are built without a GPU, kept, and built anew where they do not fit."""

import json
from pathlib import Path
from typing import Any

import pytest

from deployments.avatar.ditto.kept import Kept
from deployments.avatar.ditto.tensorrt.builder import build
from deployments.avatar.ditto.tensorrt.library import imported, samples_volumes
from deployments.avatar.ditto.tensorrt.plans import Gpu, Plans
from deployments.avatar.ditto.tensorrt.workshop import Workshop
from deployments.avatar.ditto.weights import NETWORKS
from deployments.errors import EngineLoadError
from tests.ditto.conftest import Exports
from tests.ditto.published_files import published_files

trt = pytest.importorskip(
    "tensorrt_rtx", reason="builds plans without a GPU; make test installs it"
)

L4 = Gpu("NVIDIA L4", "8.9")


class Said(list[str]):
    """Told to whoever waits."""

    def __call__(self, line: str) -> None:
        self.append(line)


def plans(folder: Path, said: Said, **other: Any) -> Plans:
    settings: dict[str, Any] = {"trt": trt, "gpu": L4, "kept": Kept(folder), "say": said}
    return Plans(**settings | other)


def stitch(exports: Exports) -> Path:
    return exports.graphs["stitch_network"]


GRAPHS = (
    "appearance_extractor", "motion_extractor", "stitch_network", "warp_network", "decoder",
    "lmdm_window", "lmdm_step",
)  # fmt: skip


def test_a_network_in_half_precision_becomes_a_smaller_plan(tiny_exports: Exports) -> None:
    single = build(trt, "warp_network", tiny_exports.graphs["warp_network"].read_bytes(), 8)
    half = build(trt, "warp_network", tiny_exports.half_warp.read_bytes(), 8)
    assert len(half) < 0.9 * len(single)


def test_plans_calculate_without_tf32(
    tiny_exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every replica has to make the same motion, which TF32's ten bits do not."""
    configs: list[Any] = []

    def build_nothing(self: Any, network: Any, config: Any) -> None:
        configs.append(config)

    monkeypatch.setattr(trt.Builder, "build_serialized_network", build_nothing)
    with pytest.raises(EngineLoadError, match="does not say why"):
        build(trt, "stitch_network", stitch(tiny_exports).read_bytes(), 8)
    assert [config.get_flag(trt.BuilderFlag.TF32) for config in configs] == [False]


def test_a_plan_is_built_once(tiny_exports: Exports, tmp_path: Path) -> None:
    said = Said()
    first = plans(tmp_path, said).path("stitch_network", stitch(tiny_exports))
    assert plans(tmp_path, said).path("stitch_network", stitch(tiny_exports)) == first
    assert said[0] == "stitch_network: building a plan for NVIDIA L4"
    assert said[1].endswith(f"MB, {first}")
    assert len(said) == 2


def test_another_card_version_precision_or_file_has_another_plan(
    tiny_exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "deployments.avatar.ditto.tensorrt.plans.build", lambda *_: b"what is built"
    )
    other_file = tmp_path / "other.onnx"
    other_file.write_bytes(b"other")
    kept = tmp_path / "kept"
    paths = [
        plans(kept, Said()).path("decoder", stitch(tiny_exports)),
        plans(kept, Said()).path("decoder", other_file),
        plans(kept, Said()).path("warp_network", stitch(tiny_exports)),
        plans(kept, Said(), gpu=Gpu("NVIDIA L40S", "8.9")).path("decoder", stitch(tiny_exports)),
        plans(kept, Said(), gpu=Gpu("NVIDIA L4", "9.0")).path("decoder", stitch(tiny_exports)),
        plans(kept, Said(), is_half=False).path("decoder", stitch(tiny_exports)),
        plans(kept, Said(), frames=4).path("decoder", stitch(tiny_exports)),
        plans(kept, Said(), memory_gb=2.0).path("decoder", stitch(tiny_exports)),
    ]
    monkeypatch.setattr(trt, "__version__", "99.0")
    paths.append(plans(kept, Said()).path("decoder", stitch(tiny_exports)))
    assert len(set(paths)) == 9
    record = json.loads(Path(f"{paths[0]}.json").read_text())
    assert record["made_of"]["gpu"] == {"name": "NVIDIA L4", "capability": "8.9"}
    assert record["made_of"]["library"].startswith("tensorrt_rtx ")


def test_a_half_written_plan_is_built_anew(tiny_exports: Exports, tmp_path: Path) -> None:
    said = Said()
    path = plans(tmp_path, said).path("stitch_network", stitch(tiny_exports))
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    assert plans(tmp_path, said).path("stitch_network", stitch(tiny_exports)) == path
    assert len(path.read_bytes()) == len(whole)
    assert len(said) == 4


def test_a_plan_that_somebody_else_put_there_is_not_taken(
    tiny_exports: Exports, tmp_path: Path
) -> None:
    said = Said()
    path = plans(tmp_path, said).path("stitch_network", stitch(tiny_exports))
    path.write_bytes(b"code of a stranger")
    taken: list[bytes] = []

    def take(plan: bytes) -> bool:
        taken.append(plan)
        return True

    assert plans(tmp_path, said).load("stitch_network", stitch(tiny_exports), take)
    assert len(taken) == 1
    assert len(taken[0]) > 10_000


def test_a_folder_that_all_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(EngineLoadError, match="others may write"):
        Kept(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineLoadError, match="set ENGINES_DIR"):
        Kept(tmp_path / "file" / "engines")


def test_a_plan_that_the_library_does_not_take_is_built_once_more(
    tiny_exports: Exports, tmp_path: Path
) -> None:
    answers, said = [None, "an engine"], Said()
    engine = plans(tmp_path, said).load(
        "stitch_network", stitch(tiny_exports), lambda plan: answers.pop(0)
    )
    assert engine == "an engine"
    assert "stitch_network: the plan is not taken, building it anew" in said


def test_here_the_library_takes_none_and_it_is_said(tiny_exports: Exports, tmp_path: Path) -> None:
    """Without a GPU that is what it really does; with one it takes its own plan."""
    torch = pytest.importorskip("torch", reason="says whether there is a GPU")
    from deployments.avatar.ditto.tensorrt.builder import logger

    if torch.cuda.is_available():
        pytest.skip("there is a GPU: tests/gpu runs plans on it")
    runtime = trt.Runtime(logger(trt))
    with pytest.raises(EngineLoadError, match="takes no plan of stitch_network on NVIDIA L4"):
        plans(tmp_path, Said()).load(
            "stitch_network", stitch(tiny_exports), runtime.deserialize_cuda_engine
        )


def test_what_cannot_be_built_says_why(tiny_exports: Exports) -> None:
    import onnx

    with pytest.raises(EngineLoadError, match=r"cannot build decoder: .+"):
        build(trt, "decoder", b"not ONNX", 8)
    model = onnx.load(stitch(tiny_exports))
    model.graph.node[0].op_type = "GridSample3D"
    with pytest.raises(EngineLoadError, match="GridSample3D"):
        build(trt, "stitch_network", model.SerializeToString(), 8)
    with pytest.raises(EngineLoadError, match="how large its size 'batch' is"):
        build(trt, "another", stitch(tiny_exports).read_bytes(), 8)


def test_without_the_library_or_a_gpu_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="says whether there is a GPU")
    monkeypatch.setenv("ENGINES_DIR", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineLoadError, match="needs a GPU"):
        Workshop.of("cuda", True, None, 8, Said())
    name = "deployments.avatar.ditto.tensorrt.library.import_module"
    monkeypatch.setattr(name, lambda name: __import__(f"{name}_that_is_not_there"))
    with pytest.raises(EngineLoadError, match="pip install"):
        imported()


def test_published_onnx_files_become_plans(tiny_exports: Exports, tmp_path: Path) -> None:
    files = published_files(tiny_exports, tmp_path, "plugin")
    built = Workshop(plans(tmp_path / "engines", Said())).build(files)
    assert set(built) == {*NETWORKS, "hubert"}


def test_a_published_file_is_made_readable_once(
    tiny_exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = published_files(tiny_exports, tmp_path, "plugin")
    workshop = Workshop(plans(tmp_path / "engines", Said()))
    first = workshop.onnx(files)
    assert first["warp_network"] != files["warp_network"]
    monkeypatch.setattr(Kept, "put", lambda *_: pytest.fail("written once more"))
    assert workshop.onnx(files) == first


@pytest.mark.parametrize(
    ("name", "version", "has"),
    [
        ("tensorrt", "10.16.1", False),
        ("tensorrt", "11.2.1", True),
        ("tensorrt", "12.0", True),
        ("tensorrt_rtx", "1.6.0", False),
        ("tensorrt_rtx", "1.7.1", True),
    ],
)
def test_which_versions_sample_volumes(name: str, version: str, has: bool) -> None:
    class Library:
        __name__ = name
        __version__ = version

    assert samples_volumes(Library()) is has


def test_a_checkpoint_becomes_all_its_plans(tiny_exports: Exports) -> None:
    said = Said()
    workshop = Workshop(plans(tiny_exports.folder, said, is_half=False))
    built = workshop.build(tiny_exports.checkpoint)
    assert set(built) == {*GRAPHS, "hubert"}
    assert len([line for line in said if "building" in line]) == len(built)
    assert not [line for line in said if "exporting" in line]
    assert workshop.build(tiny_exports.checkpoint) == built
