"""Checkpoints are loaded strictly, without running what is in them, in all published layouts."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from deployments.avatar.ditto.sizes import sizes_of
from deployments.avatar.ditto.weights import NETWORKS, build_network, load_network
from deployments.errors import EngineLoadError
from tests.ditto.fill_weights import det_normal, fill_module
from tests.ditto.golden import furthest
from tests.tiny_models.make_tiny_ditto import sizes as tiny_sizes

torch = pytest.importorskip("torch", reason="the networks need torch, which make test installs")

STITCH = {"points": 3, "width": 8}
DECODER = {"features": 16, "width": 24, "hidden": 8, "n_middle": 1}


def small(name: str, **sizes: Any) -> Any:
    return fill_module(build_network(name, "cpu", **sizes))


def sizes_of_lmdm() -> dict[str, Any]:
    from deployments.avatar.ditto.networks.lmdm import LmdmSizes

    small_sizes = LmdmSizes(motion=7, condition=9, frames=6, latent=16, hidden=24)
    return {"sizes": small_sizes}


def saved(folder: Path, content: object) -> Path:
    torch.save(content, folder / "network.pth")
    return folder / "network.pth"


def test_a_file_that_is_the_state_dict_itself(tmp_path: Path) -> None:
    path = saved(tmp_path, small("decoder", **DECODER).state_dict())
    net = load_network("decoder", path)
    with torch.inference_mode():
        assert net(torch.from_numpy(det_normal(1, (1, 16, 4, 4)))).shape == (1, 3, 32, 32)
    assert not [name for name, _ in net.named_parameters() if name.endswith("weight_orig")]


def test_stitching_weights_are_unwrapped_and_lose_the_module_in_their_names(tmp_path: Path) -> None:
    net = small("stitch_network", **STITCH)
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    loaded = load_network("stitch_network", saved(tmp_path, {"retarget_shoulder": state}))
    points = [torch.from_numpy(det_normal(seed, (2, 3, 3))) for seed in (1, 2)]
    assert furthest(loaded(*points), net(*points).detach().numpy()) == 0


def test_diffusion_weights_are_unwrapped(tmp_path: Path) -> None:
    state = small("lmdm", **sizes_of_lmdm()).state_dict()
    net = load_network("lmdm", saved(tmp_path, {"model_state_dict": state}))
    assert len(net.layers) == 8
    assert not [one for one in net.state_dict().values() if one.is_meta]


def test_half_precision_files_are_run_in_single(tmp_path: Path) -> None:
    state = small("stitch_network", **STITCH).half().state_dict()
    loaded = load_network("stitch_network", saved(tmp_path, {"retarget_shoulder": state}))
    assert {one.dtype for one in loaded.parameters()} == {torch.float32}


def test_a_missing_an_unknown_and_a_wrong_weight_are_refused(tmp_path: Path) -> None:
    def refusal(state: dict[str, Any]) -> str:
        with pytest.raises(EngineLoadError) as caught:
            load_network("decoder", saved(tmp_path, state))
        return str(caught.value)

    state = dict(small("decoder", **DECODER).state_dict())
    assert "fc.bias" in refusal({key: state[key] for key in state if key != "fc.bias"})
    assert "fc.scale" in refusal({**state, "fc.scale": state["fc.bias"]})
    assert "size mismatch for fc.bias" in refusal({**state, "fc.bias": state["fc.bias"][:3]})


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineLoadError, match="does not hold the weights of lmdm"):
        load_network("lmdm", saved(tmp_path, {"epoch": 3}))
    with pytest.raises(EngineLoadError, match="does not hold the weights of decoder"):
        load_network("decoder", saved(tmp_path, [1, 2]))


def test_a_damaged_file_and_none_at_all_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, small("decoder", **DECODER).state_dict())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(EngineLoadError, match="cannot be read"):
        load_network("decoder", path)
    with pytest.raises(EngineLoadError, match="cannot be read"):
        load_network("decoder", tmp_path / "nothing.pth")


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("as_torch_file", [True, False])
def test_code_in_a_file_does_not_run(tmp_path: Path, as_torch_file: bool) -> None:
    path, mark = tmp_path / "network.pth", tmp_path / "it ran"
    content = {"fc.weight": _Touch(mark)}
    torch.save(content, path) if as_torch_file else path.write_bytes(pickle.dumps(content, 2))
    with pytest.raises(EngineLoadError, match="cannot be read"):
        load_network("decoder", path)
    assert not mark.exists()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", ["published", "tiny"])
def test_sizes_are_read_off_the_weights(name: str, size: str) -> None:
    asked = {} if size == "published" else tiny_sizes()[name]
    state = build_network(name, "meta", **asked).state_dict()
    again = build_network(name, "meta", **sizes_of(name, state)).state_dict()
    assert {k: v.shape for k, v in again.items()} == {k: v.shape for k, v in state.items()}
