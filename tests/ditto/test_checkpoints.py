"""Checkpoints that move otherwise are told apart, and what asks for the impossible is refused."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.files import CONFIGS, LIVE_CONFIG, NETWORKS, OFFLINE_CONFIG
from deployments.avatar.ditto.kept import mark_of
from deployments.avatar.ditto.loading import loaded
from deployments.avatar.ditto.settings import DittoSettings
from deployments.errors import ConfigError, EngineInputError, EngineLoadError
from tests.ditto.replies import mira, stretch, tiny_engine, voice
from tests.tiny_models.make_tiny_ditto import write_configs, write_hubert

pytest.importorskip("torch", reason="the networks need torch, which make test installs")
pytest.importorskip("onnxruntime", reason="HuBERT needs onnxruntime, which make test installs")


def linked(folder: Path, to: Path) -> Path:
    """A folder of the same files, each of which may be replaced."""
    shutil.copytree(folder, to, copy_function=os.link)
    return to


def replaced(folder: Path, name: str) -> Path:
    path = folder / NETWORKS["torch", False][name]
    path.unlink()
    return path


def other_hubert(folder: Path) -> None:
    pytest.importorskip("onnx", reason="the network of this test is made with onnx")
    write_hubert(replaced(folder, "hubert"), seed=8)


def other_configs(folder: Path) -> None:
    shutil.rmtree(folder / CONFIGS)
    write_configs(folder, seed=8)


def other_weights(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        import torch

        state = torch.load(folder / NETWORKS["torch", False][name], weights_only=True)
        [weights] = state.values()
        last = list(weights)[-1]
        weights[last] = weights[last] + 0.01
        torch.save(state, replaced(folder, name))

    return change


@pytest.mark.parametrize(
    "change",
    [other_hubert, other_configs, other_weights("lmdm"), other_weights("stitch_network")],
    ids=["hubert", "configs", "lmdm", "stitch_network"],
)
def test_a_state_of_another_checkpoint_is_refused(
    tiny_ditto: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = linked(tiny_ditto, tmp_path / "ditto")
    ours, same = tiny_engine(tiny_ditto), tiny_engine(folder)
    change(folder)
    other = tiny_engine(folder)
    portrait, sound = mira(ours), voice(30)
    _, state = ours.move(portrait, stretch(ours, sound, range(10)))
    then = stretch(ours, sound, range(10, 20), state)
    assert np.array_equal(same.move(portrait, then)[0], ours.move(portrait, then)[0])
    with pytest.raises(EngineInputError, match="another way of moving"):
        other.move(portrait, then)


def test_files_of_weights_are_told_apart_by_parts_of_them(tmp_path: Path) -> None:
    path, content = tmp_path / "weights", np.zeros(5_000_000, np.uint8)

    def mark(at: int | None = None, less: int = 0) -> str:
        changed = content[: len(content) - less].copy()
        if at is not None:
            changed[at] = 1
        path.write_bytes(changed.tobytes())
        return mark_of(path)

    assert mark() == mark()
    assert len({mark(), mark(0), mark(-1), mark(2_560_000), mark(less=1)}) == 5
    path.write_bytes(b"")
    assert mark_of(path)
    with pytest.raises(EngineLoadError, match="nowhere cannot be read"):
        mark_of(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"live_config": OFFLINE_CONFIG}, r"live_config: .* is not of the live way"),
        ({"offline_config": LIVE_CONFIG}, r"offline_config: .* is not of the offline way"),
        ({"runtime": "tensorrt", "live_steps": 51}, r"51 steps .* up to 50"),
        ({"runtime": "tensorrt", "offline_steps": 1000}, r"1000 steps .* up to 50"),
    ],
)
def test_what_no_checkpoint_can_do_is_refused(
    tiny_ditto: Path, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        loaded(DittoSettings.model_validate({"model": str(tiny_ditto), **options}))


def test_half_precision_is_what_the_device_has_units_for(tiny_ditto: Path) -> None:
    import torch

    for precision, dtype in (("auto", torch.float32), ("half", torch.bfloat16)):
        assert mira(tiny_engine(tiny_ditto, precision=precision)).volume.dtype == dtype
