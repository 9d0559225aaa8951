"""ONNX Runtime on a GPU where there is none: what it is asked for, and what is refused."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from deployments.avatar.ditto import sessions
from deployments.avatar.ditto.hubert import load_hubert
from deployments.avatar.ditto.onnx_networks import OnnxNetworks
from deployments.errors import EngineLoadError
from tests.ditto.conftest import Exports

onnxruntime = pytest.importorskip("onnxruntime", reason="opens sessions; make test installs it")


class FakeSession:
    """A fake of a session on a GPU: keeps what it was opened with, runs nothing."""

    opened: ClassVar["list[FakeSession]"] = []
    has_gpu = True

    def __init__(self, source: Any, options: Any, providers: list[Any]) -> None:
        self.source, self.providers = source, providers
        self.falls_back = True
        self.opened.append(self)

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider"] * self.has_gpu + ["CPUExecutionProvider"]

    def disable_fallback(self) -> None:
        self.falls_back = False

    def get_inputs(self) -> list[Any]:
        return [type("Input", (), {"name": "in", "shape": ["n"], "type": "tensor(float)"})]

    get_outputs = get_inputs


@pytest.fixture
def built_for_gpus(monkeypatch: pytest.MonkeyPatch) -> type[FakeSession]:
    """onnxruntime-gpu in the place of onnxruntime, but for what computes."""
    monkeypatch.setattr(FakeSession, "opened", [])
    monkeypatch.setattr(sessions, "has_cuda", lambda: True)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    return FakeSession


def test_without_onnxruntime_for_gpus_hubert_says_what_to_install(tiny_exports: Exports) -> None:
    with pytest.raises(EngineLoadError, match=r"hubert.*\.onnx: .*install onnxruntime-gpu"):
        load_hubert(tiny_exports.checkpoint["hubert"], "cuda")
    with pytest.raises(EngineLoadError, match="install onnxruntime-gpu"):
        OnnxNetworks(tiny_exports.checkpoint, device="cuda", say=_never)


def test_a_session_that_fell_to_the_processor_is_refused(
    tiny_exports: Exports, built_for_gpus: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built_for_gpus, "has_gpu", False)
    with pytest.raises(EngineLoadError, match=r"cannot run on cuda.* does not find the libraries"):
        load_hubert(tiny_exports.checkpoint["hubert"], "cuda")


def test_libraries_are_looked_for_before_the_first_session(
    tiny_exports: Exports, built_for_gpus: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    monkeypatch.setattr(
        onnxruntime, "preload_dlls", lambda: opened.append(len(built_for_gpus.opened))
    )
    load_hubert(tiny_exports.checkpoint["hubert"], "cuda")
    assert opened == [0]


def test_a_network_on_a_gpu_is_asked_for_float32_on_its_card_and_stays_there(
    tiny_exports: Exports, built_for_gpus: type[FakeSession]
) -> None:
    load_hubert(tiny_exports.checkpoint["hubert"], "cuda:1", 1.5)
    [session] = built_for_gpus.opened
    assert not session.falls_back
    assert session.providers[0] == (
        "CUDAExecutionProvider",
        {
            "device_id": 1,
            "use_tf32": 0,
            "arena_extend_strategy": "kSameAsRequested",
            "gpu_mem_limit": 1_500_000_000,
        },
    )


def test_all_networks_together_stay_within_the_memory_that_was_promised(
    tiny_exports: Exports, built_for_gpus: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINES_DIR", str(tiny_exports.folder))
    OnnxNetworks(tiny_exports.checkpoint, "cuda", memory_gb=2.0)
    limits = {
        Path(session.source).name.split(".")[0]: session.providers[0][1]["gpu_mem_limit"]
        for session in built_for_gpus.opened
    }
    assert len(limits) == 8
    assert sum(limits.values()) == pytest.approx(2e9)
    assert limits["decoder"] > 3 * limits["lmdm_step"]


def test_less_memory_than_the_files_take_is_refused(
    tiny_exports: Exports, built_for_gpus: type[FakeSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINES_DIR", str(tiny_exports.folder))
    with pytest.raises(EngineLoadError, match="memory_gb 1e-06 is less than the files take"):
        OnnxNetworks(tiny_exports.checkpoint, "cuda", memory_gb=1e-6)
    assert built_for_gpus.opened == []


def _never(line: str) -> None:
    raise AssertionError(line)
