"""`make engines`: what a profile's engines run is made beforehand."""

import sys
from pathlib import Path

import pytest
import yaml

from graph import engines
from tests.ditto.conftest import Exports

ROOT = Path(__file__).resolve().parents[2]


def profile(folder: Path, **options: object) -> str:
    """The embedded profile with Ditto's face instead of its own."""
    content = yaml.safe_load((ROOT / "cluster" / "embedded.yaml").read_text())
    content["applications"][0]["args"]["avatar"] = {"engine": "ditto", "options": options}
    (folder / "ditto.yaml").write_text(yaml.safe_dump(content))
    return str(folder / "ditto.yaml")


def run(monkeypatch: pytest.MonkeyPatch, name: str) -> int:
    monkeypatch.setattr(sys, "argv", ["engines", "--profile", name])
    return engines.main()


def test_a_profile_without_such_engines_needs_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "embedded") == 0
    assert capsys.readouterr().out == "The profile embedded needs no engines built.\n"


def test_torch_needs_nothing_built_not_even_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    assert run(monkeypatch, profile(tmp_path, runtime="torch", memory_gb=3.3)) == 0
    assert "nothing has to be built" in capsys.readouterr().out


def test_what_there_is_stays_and_what_is_missing_is_made(
    tiny_exports: Exports,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ENGINES_DIR", str(tiny_exports.folder))
    options = {"model": str(tiny_exports.root), "runtime": "onnxruntime", "device": "cpu"}
    record = Path(f"{tiny_exports.graphs['stitch_network']}.json")
    record.unlink()
    name = profile(tmp_path, **options)
    assert run(monkeypatch, name) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "stitch_network: exporting stitch_network.pth to ONNX"
    assert said[1].startswith(f"The profile {name} has all its engines (")
    assert record.exists()


def test_without_a_gpu_plans_are_refused_in_one_line(
    tiny_exports: Exports,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    name = profile(tmp_path, model=str(tiny_exports.root), runtime="tensorrt")
    assert run(monkeypatch, name) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ditto was promised a GPU, and tensorrt finds none")
    assert said.err.count("\n") == 1
