"""Whether a model is on this machine, told in one line."""

from pathlib import Path

import pytest

from deployments.errors import EngineLoadError
from deployments.weights import (
    FileRecord,
    Manifest,
    ModelNeed,
    find_model,
    model_problem,
    models_dir,
)

NEED = ModelNeed("small", "hf://somebody/small", ("config.json", "model.bin"), licence="MIT")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model's own, in a ``MODELS_DIR`` of the test."""
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("PROFILE", "cpu")
    (tmp_path / "small").mkdir()
    return tmp_path / "small"


def fill(folder: Path, **sizes: int) -> None:
    """Both files, and a manifest that says how long they should be."""
    for name, content in (("config.json", b"{}"), ("model.bin", b"weights")):
        (folder / name).write_bytes(content)
    records = {name: FileRecord(size=size) for name, size in sizes.items()}
    named = {"config.json": records["config"], "model.bin": records["model"]}
    manifest = Manifest(source=NEED.source, files=named)
    (folder / "manifest.json").write_text(manifest.model_dump_json())


def test_a_model_that_is_whole_is_found(folder: Path) -> None:
    fill(folder, config=2, model=7)
    assert find_model(NEED, "asr") == folder


def test_a_model_that_was_copied_by_hand_is_found_by_its_files(folder: Path) -> None:
    fill(folder, config=2, model=7)
    (folder / "manifest.json").unlink()
    assert find_model(NEED, "asr") == folder


def test_a_missing_file_is_one_line_with_its_place_and_the_command(folder: Path) -> None:
    fill(folder, config=2, model=7)
    (folder / "model.bin").unlink()
    with pytest.raises(EngineLoadError) as caught:
        find_model(NEED, "asr")
    assert caught.value.stage == "asr"
    assert caught.value.message == (
        f"the model small: {folder}/model.bin is missing; run: make models PROFILE=cpu"
    )


def test_where_no_profile_is_known_the_command_has_a_gap(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROFILE")
    with pytest.raises(EngineLoadError, match=r"run: make models PROFILE=\.\.\.$"):
        find_model(NEED, "asr")


def test_half_a_file_is_said_to_be_half(folder: Path) -> None:
    fill(folder, config=2, model=7)
    (folder / "model.bin").rename(folder / "model.bin.part")
    assert model_problem(NEED) == f"the model small: {folder}/model.bin is only half fetched"


def test_a_file_of_another_length_is_damaged(folder: Path) -> None:
    fill(folder, config=2, model=1234)
    assert model_problem(NEED) == (
        f"the model small: {folder}/model.bin is damaged: it has 7 bytes and should have 1,234"
    )


def test_a_manifest_that_nobody_can_read_is_named(folder: Path) -> None:
    fill(folder, config=2, model=7)
    (folder / "manifest.json").write_text("{")
    assert model_problem(NEED) == f"the model small: {folder}/manifest.json is damaged"


def test_models_are_in_the_project_unless_models_dir_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELS_DIR", "")
    assert models_dir() == Path(__file__).resolve().parents[2] / "var" / "models"
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    assert models_dir() == tmp_path
