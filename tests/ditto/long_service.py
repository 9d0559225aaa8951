"""Serves ten thousand stretches by two engines, and says now and then how large the process is.

    python -m tests.ditto.long_service

Their networks are a declared fake; what carries, packs and joins is real. It is a process of its
own, because what other tests left of its memory would grow and shrink meanwhile.
"""

import json
from pathlib import Path

import numpy as np

from deployments.avatar.engine import DrawRequest, MoveRequest
from deployments.errors import AvatarError
from deployments.types import AudioChunk, Stretch
from tests.ditto.fill_weights import det_uniform
from tests.ditto.replies import fake_engine, mira

_PAGE = 4096
_N_STRETCHES = 10_000


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def serve() -> list[int]:
    """Bytes, every two hundred stretches."""
    engines = [fake_engine(), fake_engine()]
    portraits = [mira(engine) for engine in engines]
    sound, states = det_uniform(1, (640 * 40,)), [b"", b""]
    sizes = []
    for i in range(_N_STRETCHES // 2):
        frame = i % 10
        heard = AudioChunk(sound[640 * frame : 640 * (frame + 28)], 16_000, frame / 25)
        for k, (engine, portrait) in enumerate(zip(engines, portraits, strict=True)):
            state = states[k] if frame else None
            asked = Stretch("mira", heard, (), frame, 1, state, seed=i)
            [moved] = engine.move_together([MoveRequest(portrait, asked)])
            assert not isinstance(moved, AvatarError)
            states[k] = moved[1]
            if not i % 50:
                [frame_drawn] = engine.draw([DrawRequest(portrait, moved[0][0], 0.1)])
                assert frame_drawn.dtype == np.uint8
        if not i % 100:
            sizes.append(resident())
    return sizes


if __name__ == "__main__":
    print(json.dumps(serve()))
