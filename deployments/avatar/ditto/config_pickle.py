"""The published configuration: a pickle, read without trusting it.

Unpickling calls whatever the file names. Here it may name only what a numpy array is rebuilt with,
and even that is ours: the pieces are collected, checked and put together at the end. What comes out
is made of dict, list, tuple, set, str, bytes, numbers, None and arrays of numbers, and of nothing
else.
"""

import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from deployments.errors import EngineLoadError

_KINDS = "biuf"  # of dtypes: truth values, integers, floats
_PLAIN = (str, bytes, bool, int, float, complex, type(None))


def read_config(path: Path) -> dict[str, Any]:
    """What the pickle holds: ``base_cfg``, ``audio2motion_cfg`` and ``default_kwargs``.

    Raises:
        EngineLoadError: it cannot be read, names anything but arrays and plain containers, or is
            no configuration.
    """
    try:
        config = plain(path.read_bytes())
    except (OSError, pickle.UnpicklingError) as error:
        raise EngineLoadError(f"{path} cannot be read: {error}", stage="avatar") from None
    parts = ("base_cfg", "audio2motion_cfg", "default_kwargs")
    if not isinstance(config, dict) or not all(isinstance(config.get(p), dict) for p in parts):
        message = f"{path} is no configuration: it has to hold {', '.join(parts)}"
        raise EngineLoadError(message, stage="avatar")
    return config


def plain(data: bytes) -> Any:
    """What a pickle of plain containers and numpy arrays holds.

    Raises:
        pickle.UnpicklingError: it is damaged, or names anything else.
    """
    try:
        return _finished(_Unpickler(io.BytesIO(data)).load())
    except pickle.UnpicklingError:
        raise
    except RecursionError:
        raise pickle.UnpicklingError("it contains itself") from None
    except Exception as error:  # a damaged pickle makes the unpickler raise just about anything
        raise pickle.UnpicklingError(f"it is damaged: {error}") from None


class _DType:
    """A dtype: ``numpy.dtype(code, False, True)``, then its state."""

    def __init__(self, code: object, *_: object) -> None:
        self._dtype = _checked(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._dtype = _checked(self._dtype.newbyteorder(state[1]))  # (version, byte order, ...)

    def dtype(self) -> np.dtype[Any]:
        return self._dtype


class _Array:
    """An array: ``_reconstruct(ndarray, (0,), b"b")``, then its state."""

    def __init__(self, *_: object) -> None:
        self._value: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, data = state
        self._value = _array(data, dtype, shape, "F" if is_fortran else "C")

    def value(self) -> np.ndarray[Any, Any]:
        if self._value is None:
            raise pickle.UnpicklingError("an array without a state")
        return self._value


class _NdArray:
    """Only named, as what ``_reconstruct`` is to make."""


def _checked(code: object) -> np.dtype[Any]:
    if not isinstance(code, str | np.dtype):
        raise pickle.UnpicklingError("a dtype that is no name")
    dtype = np.dtype(code)
    if dtype.kind not in _KINDS or dtype.subdtype is not None:
        raise pickle.UnpicklingError(f"an array of {dtype}")
    return dtype


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    """A copy of its own, in this machine's byte order."""
    if not isinstance(dtype, _DType) or not isinstance(data, bytes | bytearray):
        raise pickle.UnpicklingError("an array of something else than numbers")
    kind, shape = dtype.dtype(), tuple(int(n) for n in shape)
    if len(data) != math.prod(shape) * kind.itemsize:
        raise pickle.UnpicklingError("an array of another size than its data")
    array = np.frombuffer(data, kind).reshape(shape, order="F" if order == "F" else "C")
    return array.astype(kind.newbyteorder("="))


def _scalar(dtype: Any, data: Any) -> Any:
    return _array(data, dtype, (), "C")[()]


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    """Protocol 5's form of an array."""
    return _array(data, dtype, shape, order)


def _encode(text: Any, encoding: Any) -> bytes:
    """Bytes, as the protocols before 3 write them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes in another encoding than latin1")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How the protocols before 3 write no bytes at all."""
    return b""


# numpy 1 and 2 have the same functions at two places.
_NAMES: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _NdArray,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): dict,
}
for _builtins in ("__builtin__", "builtins"):  # of Python 2, as the oldest protocols say, and 3
    _NAMES[_builtins, "set"] = set
    _NAMES[_builtins, "frozenset"] = frozenset
    _NAMES[_builtins, "bytes"] = _no_bytes
for _core in ("numpy.core", "numpy._core"):
    _NAMES[f"{_core}.multiarray", "_reconstruct"] = _Array
    _NAMES[f"{_core}.multiarray", "scalar"] = _scalar
    _NAMES[f"{_core}.numeric", "_frombuffer"] = _from_buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _NAMES.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return found


def _finished(value: Any) -> Any:
    """``value`` with its arrays put together. Anything that is not plain is refused."""
    if isinstance(value, _Array):
        return value.value()
    if isinstance(value, dict):
        return {_finished(key): _finished(one) for key, one in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_finished(one) for one in value)
    if isinstance(value, _PLAIN) or (
        isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _KINDS
    ):
        return value
    raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")
