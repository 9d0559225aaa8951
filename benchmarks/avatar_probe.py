"""How fast a face is drawn and encoded: by step, and as the turn does it."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from deployments.avatar.encode import StretchEncoder
from deployments.avatar.engine import DrawRequest
from deployments.avatar.portraits import builtin_portraits
from deployments.avatar.render import stretch_packets
from deployments.config import EncoderConfig
from deployments.types import AudioChunk, SpeechChunk, VideoPackets
from graph.timeline import StretchPlan, Timeline


def measured(engine: Any, speech: AudioChunk, n_times: int) -> dict[str, Any]:
    """Figures of an engine that is loaded; the caller has bound the process to one core.

    ``frames_per_s`` is by the clock on the wall, the median of ``n_times`` renderings of
    ``speech``; ``frames_per_cpu_s`` counts only the processor's time, so it says what the core
    can do where other processes want it too.
    """
    started_s = time.perf_counter()
    portrait = engine.prepare(builtin_portraits()[0])
    prepare_s = time.perf_counter() - started_s
    next(_rendered(engine, portrait, speech))  # warms up the engine and the encoder
    steps = _steps(engine, portrait, speech)
    wall_s, cpu_s, first_s, n_frames = _renderings(engine, portrait, speech, n_times)
    rate, cpu_rate = n_frames / np.median(wall_s), n_frames / np.median(cpu_s)
    return {
        "rtf": float(np.median(wall_s)) / speech.duration_s,
        "first_output_ms": float(np.median(first_s)) * 1000,
        "prepare_s": round(prepare_s, 3),
        **{name: round(value, 3) for name, value in steps.items()},
        "frames_per_s": round(float(rate), 1),
        "frames_per_cpu_s": round(float(cpu_rate), 1),
        "says": f"prepare {prepare_s:.2f} s; move {steps['move_ms_per_stretch']:.1f} ms a stretch, "
        f"draw {steps['draw_ms']:.2f} + encode {steps['encode_ms']:.2f} ms a frame; "
        f"one core: {rate:.0f} frames/s ({cpu_rate:.0f} by CPU time)",
    }


def _timeline(engine: Any, speech: AudioChunk) -> Timeline:
    """The speech, to be cut as a turn cuts it."""
    facts = engine.capabilities
    plan = StretchPlan(facts.fps, facts.context_s)
    timeline = Timeline(plan, speech.sample_rate_hz, builtin_portraits()[0].id)
    timeline.append(SpeechChunk(speech, 0, (), is_last=True))
    timeline.end()
    return timeline


def _rendered(engine: Any, portrait: Any, speech: AudioChunk) -> Iterator[VideoPackets]:
    """The whole speech's video, the state carried from stretch to stretch."""
    timeline, state = _timeline(engine, speech), None
    while not timeline.is_cut_up:
        stretch = timeline.cut(state, 0.0)
        for packets in stretch_packets(engine, portrait, stretch, EncoderConfig()):
            state = packets.motion_state
            yield packets


def _steps(engine: Any, portrait: Any, speech: AudioChunk) -> dict[str, float]:
    """Mean ms of each verb; encoding includes the conversion of colours and opening encoders."""
    spent, n_frames, n_stretches = {"move": 0.0, "draw": 0.0, "encode": 0.0}, 0, 0
    timeline, state = _timeline(engine, speech), None
    while not timeline.is_cut_up:
        stretch = timeline.cut(state, 0.0)
        t0 = time.perf_counter()
        motion, state = engine.move(portrait, stretch)
        t1 = time.perf_counter()
        frames = engine.draw([DrawRequest(portrait, row, 0.0) for row in motion])
        t2 = time.perf_counter()
        _encode(engine, frames)
        t3 = time.perf_counter()
        for name, seconds in zip(spent, (t1 - t0, t2 - t1, t3 - t2), strict=True):
            spent[name] += seconds * 1000
        n_frames, n_stretches = n_frames + len(frames), n_stretches + 1
    return {
        "move_ms_per_stretch": spent["move"] / n_stretches,
        "draw_ms": spent["draw"] / n_frames,
        "encode_ms": spent["encode"] / n_frames,
    }


def _encode(engine: Any, frames: Any) -> None:
    facts = engine.capabilities
    with StretchEncoder(EncoderConfig(), facts.width_px, facts.height_px, facts.fps) as h264:
        for frame in frames:
            h264.encode(frame)


def _renderings(
    engine: Any, portrait: Any, speech: AudioChunk, n_times: int
) -> tuple[list[float], list[float], list[float], int]:
    """Wall, CPU and first-packet seconds of each rendering, and the frames of one."""
    wall_s, cpu_s, first_s, n_frames = [], [], [], 0
    for _ in range(n_times):
        n_frames, first = 0, None
        wall0, cpu0 = time.perf_counter(), time.process_time()
        for packets in _rendered(engine, portrait, speech):
            n_frames += packets.n_frames
            first = first or time.perf_counter() - wall0
        wall_s.append(time.perf_counter() - wall0)
        cpu_s.append(time.process_time() - cpu0)
        first_s.append(first or 0.0)
    return wall_s, cpu_s, first_s, n_frames
