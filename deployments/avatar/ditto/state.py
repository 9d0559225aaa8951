"""Numbers and arrays as bytes, for the motion state that travels with a turn; never pickled."""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from deployments.avatar.ditto.vector import FloatArray
from deployments.errors import EngineInputError

_MAGIC = b"DTO1"  # the digit is the version: change it with any change of layout or meaning
_HEAD = struct.Struct("<4sI")
_CHECK = struct.Struct("<I")


def pack(numbers: Mapping[str, int], arrays: Mapping[str, FloatArray]) -> bytes:
    """Magic, length of the table, the table in JSON, the arrays, a checksum over all of it."""
    shapes = {name: array.shape for name, array in arrays.items()}
    table = json.dumps({"numbers": dict(numbers), "shapes": shapes}).encode()
    parts = [np.ascontiguousarray(array, "<f4").tobytes() for array in arrays.values()]
    body = b"".join((_HEAD.pack(_MAGIC, len(table)), table, *parts))
    return body + _CHECK.pack(zlib.crc32(body))


def unpack(state: bytes) -> tuple[dict[str, int], dict[str, FloatArray]]:
    """Read what ``pack`` wrote.

    Raises:
        EngineInputError: of another engine or version, or damaged.
    """
    if not state.startswith(_MAGIC) or len(state) < _HEAD.size + _CHECK.size:
        raise EngineInputError("a motion state of another engine or version", stage="avatar")
    body, check = state[: -_CHECK.size], state[-_CHECK.size :]
    if _CHECK.pack(zlib.crc32(body)) != check:
        raise EngineInputError("the motion state is damaged", stage="avatar")
    n_table = _HEAD.unpack_from(body)[1]
    table: dict[str, Any] = json.loads(body[_HEAD.size : _HEAD.size + n_table])
    arrays, at = {}, _HEAD.size + n_table
    for name, shape in table["shapes"].items():
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(body, "<f4", count, at).astype(np.float32).reshape(shape)
        at += 4 * count
    return table["numbers"], arrays
