"""Replies as the graph cuts them, for engines under test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deployments.avatar.ditto.avatar import DittoAvatar, DittoPortrait
from deployments.avatar.ditto.loading import Parts, Registrar
from deployments.avatar.ditto.published_config import published
from deployments.avatar.ditto.register import MeshRegistrar
from deployments.avatar.ditto.settings import DittoSettings
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.ways import Way
from deployments.avatar.portraits import builtin_portraits
from deployments.types import AudioChunk, Motion, Stretch
from tests.ditto.fake_networks import FakeNetworks
from tests.tiny_models.make_tiny_ditto import live_config, offline_config

RATE_HZ = 24_000  # as speech comes from most voices
_PER_FRAME = RATE_HZ // 25
TAIL = 8  # frames in which the graph lets a face come to rest


def tiny_engine(folder: Path, **options: Any) -> DittoAvatar:
    """On the tiny checkpoint, with a small frame."""
    size = {"width_px": 128, "height_px": 192}
    asked = {"model": str(folder), "device": "cpu", **size, **options}
    return DittoAvatar(DittoSettings.model_validate(asked))


def fake_engine(
    networks: FakeNetworks | None = None, registrar: Registrar | None = None, **options: Any
) -> DittoAvatar:
    """On no checkpoint, but with a configuration."""
    networks = networks or FakeNetworks()
    ways = (
        Way(published(one(7)), networks.hear, networks.stitch, origin="")
        for one in (live_config, offline_config)
    )
    settings = DittoSettings.model_validate({"width_px": 64, "height_px": 96, **options})
    return DittoAvatar(settings, Parts(networks, registrar or MeshRegistrar(), *ways))


def mira(engine: DittoAvatar) -> DittoPortrait:
    return engine.prepare(builtin_portraits()[0])


def voice(n_frames: int) -> FloatArray:
    """A buzz with syllables, ``n_frames`` long but for a few samples."""
    t = np.arange(_PER_FRAME * n_frames - 7) / RATE_HZ
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)
    return np.asarray(0.4 * np.sign(np.sin(2 * np.pi * 140 * t)) * swell, np.float32)


def stretch(
    engine: DittoAvatar,
    sound: FloatArray,
    frames: range,
    state: bytes | None = None,
    n_rest: int = 0,
    **more: Any,
) -> Stretch:
    """``frames`` of a reply whose whole sound is ``sound``, with what the engine hears ahead."""
    able = engine.capabilities
    ahead = round(able.context_of(is_live=more.get("is_live", True)) * RATE_HZ)
    heard = sound[frames.start * _PER_FRAME : frames.stop * _PER_FRAME + ahead]
    audio = AudioChunk(heard, RATE_HZ, frames.start / able.fps)
    return Stretch("mira", audio, (), frames.start, len(frames), state, n_rest, **more)


def cuts(n_frames: int, at: Sequence[int]) -> list[range]:
    """All frames, cut before each of ``at``."""
    ends = [*(cut for cut in at if 0 < cut < n_frames), n_frames]
    return [range(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def spoken(
    engine: DittoAvatar,
    portrait: DittoPortrait,
    sound: FloatArray,
    at: Sequence[int] = (),
    **more: Any,
) -> Motion:
    """A whole reply's motion, the tail in which it comes to rest included, cut at these frames as
    far as there is speech."""
    n_spoken = -(-len(sound) // _PER_FRAME)
    n_frames = n_spoken + TAIL
    parts, state = [], None
    for frames in cuts(n_frames, [cut for cut in at if cut <= n_spoken]):
        n_rest = TAIL if frames.stop == n_frames else 0
        asked = stretch(engine, sound, frames, state, n_rest, **more)
        motion, state = engine.move(portrait, asked)
        parts.append(motion)
    return np.concatenate(parts)
