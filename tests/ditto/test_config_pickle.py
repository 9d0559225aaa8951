"""The configuration is read from a pickle that could do nothing but be one."""

import datetime
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.avatar.ditto.config_pickle import plain, read_config
from deployments.errors import EngineLoadError

CONFIG = {
    "base_cfg": {"decoder_cfg": {"model_path": "models/decoder.pth", "device": "cuda"}},
    "audio2motion_cfg": {"seq_frames": 80, "use_emo": True, "w2f_type": "hubert"},
    "default_kwargs": {
        "emo": np.linspace(0, 1, 24, dtype=np.float32).reshape(3, 8),
        "v_min_max_for_clip": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "fix_kp_cond_dim": [0, 202],
        "fade_out_keys": ("exp",),
        "delta": np.float32(0.1),
        "ctrl_info": OrderedDict({3: {"delta_yaw": 4, "mark": b"\x00\xff", "none": b""}}),
        "use_d_keys": {"exp", "pitch"},
        "swapped": np.arange(3, dtype=">i2"),
        "ch_info": {"x_s_info_lst": [{"exp": np.zeros((1, 63), np.float32)}], "sc": None},
    },
}


def compared(value: Any) -> Any:
    """Arrays as something that can be compared whole."""
    if isinstance(value, dict):
        return {key: compared(one) for key, one in value.items()}
    if isinstance(value, list):
        return [compared(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return type(value), value.dtype.kind, value.dtype.itemsize, value.shape, value.tolist()
    return value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_come_back_from_every_protocol(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "cfg.pkl"
    path.write_bytes(pickle.dumps(CONFIG, protocol))
    config = read_config(path)
    assert compared(config) == compared(CONFIG)
    config["default_kwargs"]["emo"][0] = 1  # ... and can be written to


def test_pickles_of_older_numpy_are_read() -> None:
    data = pickle.dumps(CONFIG, 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in data
    assert compared(plain(data)) == compared(CONFIG)


class _Calls:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


HOSTILE = {
    "a shell": _Calls(os.system, "exit 3"),
    "code": _Calls(eval, "1 + 1"),
    "a function of ours": _Calls(plain, b""),
    "an attribute of what is allowed": _Calls(np.ndarray.tofile, np.zeros(1), "/tmp/file"),
    "another function of numpy": _Calls(np.memmap, "/etc/hostname"),
    "an array of objects": np.array([{}, None], dtype=object),
    "an array with fields": np.zeros(2, dtype=[("a", "i4"), ("b", "O")]),
    "an array of texts": np.array(["a", "b"]),
    "an object": datetime.date(2026, 1, 1),
    "a class": pickle.Unpickler,
    "one deep inside": [{"a": ({"b": _Calls(os.getcwd)},)}],
}


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("what", HOSTILE)
def test_anything_else_is_refused(what: str, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "cfg.pkl"
    path.write_bytes(pickle.dumps(HOSTILE[what], protocol))
    with pytest.raises(EngineLoadError, match=r"cfg\.pkl cannot be read"):
        read_config(path)


def crafted(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


ARRAY = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\n(K\x00tC\x01b\x87R"
DTYPE = b"cnumpy\ndtype\n\x8c\x02f4\x89\x88\x87R"


@pytest.mark.parametrize(
    "data",
    [
        crafted(ARRAY),  # never given its state
        crafted(ARRAY, b"(K\x01(K\x64t", DTYPE, b"\x89C\x04abcdtb"),  # 100 numbers in four bytes
        crafted(ARRAY, b"(K\x01(J\xff\xff\xff\xfft", DTYPE, b"\x89C\x04abcdtb"),  # -1 numbers
        crafted(ARRAY, b"(K\x01(K\x01tcnumpy\nndarray\n\x89C\x04abcdtb"),  # no dtype
        crafted(ARRAY, b"(K\x01(K\x01t", DTYPE, b"\x89]K\x01atb"),  # a list in place of its data
        crafted(DTYPE),
        crafted(b"cnumpy\nndarray\n"),
        crafted(b"cnumpy\ndtype\n\x8c\x01O\x85R"),
        crafted(b"Pit.\n"),  # a persistent id
        crafted(b"]\x94h\x00a"),  # a list within itself
        b"",
        b"not a pickle",
    ],
)
def test_crafted_pickles_are_refused(data: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError):
        plain(data)


def test_the_crafted_pieces_are_an_array_when_they_fit_together() -> None:
    data = crafted(ARRAY, b"(K\x01(K\x01t", DTYPE, b"\x89C\x04\x00\x00\x80?tb")
    np.testing.assert_array_equal(plain(data), np.ones(1, np.float32))


@pytest.mark.parametrize("content", [[], {"base_cfg": {}}, {**CONFIG, "base_cfg": 3}])
def test_a_pickle_of_something_else_is_no_configuration(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "cfg.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(EngineLoadError, match="is no configuration"):
        read_config(path)


def test_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(EngineLoadError, match="cannot be read"):
        read_config(tmp_path / "cfg.pkl")
